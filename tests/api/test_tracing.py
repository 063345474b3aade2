"""Spans: one a request, below it one for each stage of its answer, with its number and nothing of the photo."""

from __future__ import annotations

from pathlib import Path

import pytest
from api_helpers import picture_of, served, tokens_for

trace = pytest.importorskip("opentelemetry.trace")


def test_the_stages_of_an_answer_are_spans_below_its_request(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", lambda name: provider.get_tracer(name))
    files = [("photo", "private.jpg", picture_of(0))]
    with served(small, tokens_for(small)) as api:
        exporter.clear()  # of the networks' first use
        for path in ("scan", "match"):
            assert api.ask("POST", f"/v1/{path}", files=files, headers={"X-Request-ID": path}).status == 200
        assert api.ask("GET", "/v1/products", headers={"X-Request-ID": "list"}).status == 200
    spans = exporter.get_finished_spans()
    requests = {str((span.attributes or {})["retail_seg.request_id"]): span for span in spans if span.parent is None}
    assert [span.name for span in requests.values()] == ["POST /v1/scan", "POST /v1/match", "GET /v1/products"]
    below = {number: [span for span in spans if span.parent == one.context] for number, one in requests.items()}
    stages = {number: [span.name for span in found] for number, found in below.items()}
    assert set(stages["scan"]) >= {"decode", "segment", "cut", "report"} and stages["match"] == [
        "decode",
        "embed",
        "rank",
    ]
    assert stages["list"] == [] and sum(map(len, stages.values())) + 3 == len(spans)
    for number, found in below.items():
        for span in found:
            assert span.attributes == {"retail_seg.request_id": number, "retail_seg.batch": 1}
            times = (requests[number].start_time, span.start_time, span.end_time, requests[number].end_time)
            assert list(times) == sorted(time or 0 for time in times)
    assert "private" not in "".join(span.to_json() for span in spans)

"""A chain on paper: indexes hold what they say, a simulated day loses no photo, and the document says all of it."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("simpy", reason="SimPy is not installed: pip install retail-seg[scale]")

from retail_seg.bench.scale import asked, built
from retail_seg.bench.scale.asked import build_indexes, read_indexes
from retail_seg.bench.scale.built import Built
from retail_seg.bench.scale.charts import draw_growth
from retail_seg.bench.scale.day import Chain, simulate
from retail_seg.bench.scale.indexes import FLAT, HNSW, PQ, RERANKED, SQ8, IndexReading, Made, expected, jittered
from retail_seg.bench.scale.paper import RunFigures, document, section, slope, workers_for
from retail_seg.cli import cli


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    found = np.random.default_rng(3).normal(size=(30, 64)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_jitter_keeps_the_length_and_the_neighbourhood(real: np.ndarray) -> None:
    made = jittered(real, 200, 0.6, 1)
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    assert 0.8 < float((made @ real.T).max(1).mean()) < 0.92
    assert np.array_equal(
        np.concatenate(list(Made(real, 70).portions())), np.concatenate(list(Made(real, 70).portions()))
    )


def test_indexes_are_built_once_and_read_at_each_size(
    real: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "KINDS", {FLAT: 10_000, PQ: 10_000, HNSW: 3000})
    monkeypatch.setattr(built, "PORTION", 1500)
    lines: list[str] = []
    build_indexes(tmp_path, real, [2500, 4000], lines.append)
    assert len(lines) == 5 and lines[0].startswith("FAISS flat, 2,500 references: built in ")
    monkeypatch.setattr(Built, "_build", None)  # what is there is not built again
    told: list[IndexReading] = []
    found = read_indexes(tmp_path, real, [2500, 4000], told.append)
    assert told == found and [(one.kind, one.references) for one in found] == [
        (FLAT, 2500), (PQ, 2500), (RERANKED, 2500), (HNSW, 2500), (FLAT, 4000), (PQ, 4000), (RERANKED, 4000)
    ]  # fmt: skip
    assert all(one.recall == 1 for one in found if one.kind == FLAT)
    by_codes, reranked = ([one.recall for one in found if one.kind == kind] for kind in (PQ, RERANKED))
    assert all(0.2 < codes < whole <= 1 for codes, whole in zip(by_codes, reranked, strict=True))
    assert all(one.build > 0 and one.megabytes < 2 for one in found)


def test_a_file_of_exact_rows_is_what_faiss_writes(real: np.ndarray, tmp_path: Path) -> None:
    made = Made(real, 120)
    index = faiss.IndexFlatIP(made.dim)
    index.add(np.concatenate(list(made.portions())))
    faiss.write_index(index, str(tmp_path / "theirs"))
    ours = Built(tmp_path, made)
    ours.seconds(FLAT)
    assert ours.path(FLAT).read_bytes() == (tmp_path / "theirs").read_bytes()
    assert np.array_equal(ours.exact(), index.search(made.queries(), 10)[1])


def test_other_vectors_are_other_indexes(real: np.ndarray, tmp_path: Path) -> None:
    paths = {Built(tmp_path, Made(one, 50, seed)).path(FLAT) for one, seed in ((real, 0), (real, 1), (-real, 0))}
    assert len(paths) == 3 and Built(tmp_path, Made(real.copy(), 50)).path(FLAT) in paths


def test_to_build_alone_wants_a_folder() -> None:
    done = CliRunner().invoke(cli, ["benchmark", "scale", "--build"])
    assert done.exit_code == 2 and "say with --work where" in done.stderr


def test_memory_is_by_the_layout() -> None:
    assert expected(FLAT, 1_000_000, 512) == pytest.approx(1_000_000 * (2048 + 8) / 2**20)
    assert expected(PQ, 1_000_000, 512) < expected(SQ8, 1_000_000, 512) < expected(FLAT, 1_000_000, 512)


def test_a_day_loses_no_photo_and_more_workers_shorten_it() -> None:
    few, many = (simulate(Chain(40_000, 2.0, workers, scale=1, fails=2.0)) for workers in (2, 12))
    assert few.median > many.median and few.p99 > many.p99 and few.queue > many.queue
    assert few.again > 0 and 0 < many.busy < few.busy <= 1
    assert simulate(Chain(40_000, 2.0, 12, scale=1, fails=2.0)) == many, "the same day comes again"


def test_the_document_says_what_was_measured(tmp_path: Path) -> None:
    readings = [
        IndexReading(FLAT, 100_000, 1.0, 200.0, 1.0, 0.03), IndexReading(FLAT, 1_000_000, 1.0, 2000.0, 9.0, 0.3),
        IndexReading(HNSW, 100_000, 0.99, 230.0, 60.0, 0.005), IndexReading(HNSW, 1_000_000, 0.97, 2300.0, 900.0, 0.01),
        IndexReading(PQ, 100_000, 0.3, 9.0, 30.0, 0.01), IndexReading(RERANKED, 100_000, 0.8, 9.0, 30.0, 0.01),
    ]  # fmt: skip
    stages = {"decode": 0.1, "segment": 0.5, "embed and match": 0.4}
    days = {workers: simulate(Chain(2000, 1.0, workers, scale=10)) for workers in workers_for(1.0)[:2]}
    found = RunFigures(stages, 50.0, 2e6, 3e4, 8e3, readings, days, 0.04, 512)
    text = document(found)
    assert slope(found, FLAT) == pytest.approx(1.0) and slope(found, PQ) is None
    assert "278 hours of a core, 11 at 0.04" in " ".join(text.split())
    assert "| FAISS flat | 5,000,000 | not built | 9,804 | 42 (along the slope) | 1,500 (along the slope) |" in text
    assert "| FAISS HNSW | 5,000,000 | not built | 11,101 | 5,974 (along the slope) | 16 (along the slope) |" in text
    assert "| FAISS IVF-SQ8 | 1,000,000 | not built | 507 |  |  |" in text
    assert "re-ranked by vectors on disk it is 0.80, not 0.30, at 100,000" in text
    assert "| FAISS HNSW | 100,000 | 0.990 | 230 | 60.0 | 5.0 |" in text
    assert all(
        f"## {heading}" in text for heading in ("A day, simulated", "Which index when", "Where each part breaks")
    )
    draw_growth(tmp_path, readings)
    assert all(f"]({path.name})" in text for path in tmp_path.iterdir()) and len(list(tmp_path.iterdir())) == 2
    assert section(found).to_dict()["stages"] == stages

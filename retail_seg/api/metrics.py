"""What Prometheus reads at `/metrics`: latencies, queues, answers by certainty, probabilities, memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from retail_seg.system.memory import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Scope

    from retail_seg.api.service import Service
    from retail_seg.report import Identification

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SHARES = tuple(n / 20 for n in range(1, 21))


class Metrics:
    """The numbers of one server."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "retail_seg_requests",
            "Requests by route and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._latency = Histogram(
            "retail_seg_request_seconds", "Seconds to answer.", ("route",), buckets=SECONDS, registry=self.registry
        )
        self._stages = Histogram(
            "retail_seg_stage_seconds", "Seconds of a stage.", ("stage",), buckets=SECONDS, registry=self.registry
        )
        self._answers = Counter("retail_seg_answers", "Answers by certainty.", ("certainty",), registry=self.registry)
        self._probability = Histogram(
            "retail_seg_probability", "Probability of the first candidate.", buckets=SHARES, registry=self.registry
        )
        self.registry.register(self)

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """A request was answered; routes are named by their pattern, so that no SKU makes a series of its own."""
        route = getattr(scope.get("route"), "path_format", None) or ("other" if "route" not in scope else scope["path"])
        self._requests.labels(scope["method"], route, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def stage(self, name: str, seconds: float) -> None:
        """A stage took so long."""
        self._stages.labels(name).observe(seconds)

    def identified(self, found: Iterable[Identification]) -> None:
        """Crops were named."""
        for one in found:
            self._answers.labels(one.certainty).inc()
            self._probability.observe(one.probability)

    def collect(self) -> Iterator[Metric]:
        """What is read at the moment when somebody asks."""
        service = self._service
        depth = GaugeMetricFamily("retail_seg_queue_depth", "Questions that wait or are in hand.", labels=["queue"])
        for kind in service.capacity.room:
            depth.add_metric([kind], service.work.depth(kind))
        yield depth
        yield GaugeMetricFamily("retail_seg_index_revision", "The catalogue's revision.", service.matcher.revision)
        yield GaugeMetricFamily("retail_seg_resident_bytes", "Memory of the process.", resident_bytes())

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)

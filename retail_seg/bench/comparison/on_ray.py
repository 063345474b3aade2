"""Methods of a comparison done by workers of Ray, each in a process of its own on the machine of its worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retail_seg import __version__
from retail_seg.bench.comparison.job import JOB, ComparisonError, ComparisonJob, Result
from retail_seg.bench.comparison.machine import machine_text
from retail_seg.bench.comparison.methods import CLASSICAL, all_methods, tuning_samples
from retail_seg.bench.comparison.runner import Show, run_apart
from retail_seg.fleet.cluster import brought_up, entered, shared_out
from retail_seg.fleet.pool import GivenUp, Pool
from retail_seg.system.threads import cores


@dataclass(frozen=True)
class MethodOrder:
    """What each worker is made of: the job's file, which all machines see, the job's key, and threads a method."""

    file: Path
    key: str
    threads: int
    version: str = __version__


class MethodWorker:
    """Does methods one after the other."""

    def __init__(self, order: MethodOrder) -> None:
        self._order = order

    def start(self) -> str:
        """Read the job; the node's id. Raises FleetError, ComparisonError where it is not what the caller has."""
        order = self._order
        node = brought_up(order.threads, order.version)
        try:
            self._job = ComparisonJob.read(order.file)
        except (OSError, ValueError) as error:
            raise ComparisonError(f"{order.file}: a worker cannot read it ({error}); {_SHARE}") from None
        if self._job.key != order.key:
            raise ComparisonError(f"{order.file}: a worker finds another comparison there; {_SHARE}")
        return node

    def work(self, name: str) -> tuple[Result, str]:
        """A method's result, and what its times hold for; raises ComparisonError where there is none."""
        return run_apart(self._job, name, lambda *told: None), machine_text(load=False)


_SHARE = "give an --out that all machines see under the same path, and photos likewise"


class MethodsOnRay:
    """Does methods of a job beside each other, see `runner.run_all`; knows then what their times hold for."""

    def __init__(self, ray: Any, methods: int, workers: int | None) -> None:
        self._ray = ray
        self.beside, self.threads = shared_out(ray, methods, workers)
        self._machines: set[str] = set()

    @property
    def machine(self) -> str:
        """The machines that methods were done on, and that they were not alone there."""
        beside = f"{self.beside} methods beside each other" if self.beside > 1 else "one method at a time"
        return "; ".join([*sorted(self._machines), f"workers of Ray, {beside}, {self.threads} cores each"])

    def __call__(self, job: ComparisonJob, names: Sequence[str], show: Show) -> Iterator[tuple[str, Result | str]]:
        """Each method's name with its result, or the sentence that says why there is none, as they end."""
        if not names:
            return
        known = all_methods()
        if any(known[name].kind == CLASSICAL or known[name].last for name in names):
            tuning_samples(job)  # once, not by each worker
        order = MethodOrder(job.folder / JOB, job.key, self.threads)
        size = min(self.beside, len(names))
        with Pool[str](self._ray, MethodWorker, order, size, cpus=self.threads) as pool:
            for one in pool.run(names):
                if isinstance(one, GivenUp):
                    yield one.task, one.reason
                else:
                    result, machine = one.value
                    self._machines.add(machine)
                    yield one.task, result


@contextmanager
def methods_on_ray(methods: int, *, address: str | None = None, workers: int | None = None) -> Iterator[MethodsOnRay]:
    """Workers of Ray for so many methods, as long as the block lasts; raises FleetError where nothing listens.

    Each worker has its share of the cores: with as many as there are methods, or `workers`, all work at once.
    """
    with entered(address, workers and max(workers, cores())) as ray:
        yield MethodsOnRay(ray, methods, workers)

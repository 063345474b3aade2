"""Of many rows the few that can be among the best, found in half precision and then compared exactly.

A number rounded to bfloat16 is off by at most 2^-9 of itself, so a unit vector by at most 2^-9 and, by the inequality
of Cauchy and Schwarz, the inner product of two by at most 2^-8. A row whose rounded product is more than twice MARGIN
below that of the last place wanted cannot take it. Of 100,000 rows some 50 more than are wanted remain, and the answer
is that of an exact search. Equal scores stand in the order of the rows.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

import faiss
import numpy as np

from index import runtime
from index.approximate import flat_rows

log = logging.getLogger(__name__)

#: How far a product of two rounded unit vectors can be from the exact one. The vectors may be .2 % too long, and 512
#: products are added up in float32.
MARGIN = 2**-8 * 1.01 + 1e-4
#: Below so many rows exact search takes some ten milliseconds, and above so many the rounded ones some 500 MB.
LEAST_ROWS, MOST_VALUES = 20_000, 1 << 28
#: Rounding the rows takes the time of some such number of queries: they are searched exactly before it is done, and a
#: process that asks less never does it.
PAYS_FROM = 128
#: Rows multiplied at once, and those of which only the best product is kept at first.
_PART, _GROUP = 16_384, 16
#: Queries multiplied at once: the products of so many with a part take 4 MB.
_QUERIES = 64
#: Rows that are rounded at once: they stay in a core's cache.
_BLOCK = 256
#: Rows that the check multiplies with those of the first part.
_SAMPLE = 64


class Shortlist:
    """The rows of an exact index, unit vectors, which are rounded once when enough was asked."""

    def __init__(self, index: faiss.IndexFlat) -> None:
        self._index: Any = index
        self._worth = index.ntotal >= LEAST_ROWS and index.ntotal * index.d <= MOST_VALUES
        self._asked = 0
        self._rounded: list[Any] = []
        self._making = threading.Lock()

    def serves(self, queries: int, fetch: int) -> bool:
        """Whether a search for so many rows of so many queries should ask here; counts the queries."""
        if not self._worth or fetch > _PART // _GROUP:
            return False
        if not self._rounded:
            with self._making:
                self._asked += queries
                if self._asked > PAYS_FROM and not self._rounded and self._worth:
                    self._prepare()
        return bool(self._rounded)

    def search(self, queries: np.ndarray, fetch: int) -> tuple[np.ndarray, np.ndarray]:
        """The `fetch` best rows of unit queries float32 (m, d): exact scores float32 (m, fetch), best first, and
        positions int64 (m, fetch).
        """
        blocks = [self._best(queries[at : at + _QUERIES], fetch) for at in range(0, len(queries), _QUERIES)]
        scores, places = (np.concatenate(column) for column in zip(*blocks, strict=True))
        return scores, places

    def _best(self, queries: np.ndarray, fetch: int) -> tuple[np.ndarray, np.ndarray]:
        possible = self._possible(queries, fetch)
        places = np.full((len(queries), max(map(len, possible))), -1, np.int64)
        for at, rows in enumerate(possible):
            places[at, : len(rows)] = rows
        scores = np.empty(places.shape, np.float32)  # FAISS gives -inf for what is no row
        pointers = faiss.swig_ptr(scores), faiss.swig_ptr(places)
        self._index.compute_distance_subset(len(queries), faiss.swig_ptr(queries), places.shape[1], *pointers)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :fetch]
        return np.take_along_axis(scores, order, 1), np.take_along_axis(places, order, 1)

    def _prepare(self) -> None:
        """Round the rows, if this machine multiplies rounded numbers and a check finds what MARGIN rests on."""
        try:
            self._worth = runtime.available() and "BF16" in runtime.capabilities()
            if self._worth:
                rows = flat_rows(self._index)
                rounded = [_rounded(rows[at : at + _PART]) for at in range(0, len(rows), _PART)]
                sample = rows[:: -(-len(rows) // _SAMPLE)]
                ((product, _),) = _products(sample, rounded[:1])
                exact = sample @ rows[:_PART].T
                self._worth = bool((np.abs(product[:, : exact.shape[1]] - exact) <= MARGIN).all())
                self._rounded = rounded if self._worth else []
        except RuntimeError as error:
            self._worth = False
            log.warning("searches stay in float32: bfloat16 cannot be multiplied here (%s)", error)

    def _possible(self, queries: np.ndarray, fetch: int) -> list[np.ndarray]:
        """Of each query the positions, ascending, of all rows that can be among its `fetch` best."""
        best = np.full((len(queries), fetch), -np.inf, np.float32)
        parts = []
        for number, (product, tops) in enumerate(_products(queries, self._rounded)):
            best = -np.partition(np.concatenate([-best, -tops], axis=1), fetch - 1, axis=1)[:, :fetch]
            # Never above the last place's own product, for each of the best stands for another row.
            least = best.min(axis=1) - 2 * MARGIN
            query, group = np.nonzero(tops >= least[:, None])
            near = product.reshape(len(queries), -1, _GROUP)[query, group]
            line, place = np.nonzero(near >= least[query, None])
            parts.append((query[line], number * _PART + group[line] * _GROUP + place, near[line, place]))
        query, rows, near = (np.concatenate(column) for column in zip(*parts, strict=True))
        there = rows < self._index.ntotal  # what fills the last group up is not
        query, rows, near = query[there], rows[there], near[there]
        order = np.argsort(query, kind="stable")
        ends = np.searchsorted(query[order], np.arange(1, len(queries)))
        pairs = zip(np.split(rows[order], ends), np.split(near[order], ends), strict=True)
        return [_near_enough(*pair, fetch) for pair in pairs]


def _near_enough(rows: np.ndarray, near: np.ndarray, fetch: int) -> np.ndarray:
    """Of one query's rows (n,), ascending, those whose rounded products (n,) do not rule them out."""
    last = np.partition(near, len(near) - fetch)[len(near) - fetch]
    return np.sort(rows[near >= last - 2 * MARGIN])


def _rounded(rows: np.ndarray, group: int = _GROUP) -> Any:
    """Rows float32 (n, d) as an openvino.Tensor of bfloat16; the last is repeated to the end of its group."""
    import openvino

    count = -(-len(rows) // group) * group
    halves = np.empty((count, rows.shape[1]), np.uint16)
    for start in range(0, len(rows), _BLOCK):
        # bfloat16 is the upper half of float32; the largest bit of the lower half, added to itself, rounds it.
        bits = np.ascontiguousarray(rows[start : start + _BLOCK]).view(np.uint32) + np.uint32(0x8000)
        halves[start : start + len(bits)] = bits >> np.uint32(16)
    halves[len(rows) :] = halves[len(rows) - 1]
    return openvino.Tensor(halves, list(halves.shape), openvino.Type.bf16)


def _products(queries: np.ndarray, parts: list[Any]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Inner products float32 (m, n) of unit queries float32 (m, d) with each of the rounded parts, in their order, and
    the largest of each group (m, n / _GROUP).

    The next ones are computed, a thread each, while one is looked at; it holds until the next is asked for.
    """
    free, streams = _multiplying(queries.shape[1])
    rounded = _rounded(queries, 1)
    with free.lent(min(streams + 1, len(parts))) as requests:
        for request, part in zip(requests, parts, strict=False):
            request.start_async([rounded, part], share_inputs=True)
        for at in range(len(parts)):
            request = requests[at % len(requests)]
            request.wait()
            yield request.get_output_tensor(0).data, request.get_output_tensor(1).data
            if at + len(requests) < len(parts):
                request.start_async([rounded, parts[at + len(requests)]], share_inputs=True)


@cache
def _multiplying(dim: int) -> tuple[runtime.Requests, int]:
    """Two matrices of rows in bfloat16 ► the rows' inner products in float32, and the largest of each group of the
    second's; and how many at once, a thread each.
    """
    import openvino
    from openvino import opset13

    sides = [opset13.parameter([-1, dim], openvino.Type.bf16) for _ in range(2)]
    # OpenVINO leaves the conversions out where it multiplies bfloat16, and adds up, and answers, in float32.
    exact = [opset13.convert(side, openvino.Type.f32) for side in sides]
    product = opset13.matmul(*exact, False, True)
    groups = opset13.reshape(product, np.array([0, -1, _GROUP]), True)
    tops = opset13.reduce_max(groups, np.array([2]), False)
    model = openvino.Model([opset13.result(product), opset13.result(tops)], sides, "multiplying")
    network, streams = runtime.in_streams(model, "bf16")
    return runtime.Requests(network), streams

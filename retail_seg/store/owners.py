"""Which product each reference of a store belongs to, remembered beside the index: a ranking asks for thousands."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import numpy as np

_UNKNOWN = -1


class Owners:
    """Products as numbers, as long as this process lives, and the references' owners by those numbers.

    `skus_of` says of which product references are, those in use; it is asked once for each.
    """

    def __init__(self, skus_of: Callable[[Iterable[int]], dict[int, str]]) -> None:
        self._skus_of = skus_of
        self._numbers: dict[str, int] = {}
        self._skus: list[str] = []
        self._known = np.empty(0, np.int32)  # by reference id
        self._forgotten = 0
        self._lock = threading.Lock()

    def number(self, sku: str) -> int:
        """The number that stands for a product in rankings."""
        with self._lock:
            if sku not in self._numbers:
                self._numbers[sku] = len(self._skus)
                self._skus.append(sku)
            return self._numbers[sku]

    def sku(self, number: int) -> str:
        """The product that a number stands for."""
        return self._skus[number]

    def of(self, ids: np.ndarray) -> np.ndarray:
        """Numbers int64 (n,) of the products of references int64 (n,), -1 for a reference that is gone."""
        before, found = self._forgotten, self._remembered(ids)
        missing = np.unique(ids[found == _UNKNOWN])
        if not len(missing):
            return found
        fresh = {one: self.number(sku) for one, sku in self._skus_of(missing.tolist()).items()}
        with self._lock:
            if before == self._forgotten:  # else what was read may be of before the change
                self._remember(fresh)
        at = found == _UNKNOWN
        found[at] = [fresh.get(one, _UNKNOWN) for one in ids[at].tolist()]
        return found

    def forget(self, ids: Iterable[int] | None = None) -> None:
        """Ask again for references that came, went or changed; without any, for all."""
        with self._lock:
            self._forgotten += 1
            if ids is None:
                self._known = np.empty(0, np.int32)
            else:
                gone = np.fromiter(ids, np.int64)
                self._known[gone[gone < len(self._known)]] = _UNKNOWN

    def _remembered(self, ids: np.ndarray) -> np.ndarray:
        known = self._known
        inside = ids < len(known)
        return np.where(inside, known[np.where(inside, ids, 0)] if len(known) else _UNKNOWN, _UNKNOWN).astype(np.int64)

    def _remember(self, fresh: dict[int, int]) -> None:
        most = max(fresh, default=-1)
        if most >= len(self._known):
            grown = np.full(max(most + 1, 2 * len(self._known)), _UNKNOWN, np.int32)
            grown[: len(self._known)] = self._known
            self._known = grown
        self._known[list(fresh)] = list(fresh.values())

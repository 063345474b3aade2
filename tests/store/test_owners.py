"""Owners of references: asked once, asked again after a change, and never remembered from before one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from retail_seg.store.owners import Owners


class Catalogue:
    """Rows that can be changed; counts what is asked, and can be changed while it answers."""

    def __init__(self, skus: dict[int, str]) -> None:
        self.skus, self.asked = skus, []  # type: ignore[var-annotated]

    def skus_of(self, ids: Iterable[int]) -> dict[int, str]:
        wanted = list(ids)
        self.asked.append(wanted)
        return {one: self.skus[one] for one in wanted if one in self.skus}


def skus(owners: Owners, ids: list[int]) -> list[str | None]:
    return [None if at < 0 else owners.sku(at) for at in owners.of(np.array(ids, np.int64)).tolist()]


def test_each_reference_is_asked_for_once_and_one_that_is_gone_again() -> None:
    catalogue = Catalogue({3: "A", 5000: "B", 7: "A"})
    owners = Owners(catalogue.skus_of)
    assert skus(owners, [3, 5000, 3, 9]) == ["A", "B", "A", None]
    assert skus(owners, [7, 5000, 9, 3]) == ["A", "B", None, "A"]
    assert catalogue.asked == [[3, 9, 5000], [7, 9]]
    assert owners.number("B") == owners.of(np.array([5000]))[0]
    assert owners.of(np.empty(0, np.int64)).tolist() == []


def test_what_changed_is_asked_for_again() -> None:
    catalogue = Catalogue({1: "A", 2: "A", 3: "B"})
    owners = Owners(catalogue.skus_of)
    assert skus(owners, [1, 2, 3]) == ["A", "A", "B"]
    catalogue.skus = {1: "B", 3: "B"}
    owners.forget([1, 2, 10_000])
    assert skus(owners, [1, 2, 3]) == ["B", None, "B"]
    catalogue.skus = {1: "B", 2: "C", 3: "C"}
    owners.forget()
    assert skus(owners, [3, 2, 1]) == ["C", "C", "B"]


def test_what_was_read_before_a_change_is_not_remembered_behind_it() -> None:
    catalogue = Catalogue({1: "A"})

    def slow(ids: Iterable[int]) -> dict[int, str]:
        found = catalogue.skus_of(ids)
        if catalogue.skus == {1: "A"}:
            catalogue.skus = {1: "B"}
            owners.forget([1])
        return found

    owners = Owners(slow)
    assert skus(owners, [1]) == ["A"]
    assert skus(owners, [1]) == ["B"]
    assert skus(owners, [1]) == ["B"]
    assert len(catalogue.asked) == 2

"""What a centre looks at: where its shops' reports and contributions lie, and what of these waits for a decision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from catalogue import contributions as decisions
from retail_seg.chain import contributions
from retail_seg.chain.contributions import Contribution
from retail_seg.chain.publishing import published_at
from retail_seg.chain.rollup import shops
from retail_seg.errors import ChainError, PhotoError
from retail_seg.people.roles import require
from retail_seg.photos.load import encode_picture, load_photo
from retail_seg.store.enrolment import Refused
from retail_seg.store.following import followed_by

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

#: The setting that says where shops lay their reports down.
_REPORTS = "reports"
#: Pixels of a contribution's picture as it is looked at.
_SIDE = 128


@dataclass(frozen=True)
class Centre:
    """What a store is in its chain.

    follows    address of the centre that it follows itself, empty for a centre
    published  addresses at which it has published, where contributions wait; reports: folder of the shops' reports
    """

    follows: str
    published: tuple[str, ...]
    reports: Path | None


def centre_of(matcher: Matcher) -> Centre:
    """What a store is in its chain."""
    stands = followed_by(matcher.catalogue)
    folder = matcher.catalogue.get_setting(_REPORTS)
    places = published_at(matcher.catalogue)
    return Centre(stands.source if stands else "", places, Path(folder) if folder else None)


def state_reports(matcher: Matcher, folder: str) -> None:
    """Say in which folder of this machine the shops' reports lie; empty for none. Only a manager may.

    Raises ChainError where no reports lie there.
    """
    by = require("manager")
    path = Path(folder.strip()).expanduser().absolute() if folder.strip() else None
    if path is not None:
        shops(path)
    with matcher.catalogue.logged("state where reports lie", by=by):
        matcher.catalogue.set_setting(_REPORTS, "" if path is None else str(path))


def count_waiting(matcher: Matcher, address: str, *, left: bool = False) -> int:
    """How many contributions wait at an address for a decision (with `left`: were left); raises ChainError."""
    return contributions.count_open(matcher.catalogue, address, left=left)


def waiting(
    matcher: Matcher, address: str, *, left: bool = False, start: int = 0, most: int = 10
) -> list[Contribution | str]:
    """Some of what waits at an address, by name; a sentence for what is damaged. Raises ChainError."""
    return list(contributions.open_contributions(matcher.catalogue, address, left=left, start=start, most=most))


def pictures(contribution: Contribution, most: int = 4) -> list[bytes]:
    """The first pictures of a contribution as small JPEGs that were decoded and written anew; a broken one is left out.

    Whoever may write at the address has laid them down, so no byte of theirs goes to a browser.
    """
    made = []
    for upload in contribution.pictures[:most]:
        try:
            made.append(encode_picture(load_photo(upload.source, name=upload.name, max_side=_SIDE)))
        except PhotoError:
            continue
    return made


def take(matcher: Matcher, contribution: Contribution) -> list[Refused]:
    """See `contributions.take`; raises ChainError where somebody else has taken it meanwhile."""
    by = require("manager")
    _ask_open(matcher, contribution)
    return contributions.take(matcher, contribution, by=by)


def leave(matcher: Matcher, contribution: Contribution) -> None:
    """See `contributions.leave`; raises ChainError where somebody else has taken it meanwhile."""
    by = require("manager")
    _ask_open(matcher, contribution)
    contributions.leave(matcher.catalogue, contribution, by=by)


def _ask_open(matcher: Matcher, contribution: Contribution) -> None:
    if decisions.decided(matcher.catalogue).get(contribution.name):
        raise ChainError(f"contribution {contribution.name[:12]} was taken by somebody else meanwhile; reload the page")

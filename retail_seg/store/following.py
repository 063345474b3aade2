"""Which centre a store follows, which of its snapshots it stands on, and whose segmenter it therefore uses.

All of it is one setting of the catalogue, so it changes in the transaction in which the products do: what answers, and
what is said to answer, are never two things.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from catalogue import Catalogue, following

#: The folder of a store for what it publishes or follows.
CHAIN = "chain"
_CATALOGUE = "catalogue.db"


@dataclass(frozen=True)
class Followed:
    """What a store follows and where it stands.

    source    address of the snapshots; key: the public key that is trusted, as a line
    number    of the snapshot that answers; snapshot, size: its name and bytes; made: when the centre made it
    model     name of its segmenter's folder in `chain/models`
    taken     when this store took it; heard: when the source was last heard
    highest   the highest number that was ever heard: what is older is refused
    previous  number, name and size of the snapshot before, empty where there is none
    held      a number that was left with `follow --back`: only what is newer is taken of itself
    keys      further public keys that are trusted; retired: those that are trusted no more
    """

    source: str
    key: str
    number: int
    snapshot: str
    size: int
    made: str
    model: str
    taken: str
    heard: str
    highest: int
    previous: tuple[int, str, int] | tuple[()] = ()
    held: int = 0
    keys: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()

    @property
    def trusted(self) -> tuple[str, ...]:
        """All public keys that are trusted, as lines."""
        return tuple(key for key in dict.fromkeys((self.key, *self.keys)) if key not in self.retired)

    @property
    def label(self) -> str:
        """The snapshot as reports say it: its number and the first digits of its name."""
        return f"{self.number}:{self.snapshot[:12]}"

    def to_json(self) -> dict[str, Any]:
        """As the setting holds it."""
        return asdict(self)


def followed_by(catalogue: Catalogue) -> Followed | None:
    """What a store follows, None where it follows nobody."""
    kept = following.followed(catalogue)
    tuples = ("previous", "keys", "retired")
    return None if kept is None else Followed(**{**kept, **{name: tuple(kept.get(name, ())) for name in tuples}})


def followed_model(store: Path) -> Path | None:
    """Folder of the centre's segmenter that a store uses, None where it follows nobody."""
    if not (store / CHAIN).is_dir() or not (store / _CATALOGUE).is_file():
        return None
    with Catalogue.open(store / _CATALOGUE) as catalogue:
        followed = followed_by(catalogue)
    return None if followed is None else store / CHAIN / "models" / followed.model

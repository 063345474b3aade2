"""A store published: what is new of it laid down in chunks, and at the end, in one step, the head that names it.

Killed at any moment, the head is the old one or the new one; chunks that no head names yet lie there for the next try.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalogue.database import now
from catalogue.snapshot import Moment, at_one_moment
from retail_seg import __version__
from retail_seg.chain.keys import Keys, SigningKey
from retail_seg.chain.packing import (
    PART,
    Chunk,
    chunk_of,
    chunks_of,
    pack,
    product_parts,
    reference_parts,
)
from retail_seg.chain.remote import Remote
from retail_seg.chain.snapshot import HISTORY, Head, ModelFile, Part, Snapshot, read_head
from retail_seg.chain.sweeping import GRACE, Swept, sweep
from retail_seg.errors import ChainError
from retail_seg.people.roles import require, sign
from retail_seg.store.active_model import NOT_MODEL, model_in_use
from retail_seg.store.following import followed_by
from retail_seg.store.gallery import LEARNED_FROM, RANKER, RANKER_ID
from retail_seg.store.index_server import local_kind
from retail_seg.store.opening import open_catalogue
from retail_seg.store.policy import LIKELY_FROM, PRECISION, RATE, STRANGERS
from retail_seg.system.files import locked

if TYPE_CHECKING:
    from catalogue import Catalogue

#: Settings that make answers, and go to every store.
TRAVELS = (RANKER, RANKER_ID, LEARNED_FROM, PRECISION, LIKELY_FROM, STRANGERS, RATE)
#: A publisher's own notes: what it has published, by address.
_PUBLISHED = "published"
#: Its keys, of which each head tells.
_KEYS = "signing_keys"

OnPart = Callable[[int], None]


@dataclass(frozen=True)
class Published:
    """What a publication came to: the snapshot's number and name, whether it is new, and what went over the line.

    swept   what was taken away afterwards, None where all snapshots are kept
    """

    number: int
    name: str
    fresh: bool
    chunks: int = 0
    sent: int = 0
    total: int = 0
    swept: Swept | None = None


def publish(
    store: Path,
    address: str,
    key: SigningKey,
    *,
    again: bool = False,
    take_over: bool = False,
    keep: int | None = None,
    grace: float = GRACE,
    by: str = "",
    on_part: OnPart = lambda parts: None,
) -> Published:
    """Publish a store at an address; what lies there already is not sent again, unless `again` says so.

    With `keep`, what none of so many last snapshots needs is taken away, `grace` seconds after it was seen first.

    Raises ChainError where another centre publishes there: with another key, or, unless `take_over` says that this
    store goes on from there, with this one. Only a manager may (NotAllowed). `on_part` hears of parts that are done.
    """
    by = sign("manager", by)
    with open_catalogue(store) as catalogue, _alone(store):
        if followed_by(catalogue) is not None:
            raise ChainError(f"{store}: follows a centre itself; publish from the centre's store")
        remote, keys = Remote(address), _signing(catalogue, key)
        last = _last(remote, keys, again)
        _ask_own(catalogue, remote, last, take_over)
        sending = _Sending(remote, last, again, on_part)
        snapshot = _laid_down(catalogue, store, sending, last, by)
        if last and last.says(snapshot, keys) and not again:
            done = Published(last.head.number, last.head.snapshot.name, False)
            snapshot = last.snapshot or snapshot
        else:
            done = _announced(catalogue, remote, key, keys, snapshot, sending, last, by)
        return done if keep is None else replace(done, swept=sweep(remote, snapshot, done.name, keep, grace))


@contextmanager
def _alone(store: Path) -> Iterator[None]:
    try:
        with locked(store / "chain" / "locks" / "publish", wait=False):
            yield
    except BlockingIOError:
        raise ChainError(f"{store}: is being published just now; wait until that is done") from None


@dataclass(frozen=True)
class Last:
    """What is published at an address: its head, and the snapshot, None where that is damaged or not believed."""

    head: Head
    snapshot: Snapshot | None

    def says(self, snapshot: Snapshot, keys: Keys) -> bool:
        """Whether a new snapshot would say nothing else: neither what answers nor who signs."""
        return self.snapshot is not None and self.snapshot.content() == snapshot.content() and self.head.keys == keys


def _signing(catalogue: Catalogue, key: SigningKey) -> Keys:
    """The keys of which the next head tells; raises ChainError where shops would not take the one that signs."""
    keys, line = own_keys(catalogue), str(key.public)
    if line in keys.retired:
        raise ChainError(
            f"key {key.public.fingerprint} was retired, and shops refuse it; sign with a newer one (--key)"
        )
    if keys.trusted and line not in keys.trusted:
        raise ChainError(
            f"key {key.public.fingerprint} is another than this store has signed with, and shops were not told of it; "
            "add it with `retail-seg key add` and publish once with the old one"
        )
    return keys.told(Keys((line,)))


def _last(remote: Remote, keys: Keys, again: bool) -> Last | None:
    """What is published there, all of it checked; None where nothing is."""
    head = _head(remote, keys)
    if head is None:
        return None
    try:
        return Last(head, Snapshot.from_bytes(remote.chunk(head.snapshot)))
    except ChainError as error:
        if again:
            return Last(head, None)
        raise ChainError(f"{error}; publish with --again") from None


def _head(remote: Remote, keys: Keys) -> Head | None:
    """The head there; one that a retired key of this store has signed is believed until the next one is written."""
    data = remote.head()
    return None if data is None else read_head(data, remote.address, Keys((*keys.trusted, *keys.retired)))[0]


def _ask_own(catalogue: Catalogue, remote: Remote, last: Last | None, take_over: bool) -> None:
    if last is None or take_over:
        return
    head = last.head
    if head.snapshot.name not in _notes(catalogue).get(remote.place, {}).get("names", []):
        raise ChainError(
            f"{remote.address}: holds snapshot {head.number} of {head.made[:16]}, which this store did not publish: "
            "another centre publishes there, or this store was restored; --take-over goes on from it"
        )


class _Sending:
    """What was sent, and what need not be: the parts of the last snapshot, and chunks that an attempt has left."""

    def __init__(self, remote: Remote, last: Last | None, again: bool, on_part: OnPart) -> None:
        self._remote, self._on_part = remote, on_part
        believed = None if last is None or again else last.snapshot
        self._known = set() if believed is None else set(believed.chunks())
        self._parts = {} if believed is None else {part.first: part for part in believed.references}
        self._there: dict[str, int] | None = {} if again else None
        self.chunks = self.sent = self.parts = 0

    def unchanged(self, first: int, mark: str) -> Part | None:
        """The part of references that begins there, where it is as it was."""
        part = self._parts.get(first)
        return part if part is not None and part.mark == mark else None

    def send(self, data: bytes) -> Chunk:
        """Lay bytes down, where they do not lie there."""
        chunk = chunk_of(data)
        if chunk not in self._known:
            if self._there is None:
                self._there = self._remote.stored()
            sent = self._remote.put(chunk, data, self._there)
            self._known.add(chunk)
            self.chunks += sent > 0
            self.sent += sent
        return chunk

    def done(self) -> None:
        """One more part is done."""
        self.parts += 1
        self._on_part(self.parts)


def _laid_down(catalogue: Catalogue, store: Path, sending: _Sending, last: Last | None, by: str) -> Snapshot:
    """Everything but the head: the store at one moment in chunks, and the snapshot that lists them."""
    from retail_seg.segmentation.segmenter import Segmenter

    folder = model_in_use(store)
    model = Segmenter.load(folder)
    files = _model_files(folder, sending)
    with at_one_moment(catalogue) as moment:
        if moment.has_own_ids():
            raise ChainError(f"{store}: holds references of a store that followed a centre; import them into a new one")
        settings = moment.settings()
        travels = json.dumps({name: settings.get(name, "") for name in TRAVELS}, sort_keys=True).encode()
        return Snapshot(
            number=0,
            made=now(),
            by=by,
            centre=settings["identity"],
            program=__version__,
            revision=int(settings["revision"]),
            embedder=(settings.get("embedder_name") or "retail-vgg", settings["embedder"], int(settings["dim"])),
            index=local_kind(settings.get("index") or "flat"),
            settings=tuple(sending.send(data) for data in chunks_of(travels)),
            products=tuple(_product_parts(moment, sending)),
            references=tuple(_reference_parts(moment, settings["embedder"], sending)),
            segmenter=f"{model.name}:{model.fingerprint}",
            files=files,
            history=_history(last),
        )


def _product_parts(moment: Moment, sending: _Sending) -> Iterator[Part]:
    for rows in product_parts(moment.products()):
        yield Part(sending.send(pack(rows)), rows[0]["sku"])
        sending.done()


def _reference_parts(moment: Moment, embedder: str, sending: _Sending) -> Iterator[Part]:
    for first, mark in list(reference_parts(moment.marks(), embedder)):
        part = sending.unchanged(first, mark)
        yield part or Part(sending.send(pack(moment.references(first, first + PART))), first, mark)
        sending.done()


def _model_files(folder: Path, sending: _Sending) -> tuple[ModelFile, ...]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    named = [(path, path.relative_to(folder)) for path in paths]
    return tuple(
        ModelFile(name.as_posix(), tuple(sending.send(data) for data in chunks_of(path.read_bytes())))
        for path, name in named
        if name.parts[0] != NOT_MODEL
    )


def _history(last: Last | None) -> tuple[tuple[int, str], ...]:
    if last is None:
        return ()
    before = last.snapshot.history if last.snapshot else ()
    return ((last.head.number, last.head.snapshot.name), *before)[:HISTORY]


def _announced(
    catalogue: Catalogue,
    remote: Remote,
    key: SigningKey,
    keys: Keys,
    snapshot: Snapshot,
    sending: _Sending,
    last: Last | None,
    by: str,
) -> Published:
    """Name the snapshot in the head; what this store is about to say is written down before it is said."""
    noted = _notes(catalogue).get(remote.place, {})
    number = 1 + max(last.head.number if last else 0, int(noted.get("number", 0)))
    snapshot = replace(snapshot, number=number)
    listed = sending.send(snapshot.to_bytes())
    names = [listed.name, *([last.head.snapshot.name] if last else [])]
    _note(catalogue, remote.place, number, names)
    if own_keys(catalogue) != keys:
        state_own_keys(catalogue, keys)
    if _head(remote, keys) != (last and last.head):
        raise ChainError(f"{remote.address}: another centre has published there just now; nothing was changed")
    with catalogue.logged(f"publish snapshot {number}", by=by):
        remote.write_head(Head(number, listed, snapshot.made, keys).signed(key))
    total = sum(chunk.size for chunk in set(snapshot.chunks()))
    return Published(number, listed.name, True, sending.chunks, sending.sent, total)


def own_keys(catalogue: Catalogue) -> Keys:
    """The keys with which a centre signs or has signed."""
    kept = json.loads(catalogue.get_setting(_KEYS) or "{}")
    return Keys(tuple(kept.get("trusted", ())), tuple(kept.get("retired", ())))


def state_own_keys(catalogue: Catalogue, keys: Keys) -> None:
    """Say with which keys a centre signs; only a manager may."""
    require("manager")
    catalogue.set_setting(_KEYS, json.dumps(asdict(keys)))


def published_at(catalogue: Catalogue) -> tuple[str, ...]:
    """The addresses at which a store has published, the last one first."""
    return tuple(reversed(_notes(catalogue)))


def _notes(catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    kept = catalogue.get_setting(_PUBLISHED)
    return json.loads(kept) if kept else {}


def _note(catalogue: Catalogue, place: str, number: int, names: list[str]) -> None:
    others = {other: noted for other, noted in _notes(catalogue).items() if other != place}
    notes = others | {place: {"number": number, "names": names}}
    catalogue.set_setting(_PUBLISHED, json.dumps(notes))

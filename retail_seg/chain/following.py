"""A store that follows a centre: what is new is fetched and checked, then taken over in one transaction.

Until that transaction is committed the store stands on the old snapshot, from then on on the new one, whatever is
killed: the rows, the settings that make answers, the segmenter in use and the number that reports say are all in it.
What was fetched lies in `chain/chunks` of the store and is not fetched again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from catalogue import following
from catalogue.database import now
from catalogue.following import Arrivals
from retail_seg.chain.keys import Keys, PublicKey
from retail_seg.chain.packing import Chunk
from retail_seg.chain.remote import Remote
from retail_seg.chain.snapshot import Head, Snapshot, read_head
from retail_seg.chain.switching import Switch, model_folder
from retail_seg.errors import ChainError, StoreError
from retail_seg.people.roles import sign
from retail_seg.store.active_model import use_model
from retail_seg.store.following import CHAIN, Followed, followed_by
from retail_seg.store.opening import CATALOGUE, open_catalogue
from retail_seg.system.files import locked

OnPiece = Callable[[int, int], None]


def unheard(done: int, total: int) -> None:
    """Nobody is told how far the fetching is."""


@dataclass(frozen=True)
class Step:
    """What following came to: where the store stands, whether that is new, and what it took.

    trusted   the key was pinned just now, because nobody had said which one to trust
    fetched   bytes of the chunks that were fetched, before they were deflated
    waits     the number of a snapshot that is there and not taken, because a person went back from it; else 0
    """

    stands: Followed
    fresh: bool
    trusted: bool = False
    fetched: int = 0
    waits: int = 0
    taken: Arrivals | None = None


def follow(
    store: Path,
    address: str = "",
    *,
    key: PublicKey | None = None,
    weights: Path | None = None,
    again: bool = False,
    by: str = "",
    on_chunk: OnPiece = unheard,
) -> Step:
    """Bring a store to the latest snapshot of an address, of the one that it follows without; make it where it is new.

    The first time the key that signed is trusted from then on, unless `key` says which it must be. A snapshot that was
    left by `go_back` is taken only `again`. Raises ChainError, with the store as it was; only a manager may.
    `on_chunk` hears how many bytes of how many were fetched.
    """
    by = sign("manager", by)
    with alone(store):
        stood = _stood(store)
        remote, trusted = _whom(store, stood, address, key)
        head, signer = _heard(remote, trusted, stood)
        if stood is not None and head.number in (stood.number, 0 if again else stood.held):
            return _nothing_new(store, remote, head, stood)
        data = remote.chunk(head.snapshot)
        snapshot = Snapshot.from_bytes(data)
        _ask_same_way(remote, head, snapshot, stood)
        stands = _to_stand(remote.place, signer, head, snapshot, stood)
        switch = Switch(store, stood, lambda: remote)
        switch.ready(snapshot, weights)
        fetched = switch.fetch(snapshot, on_chunk)
        switch.chunks.put(head.snapshot, data)
        taken = switch.take(snapshot, stands, by)
        return Step(stands, True, trusted is None, fetched, taken=taken)


def go_back(store: Path, *, by: str = "") -> Step:
    """Take the snapshot before this one again, and hold on to it until a newer one than this comes.

    Needs no line: what it takes lies in the store. Raises ChainError where there is none; only a manager may.
    """
    by = sign("manager", by)
    with alone(store):
        stood = _stood(store)
        if stood is None or not stood.previous:
            raise ChainError(f"{store}: stands on no snapshot that has one before it; there is nothing to go back to")
        switch = Switch(store, stood, lambda: Remote(stood.source))
        number, chunk = stood.previous[0], Chunk(*stood.previous[1:])
        switch.chunks.fetch([chunk], lambda: Remote(stood.source), unheard)
        snapshot = Snapshot.from_bytes(switch.chunks.need(chunk))
        switch.ready(snapshot)
        fetched = switch.fetch(snapshot, unheard)
        head = Head(number, chunk, snapshot.made)
        stands = _to_stand(stood.source, PublicKey.read(stood.key), head, snapshot, None)
        stands = replace(stands, heard=stood.heard, highest=stood.highest, held=stood.highest)
        stands = replace(stands, keys=stood.keys, retired=stood.retired)
        taken = switch.take(snapshot, stands, by)
        return Step(stands, True, fetched=fetched, taken=taken)


def stop(store: Path, *, by: str = "") -> None:
    """Follow nobody any more: the store keeps what it has, the centre's segmenter as its own; only a manager may."""
    by = sign("manager", by)
    with alone(store):
        with open_catalogue(store) as catalogue:
            stood = followed_by(catalogue)
            if stood is None:
                raise ChainError(f"{store}: follows nobody")
            following.leave(catalogue, by=by)
        use_model(store, model_folder(store, stood.model), by=by)
        for name in ("models", "chunks"):
            shutil.rmtree(store / CHAIN / name, ignore_errors=True)


@contextmanager
def alone(store: Path) -> Iterator[None]:
    """While nobody else brings the store to a snapshot or changes whom it trusts; raises ChainError."""
    held = False
    try:
        with locked(store / CHAIN / "locks" / "follow", wait=False):
            held = True
            yield
    except BlockingIOError:
        raise ChainError(f"{store}: is brought to a snapshot just now; wait until that is done") from None
    except (NotADirectoryError, FileExistsError):
        raise StoreError(f"{store}: is no folder; give another one with --store") from None
    finally:
        if held and not (store / CATALOGUE).exists() and not (store / CHAIN / "chunks").exists():
            shutil.rmtree(store / CHAIN, ignore_errors=True)  # a first time that came to nothing leaves nothing
            with suppress(OSError):
                store.rmdir()


def _stood(store: Path) -> Followed | None:
    """Where a store stands, None for one that is to begin; raises ChainError for one with products of its own."""
    if not (store / CATALOGUE).exists():
        if any(path.name != CHAIN for path in store.iterdir()):
            raise StoreError(f"{store}: is not empty and no store; follow into a new folder with --store")
        return None
    with open_catalogue(store) as catalogue:
        stood = followed_by(catalogue)
        if stood is None and not following.is_untouched(catalogue):
            raise ChainError(f"{store}: has products of its own; follow into a new folder with --store")
        return stood


def _whom(store: Path, stood: Followed | None, address: str, key: PublicKey | None) -> tuple[Remote, Keys | None]:
    """Where to ask, and which keys to trust."""
    if stood is None:
        if not address:
            raise ChainError(f"{store}: follows nobody yet; give the address of a centre's snapshots")
        return Remote(address), None if key is None else Keys((str(key),))
    trusted = Keys(stood.trusted, stood.retired)
    if key is not None and str(key) not in trusted.trusted:
        fingerprint = PublicKey.read(stood.key).fingerprint
        raise ChainError(
            f"{store}: follows the centre with key {fingerprint}, not {key.fingerprint}; follow another one "
            "with another store"
        )
    return Remote(address or stood.source), trusted


def _heard(remote: Remote, trusted: Keys | None, stood: Followed | None) -> tuple[Head, PublicKey]:
    """The head of today, signed by whom we trust, and no older than what was heard before."""
    try:
        data = remote.head()
        if data is None:
            raise ChainError(f"{remote.address}: no snapshot is published there; check the address")
        head, key = read_head(data, remote.address, trusted)
        if stood is not None:
            _ask_newer(remote, head, stood)
        return head, key
    except ChainError as error:
        if stood is None:
            raise
        raise ChainError(f"{error}; the store goes on with snapshot {stood.number} of {stood.made[:16]}") from None


def _ask_newer(remote: Remote, head: Head, stood: Followed) -> None:
    if head.number < stood.highest:
        raise ChainError(
            f"{remote.address}: offers snapshot {head.number}, older than {stood.highest}, which was there before: "
            "an old copy, or somebody turns the clock back"
        )
    if head.number == stood.number and head.snapshot.name != stood.snapshot:
        raise _two_centres(remote, head.number)


def _ask_same_way(remote: Remote, head: Head, snapshot: Snapshot, stood: Followed | None) -> None:
    """The snapshot is the head's, and comes after the one that the store stands on."""
    if snapshot.number != head.number:
        raise ChainError(
            f"{remote.address}: the head says {head.number}, its snapshot {snapshot.number}; publish again"
        )
    before = dict(snapshot.history)
    if stood is not None and before.get(stood.number, stood.snapshot) != stood.snapshot:
        raise _two_centres(remote, stood.number)


def _two_centres(remote: Remote, number: int) -> ChainError:
    return ChainError(
        f"{remote.address}: its snapshot {number} is another than the one taken here: two centres publish with one "
        "key; leave one of them"
    )


def _to_stand(source: str, key: PublicKey, head: Head, snapshot: Snapshot, stood: Followed | None) -> Followed:
    """What the store follows once the snapshot is taken."""
    keys = _told(head, stood)
    return Followed(
        source=source,
        key=str(key),
        number=head.number,
        snapshot=head.snapshot.name,
        size=head.snapshot.size,
        made=snapshot.made,
        model=snapshot.model_name,
        taken=now(),
        heard=now(),
        highest=head.number,
        previous=(stood.number, stood.snapshot, stood.size) if stood else (),
        keys=keys.trusted,
        retired=keys.retired,
    )


def _told(head: Head, stood: Followed | None) -> Keys:
    """Whom the store trusts after it has heard a head that somebody signed whom it trusts."""
    return (Keys() if stood is None else Keys(stood.trusted, stood.retired)).told(head.keys)


def _nothing_new(store: Path, remote: Remote, head: Head, stood: Followed) -> Step:
    """Write down that the source was heard; the snapshot that a person went back from waits."""
    keys = _told(head, stood)
    heard = replace(stood, source=remote.place, heard=now(), highest=head.number)
    heard = replace(heard, keys=keys.trusted, retired=keys.retired)
    with open_catalogue(store) as catalogue:
        following.note(catalogue, heard.to_json())
    return Step(heard, False, waits=head.number if head.number != stood.number else 0)

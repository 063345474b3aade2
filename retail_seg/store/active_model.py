"""Which segmenter a store uses: switched in one step, the former one kept so that the switch can be taken back.

`STORE/segmenter` is the model in use, the shipped one where it is missing. `STORE/segmenter.previous` is the model that
was in use before; an empty folder stands for the shipped one. A switch puts the new model in the place of the previous
one and then exchanges the two: the model in use goes aside, to `STORE/.segmenter.aside`, and is the one in use until it
comes to the previous one's place in one step. A process that dies in between leaves the store answering as before, and
the next switch or backup takes back what it had begun.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from retail_seg.errors import RetailSegError, StoreError
from retail_seg.people.roles import require, sign
from retail_seg.store.following import followed_model

T = TypeVar("T")

#: A store's own segmenter; the shipped one works where there is none.
SEGMENTER = "segmenter"
#: The model that was in use before the last switch; empty where that was the shipped one.
PREVIOUS = "segmenter.previous"
#: The model in use while a switch goes on, or after one that broke off; empty where that is the shipped one.
_ASIDE = ".segmenter.aside"
#: What of a model folder is not the model: the checkpoint of an interrupted training.
NOT_MODEL = "training"


def use_model(store_folder: Path, model_folder: Path, *, by: str) -> None:
    """Make a copy of a model the store's segmenter; a model that is in use already changes nothing.

    Only a manager may (NotAllowed); the change stands in the store's log under their name. Raises ModelError where the
    folder holds no usable model, StoreError where there is no store or it cannot be written.
    """
    by = sign("manager", by)
    store, model = Path(store_folder), Path(model_folder)
    _refuse_followed(store)
    name = _name_of(model)
    settle(store)
    in_use = own_model(store)
    if in_use is not None and _name_of(in_use) == name:
        return
    fresh = _copied(store, model)
    try:
        _logged_swap(store, f"use model {name}", by, fresh)
    finally:
        shutil.rmtree(fresh.parent, ignore_errors=True)


def previous_model(store_folder: Path) -> Path | None:
    """Folder of the model that `switch_back` would bring back, the shipped one among them; None where there is none."""
    store = Path(store_folder)
    broken_off = (store / _ASIDE).is_dir() and not (store / PREVIOUS).is_dir()
    previous = store / (SEGMENTER if broken_off else PREVIOUS)
    if not previous.is_dir():
        return _shipped() if broken_off else None
    return previous if any(previous.iterdir()) else _shipped()


def switch_back(store_folder: Path, *, by: str) -> None:
    """Take the last switch back: the former model is in use again, and the one left can be switched back to in turn.

    Only a manager may. Raises StoreError where no switch is known, ModelError where the former model is damaged.
    """
    by = sign("manager", by)
    store = Path(store_folder)
    _refuse_followed(store)
    settle(store)
    former = previous_model(store)
    if former is None:
        raise StoreError(f"{store}: has no earlier model; switch to one with `retail-seg runs use RUN --store {store}`")
    _logged_swap(store, f"use model {_name_of(former)}", by, None)


def model_in_use(store_folder: Path) -> Path:
    """Folder of the segmenter that a store uses: its own, or the shipped one."""
    return own_model(store_folder) or _shipped()


def own_model(store_folder: Path) -> Path | None:
    """Folder of a store's own segmenter, or of the centre's that it follows; None where it uses the shipped one."""
    if (followed := followed_model(Path(store_folder))) is not None:
        return followed
    own, aside = Path(store_folder) / SEGMENTER, Path(store_folder) / _ASIDE
    for _ in range(2):  # again where a switch began between the two looks
        with suppress(FileNotFoundError):  # or ended between them
            if aside.is_dir():
                return aside if any(aside.iterdir()) else None
        if own.is_dir():
            return own
    return None


def load_in_use(store_folder: Path, load: Callable[[Path], T]) -> tuple[tuple[int, int], T]:
    """The model that a store uses, by what loads a folder, and its stamp; read again where a switch came between.

    Raises what `load` raises of a model that stays in use.
    """
    while True:
        before = stamp(store_folder), model_in_use(store_folder)
        try:
            found = load(before[1])
        except (RetailSegError, OSError):
            if (stamp(store_folder), model_in_use(store_folder)) == before:
                raise
            continue  # it was moved while it was read
        if (stamp(store_folder), model_in_use(store_folder)) == before:
            return before[0], found


def stamp(store_folder: Path) -> tuple[int, int]:
    """Changes with the model that a store uses; (0, 0) stands for the shipped one."""
    own = own_model(store_folder)
    try:
        found = os.stat(own) if own else None
    except FileNotFoundError:  # switched in this moment: another stamp than any that is kept
        return (-1, 0)
    return (found.st_ino, found.st_mtime_ns) if found else (0, 0)


def settle(store_folder: Path) -> None:
    """Take back a switch that broke off, see this module; nothing is done where none did. Only a manager may."""
    require("manager")
    from retail_seg.store.opening import open_catalogue

    store = Path(store_folder)
    if (store / _ASIDE).is_dir():
        with open_catalogue(store) as catalogue, catalogue.change():  # a switch that goes on comes to its end first
            _take_back(store / SEGMENTER, store / PREVIOUS, store / _ASIDE)


def _refuse_followed(store: Path) -> None:
    if followed_model(store) is not None:
        raise StoreError(
            f"{store}: follows a centre, whose segmenter it uses; switch it there, or leave with "
            f"`retail-seg follow --stop --store {store}`"
        )


def _shipped() -> Path:
    from retail_seg.segmentation.segmenter import SHIPPED

    return SHIPPED


def _name_of(model: Path) -> str:
    """Name and fingerprint of a model, which is read whole: what cannot be loaded must not come into use."""
    from retail_seg.store.networks import load_segmenter

    found = load_segmenter(model)
    return f"{found.name}:{found.fingerprint}"


def _copied(store: Path, model: Path) -> Path:
    """A copy of the model in a temporary folder of the store, on its disk, so that it can be renamed into place."""
    from retail_seg.store.opening import open_catalogue

    open_catalogue(store).close()
    folder = None
    try:
        folder = Path(tempfile.mkdtemp(prefix=".segmenter-", dir=store))
        shutil.copytree(model, folder / SEGMENTER, ignore=shutil.ignore_patterns(NOT_MODEL))
    except OSError as error:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        reason = error.strerror or error
        raise StoreError(f"{store}: the model cannot be copied there ({reason}); nothing was changed") from None
    return folder / SEGMENTER


def _logged_swap(store: Path, action: str, by: str, fresh: Path | None) -> None:
    """Exchange the model in use with `fresh` (None: the previous one) inside the log's transaction, one at a time."""
    from retail_seg.store.opening import log_of

    own, previous, aside = store / SEGMENTER, store / PREVIOUS, store / _ASIDE
    with log_of(store)(action, by=by):
        try:
            if fresh is not None:
                if previous.is_dir():
                    os.rename(previous, fresh.parent / PREVIOUS)
                os.rename(fresh, previous)
            _swap(own, previous, aside)
        except OSError as error:
            with suppress(OSError):  # what cannot be taken back now is by the next switch, see `settle`
                _take_back(own, previous, aside)
            reason = error.strerror or error
            raise StoreError(f"{store}: its model cannot be switched ({reason}); check who may write there") from None


def _swap(own: Path, previous: Path, aside: Path) -> None:
    """Exchange the two; a missing `own`, and any of the others that is empty, stand for the shipped model."""
    if own.is_dir():
        os.rename(own, aside)
    else:
        aside.mkdir()
    if any(previous.iterdir()):
        os.rename(previous, own)
    else:
        previous.rmdir()
    os.rename(aside, previous)  # from here on the other model is in use


def _take_back(own: Path, previous: Path, aside: Path) -> None:
    """Bring both back to where they were before a `_swap` that did not come to its end."""
    if not aside.is_dir():
        return
    if not previous.is_dir():
        if own.is_dir():
            os.rename(own, previous)
        else:
            previous.mkdir()
    if any(aside.iterdir()):
        os.rename(aside, own)
    else:
        aside.rmdir()

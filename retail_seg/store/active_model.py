"""Which segmenter a store uses: switched in one step, the former one kept so that the switch can be taken back.

`STORE/segmenter` is the model in use, the shipped one where it is missing. `STORE/segmenter.previous` is the model that
was in use before; an empty folder stands for the shipped one. A switch puts the new model in the place of the previous
one and then exchanges the two, so a process that dies in between leaves the store answering as before.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
from pathlib import Path

from retail_seg.errors import StoreError
from retail_seg.people.roles import sign

#: A store's own segmenter; the shipped one works where there is none.
SEGMENTER = "segmenter"
#: The model that was in use before the last switch; empty where that was the shipped one.
PREVIOUS = "segmenter.previous"
#: What of a model folder is not the model: the checkpoint of an interrupted training.
_NOT_MODEL = "training"


def use_model(store_folder: Path, model_folder: Path, *, by: str) -> None:
    """Make a copy of a model the store's segmenter; a model that is in use already changes nothing.

    Only a manager may (NotAllowed); the change stands in the store's log under their name. Raises ModelError where the
    folder holds no usable model, StoreError where there is no store or it cannot be written.
    """
    by = sign("manager", by)
    store, model = Path(store_folder), Path(model_folder)
    name = _name_of(model)
    in_use = store / SEGMENTER
    if in_use.is_dir() and _name_of(in_use) == name:
        return
    fresh = _copied(store, model)
    try:
        _logged_swap(store, f"use model {name}", by, fresh)
    finally:
        shutil.rmtree(fresh.parent, ignore_errors=True)


def previous_model(store_folder: Path) -> Path | None:
    """Folder of the model that `switch_back` would bring back, the shipped one among them; None where there is none."""
    previous = Path(store_folder) / PREVIOUS
    if not previous.is_dir():
        return None
    return previous if any(previous.iterdir()) else _shipped()


def switch_back(store_folder: Path, *, by: str) -> None:
    """Take the last switch back: the former model is in use again, and the one left can be switched back to in turn.

    Only a manager may. Raises StoreError where no switch is known, ModelError where the former model is damaged.
    """
    by = sign("manager", by)
    store = Path(store_folder)
    former = previous_model(store)
    if former is None:
        raise StoreError(f"{store}: has no earlier model; switch to one with `retail-seg runs use RUN --store {store}`")
    _logged_swap(store, f"use model {_name_of(former)}", by, None)


def model_in_use(store_folder: Path) -> Path:
    """Folder of the segmenter that a store uses: its own, or the shipped one."""
    own = Path(store_folder) / SEGMENTER
    return own if own.is_dir() else _shipped()


def stamp(store_folder: Path) -> tuple[int, int]:
    """Changes with the model that a store uses; (0, 0) stands for the shipped one."""
    try:
        found = os.stat(Path(store_folder) / SEGMENTER)
    except OSError:
        return (0, 0)
    return (found.st_ino, found.st_mtime_ns)


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
        shutil.copytree(model, folder / SEGMENTER, ignore=shutil.ignore_patterns(_NOT_MODEL))
    except OSError as error:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        reason = error.strerror or error
        raise StoreError(f"{store}: the model cannot be copied there ({reason}); nothing was changed") from None
    return folder / SEGMENTER


def _logged_swap(store: Path, action: str, by: str, fresh: Path | None) -> None:
    """Exchange the model in use with `fresh` (None: the previous one) inside the log's transaction, one at a time."""
    from retail_seg.store.opening import open_catalogue

    with open_catalogue(store) as catalogue, catalogue.logged(action, by=by):
        try:
            if fresh is not None:
                shutil.rmtree(store / PREVIOUS, ignore_errors=True)
                os.rename(fresh, store / PREVIOUS)
            _swap(store / SEGMENTER, store / PREVIOUS)
        except OSError as error:
            reason = error.strerror or error
            raise StoreError(f"{store}: its model cannot be switched ({reason}); check who may write there") from None


def _swap(own: Path, previous: Path) -> None:
    """Exchange the two; a missing `own` and an empty `previous` stand for the shipped model."""
    if not own.is_dir():
        os.rename(previous, own)
        previous.mkdir()
    elif not any(previous.iterdir()):
        previous.rmdir()
        os.rename(own, previous)
    elif not _exchanged(own, previous):  # a system without the call: two steps, the first of which can be taken back
        aside = previous.with_name(f".{previous.name}.aside")
        shutil.rmtree(aside, ignore_errors=True)
        os.rename(own, aside)
        try:
            os.rename(previous, own)
        except OSError:
            os.rename(aside, own)
            raise
        os.rename(aside, previous)


def _exchanged(a: Path, b: Path) -> bool:
    """Exchange two folders in one step with Linux's renameat2(RENAME_EXCHANGE); False where there is no such call."""
    if sys.platform != "linux":
        return False
    call = getattr(ctypes.CDLL(None), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of <fcntl.h> and <linux/fs.h>
    return call is not None and call(here, os.fsencode(a), here, os.fsencode(b), exchange) == 0

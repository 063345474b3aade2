"""The photos that people annotate for a store's segmenter, kept in the store, with every edit on disk at once.

    STORE/teaching/photos/ID.jpg     the photo, upright; ID is a hash of its content, never a name that was given
    STORE/teaching/labels/ID.png     its instance ids, 16-bit grey, 0 = background, 65535 = ignored: what `train` reads
    STORE/teaching/about/ID.json     name, size, who and when, whether it is finished, how far its edits are undone,
                                     and which of its instances are boxes
    STORE/teaching/edits/ID/N.npz    the last edits, to undo and redo

An edit writes its patch, then the labels, then how far the edits are, each file whole or not at all: a server that
dies in between loses at most the possibility to undo the last one. A lock on each photo keeps two people apart.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from retail_seg.errors import PhotoError, RetailSegError
from retail_seg.people.roles import require
from retail_seg.photos.load import MAX_BYTES, load_photo
from retail_seg.segmentation.boxes import Box
from retail_seg.system.files import locked, replace_file
from retail_seg.teaching.box_edits import still_boxes
from retail_seg.teaching.edits import Patch, patch_of
from retail_seg.teaching.files import (
    Cache,
    load_patch,
    plain_name,
    read_ids,
    save_patch,
    upright_file,
    write_ids,
)

FOLDER = "teaching"
#: A photo that nobody worked on, one in work, and one on which every thing is outlined: only these are trained on.
NEW, DRAFT, DONE = "new", "draft", "done"
#: Edits of a photo that can be undone.
UNDOABLE = 60
#: Photos, and labels, that are kept decoded in memory.
IN_MEMORY = 4
_ID = re.compile(r"[0-9a-f]{16}")


class TeachingError(RetailSegError):
    """A photo or an edit of the annotation set is not there, or cannot be made."""


@dataclass(frozen=True)
class TaughtPhoto:
    """A photo of the set, in one of the three states; `at` edits are done and can be undone, `top - at` redone.

    `outline` is a polygon in work (pixels of the photo), `clicks` the clicks (x, y, on the thing or beside it) that
    the proposal for instance `clicked` came from. `boxes` are the instances that are boxes: (id, x, y, width, height)
    in pixels of the photo, as they were drawn.
    """

    id: str
    name: str
    width: int
    height: int
    added: str
    added_by: str
    suffix: str
    state: str = NEW
    instances: int = 0
    edited: str = ""
    edited_by: str = ""
    at: int = 0
    top: int = 0
    outline: tuple[tuple[float, float], ...] = ()
    clicks: tuple[tuple[float, float, bool], ...] = ()
    clicked: int = 0
    source: str = ""
    boxes: tuple[tuple[int, float, float, float, float], ...] = ()

    @property
    def box_of(self) -> dict[int, Box]:
        """Instance id ► its box, of the instances that are boxes."""
        return {number: (x, y, w, h) for number, x, y, w, h in self.boxes}


@dataclass(frozen=True)
class Added:
    """What became of uploads: the ids of the photos, those that were there already among them, and what was refused."""

    ids: tuple[str, ...]
    known: int
    problems: tuple[str, ...]


class Teaching:
    """The annotation set of a store. Safe to use from several threads and processes; holds nothing but caches."""

    def __init__(self, store: str | Path) -> None:
        self.store = Path(store)
        self.folder = self.store / FOLDER
        self.photos_folder, self.labels_folder = self.folder / "photos", self.folder / "labels"
        self._about_folder, self._edits_folder = self.folder / "about", self.folder / "edits"
        self._pictures: Cache[np.ndarray] = Cache(IN_MEMORY)
        self._labels: Cache[np.ndarray] = Cache(IN_MEMORY)

    # -- photos ----------------------------------------------------------------------------------------------

    def add(self, uploads: Sequence[tuple[str, bytes]]) -> Added:
        """Add photos given as (name, bytes of the file); one that cannot be read is a problem and stops no other."""
        by = require("staff")
        ids: list[str] = []
        problems: list[str] = []
        known = 0
        for name, data in uploads:
            try:
                id_, fresh = self._add(name, data, by)
            except PhotoError as error:
                problems.append(str(error))
                continue
            ids.append(id_)
            known += not fresh
        return Added(tuple(dict.fromkeys(ids)), known, tuple(problems))

    def _add(self, name: str, data: bytes, by: str) -> tuple[str, bool]:
        shown = plain_name(name)
        if len(data) > MAX_BYTES:
            raise PhotoError(f"{shown}: is larger than {MAX_BYTES // 2**20} MB; save it smaller")
        id_ = hashlib.sha256(data).hexdigest()[:16]
        if self._about_path(id_).is_file():
            return id_, False
        picture = load_photo(data, name=shown)
        kept, suffix = upright_file(data, picture)
        replace_file(self.photos_folder / f"{id_}{suffix}", kept)
        height, width = picture.shape[:2]
        self._write(TaughtPhoto(id_, shown, width, height, _now(), by, suffix))
        return id_, True

    def photos(self) -> list[TaughtPhoto]:
        """All photos of the set, the oldest first."""
        if not self._about_folder.is_dir():
            return []
        found = [self._read(path) for path in self._about_folder.glob("*.json")]
        return sorted(found, key=lambda photo: (photo.added, photo.id))

    def photo(self, id_: str) -> TaughtPhoto:
        """One photo; TeachingError where the set has none with this id."""
        path = self._about_path(id_)
        if not path.is_file():
            raise TeachingError(f"The photo {id_} is not in the annotation set; choose one of its list")
        return self._read(path)

    def path(self, photo: TaughtPhoto) -> Path:
        """The file of a photo."""
        return self.photos_folder / f"{photo.id}{photo.suffix}"

    def picture(self, photo: TaughtPhoto) -> np.ndarray:
        """The upright photo, RGB uint8 (H, W, 3); not to be written to."""
        return self._pictures.get(photo.id, lambda: load_photo(self.path(photo), name=photo.name))

    def labels(self, photo: TaughtPhoto) -> np.ndarray:
        """The photo's instance ids (H, W) int32; not to be written to."""
        path = self.labels_path(photo.id)
        try:
            stat = path.stat()
        except FileNotFoundError:
            return np.zeros((photo.height, photo.width), np.int32)
        return self._labels.get((photo.id, stat.st_ino, stat.st_mtime_ns), lambda: read_ids(path))

    def numbers(self, photo: TaughtPhoto) -> list[int]:
        """The ids of the instances on a photo, ascending."""
        labels = self.labels(photo)
        return _ids(labels)

    def labels_path(self, id_: str) -> Path:
        """Where a photo's ids lie, or will lie."""
        return self.labels_folder / f"{id_}.png"

    def remove(self, id_: str) -> None:
        """Take a photo and its annotation out of the set."""
        require("staff")
        photo = self.photo(id_)
        with self._lock(id_):
            self._about_path(id_).unlink(missing_ok=True)
            self.labels_path(id_).unlink(missing_ok=True)
            self.path(photo).unlink(missing_ok=True)
            shutil.rmtree(self._edits_folder / id_, ignore_errors=True)

    # -- edits -----------------------------------------------------------------------------------------------

    def edit(
        self,
        id_: str,
        change: Callable[[np.ndarray], np.ndarray],
        *,
        keep: dict[str, Any] | None = None,
        boxes: Callable[[], Mapping[int, Box]] | None = None,
    ) -> TaughtPhoto:
        """Let `change` turn the ids (H, W) int32 into others; kept on disk when this returns, and can be undone.

        `keep` holds fields of TaughtPhoto to be kept with it (outline, clicks). A finished photo stays finished unless
        nothing is left on it. `boxes` tells, after `change`, which ids are boxes; without it those that were, less
        what was painted on or erased from. TeachingError where there is no such photo.
        """
        by = require("staff")
        with self._lock(id_):
            photo = self.photo(id_)
            before = self.labels(photo)
            after = change(before)
            photo = replace(photo, outline=(), clicks=(), clicked=0)
            were = _seen(photo.box_of, before)
            are = boxes() if boxes else still_boxes(were, before, after)
            patch = patch_of(before, after, were, _seen(are, after))
            if patch is not None:
                photo = self._pushed(photo, patch)
                write_ids(self.labels_path(id_), after)
                photo = replace(photo, edited=_now(), edited_by=by, **_counted(photo, after, patch.boxes_after))
            photo = replace(photo, **(keep or {}))
            self._write(photo)
            return photo

    def undo(self, id_: str) -> TaughtPhoto:
        """Take the last edit back; nothing happens where there is none."""
        return self._step(id_, back=True)

    def redo(self, id_: str) -> TaughtPhoto:
        """Do the edit again that was undone last; nothing happens where there is none."""
        return self._step(id_, back=False)

    def note(self, id_: str, **fields: Any) -> TaughtPhoto:
        """Keep fields of the photo that are not its ids: the outline in work."""
        require("staff")
        with self._lock(id_):
            photo = replace(self.photo(id_), **fields)
            self._write(photo)
            return photo

    def finish(self, id_: str, done: bool) -> TaughtPhoto:
        """Say that every thing on a photo is outlined, so that it is trained on, or that it is not."""
        require("staff")
        with self._lock(id_):
            photo = self.photo(id_)
            if done and not photo.instances:
                raise TeachingError(f"{photo.name}: nothing is outlined on it; outline at least one thing first")
            photo = replace(photo, state=DONE if done else DRAFT if photo.instances else NEW)
            self._write(photo)
            return photo

    def _step(self, id_: str, *, back: bool) -> TaughtPhoto:
        by = require("staff")
        with self._lock(id_):
            photo = self.photo(id_)
            number = photo.at if back else photo.at + 1
            patch = self._patch(id_, number)
            if not 0 < number <= photo.top or patch is None:
                return photo
            labels = self.labels(photo).copy()
            (patch.revert if back else patch.apply)(labels)
            write_ids(self.labels_path(id_), labels)
            photo = replace(
                photo, at=number - 1 if back else number, edited=_now(), edited_by=by, outline=(), clicks=(), clicked=0,
                **_counted(photo, labels, patch.boxes_before if back else patch.boxes_after),
            )  # fmt: skip
            self._write(photo)
            return photo

    def _pushed(self, photo: TaughtPhoto, patch: Patch) -> TaughtPhoto:
        """The photo with one more edit; what had been undone can no longer be redone, the oldest edits go."""
        number = photo.at + 1
        folder = self._edits_folder / photo.id
        for path in folder.glob("*.npz"):
            if int(path.stem) > number or int(path.stem) <= number - UNDOABLE:
                path.unlink(missing_ok=True)
        save_patch(folder / f"{number}.npz", patch)
        return replace(photo, at=number, top=number)

    def _patch(self, id_: str, number: int) -> Patch | None:
        path = self._edits_folder / id_ / f"{number}.npz"
        return load_patch(path) if path.is_file() else None

    def can_undo(self, photo: TaughtPhoto) -> bool:
        """Whether there is an edit to take back."""
        return photo.at > 0 and (self._edits_folder / photo.id / f"{photo.at}.npz").is_file()

    def can_redo(self, photo: TaughtPhoto) -> bool:
        """Whether there is an undone edit."""
        return photo.at < photo.top

    # -- files -----------------------------------------------------------------------------------------------

    def _about_path(self, id_: str) -> Path:
        if not _ID.fullmatch(id_):
            raise TeachingError("This is no photo of the annotation set; choose one of its list")
        return self._about_folder / f"{id_}.json"

    def _write(self, photo: TaughtPhoto) -> None:
        text = json.dumps(asdict(photo), ensure_ascii=False, indent=1)
        replace_file(self._about_path(photo.id), text.encode())

    def _read(self, path: Path) -> TaughtPhoto:
        values = json.loads(path.read_text(encoding="utf-8"))
        values["outline"] = tuple((x, y) for x, y in values["outline"])
        values["clicks"] = tuple((x, y, on) for x, y, on in values["clicks"])
        values["boxes"] = tuple((n, x, y, w, h) for n, x, y, w, h in values.get("boxes", ()))
        return TaughtPhoto(**values)

    @contextmanager
    def _lock(self, id_: str) -> Iterator[None]:
        self._about_path(id_)  # checks the id before it becomes a path
        with locked(self.folder / "locks" / id_):
            yield


def _counted(photo: TaughtPhoto, labels: np.ndarray, boxes: Mapping[int, Box]) -> dict[str, Any]:
    """The number of instances, the state and the boxes that follow from ids and an edit."""
    count = len(_ids(labels))
    state = NEW if not count else DRAFT if photo.state == NEW else photo.state
    return {"instances": count, "state": state, "boxes": tuple((n, *box) for n, box in boxes.items())}


def _seen(boxes: Mapping[int, Box], labels: np.ndarray) -> dict[int, Box]:
    """The boxes of which pixels are left."""
    there = set(_ids(labels)) if boxes else set()
    return {number: box for number, box in boxes.items() if number in there}


def _ids(labels: np.ndarray) -> list[int]:
    counts = np.bincount(np.maximum(labels, 0).ravel())
    return [int(number) for number in np.flatnonzero(counts) if number]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")

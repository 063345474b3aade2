"""What is kept of photos: for how many days, and with faces blurred; both are settings of a store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from catalogue import photo_age
from retail_seg.errors import StoreError
from retail_seg.people.roles import require, sign
from retail_seg.photos import faces
from retail_seg.photos.load import encode_picture, load_photo

if TYPE_CHECKING:
    import numpy as np

    from retail_seg.matcher import Matcher

_DAYS, _FACES = "photo_days", "face_model"


@dataclass(frozen=True)
class Privacy:
    """A store's settings: `days` that photos are kept, None for ever; the face model's file, None without blurring."""

    days: int | None
    face_model: Path | None


def privacy(matcher: Matcher) -> Privacy:
    """What is kept of photos in a store."""
    days, model = matcher.catalogue.get_setting(_DAYS), matcher.catalogue.get_setting(_FACES)
    return Privacy(int(days) if days else None, Path(model) if model else None)


def count_photos(matcher: Matcher) -> int:
    """How many kept scans have a photo of their own."""
    return photo_age.count(matcher.catalogue)


def state_days(matcher: Matcher, days: int | None, *, by: str = "") -> None:
    """Keep photos for so many days, None for ever; old ones go with the next photo that is kept. Managers only."""
    by = sign("manager", by)
    if days is not None and days < 1:
        raise StoreError(f"photos cannot be kept for {days} days; give 1 or more")
    told = "for ever" if days is None else f"for {days} days"
    with matcher.catalogue.logged(f"photos are kept {told}", by=by):
        matcher.catalogue.set_settings({_DAYS: "" if days is None else str(days)})


def state_face_model(matcher: Matcher, path: Path | None, *, by: str = "") -> None:
    """Blur faces before a photo is kept, found by the model in a file, or (None) do not. Managers only.

    The file stays where it is. Raises ModelError for one that is no face model.
    """
    by = sign("manager", by)
    if path is not None:
        faces.check_model(path)
    told = "faces in photos are kept as they are" if path is None else f"faces in photos are blurred ({path.name})"
    with matcher.catalogue.logged(told, by=by):
        matcher.catalogue.set_settings({_FACES: "" if path is None else str(path.absolute())})


def forget_old(matcher: Matcher, *, by: str = "") -> int:
    """Take out the photos that are older than the store's days; returns how many. Only staff may."""
    by = sign("staff", by)
    days = privacy(matcher).days
    if days is None:
        return 0
    before = datetime.now(UTC) - timedelta(days=days)
    return photo_age.forget(matcher.catalogue, before.isoformat(timespec="milliseconds"), by=by)


def as_kept(matcher: Matcher, photo: np.ndarray, data: bytes | None, name: str) -> tuple[np.ndarray, bytes | None]:
    """A photo (H, W, 3) uint8 that was scanned and its file, as they may be kept: faces blurred where the store asks.

    A file with a face is written anew, as a JPEG without the camera's notes. Raises ModelError where the model is gone.
    """
    require("staff")
    model = privacy(matcher).face_model
    if model is None:
        return photo, data
    found = faces.find_faces(photo, model)
    if not found:
        return photo, data
    if data is not None:
        whole = load_photo(data, name=name)
        scale = whole.shape[1] / photo.shape[1]
        enlarged = [(round(x * scale), round(y * scale), round(w * scale), round(h * scale)) for x, y, w, h in found]
        data = encode_picture(faces.blurred(whole, enlarged), quality=92)
    return faces.blurred(photo, found), data

"""The command `privacy`: for how long photos are kept, and whether faces in them are blurred."""

from __future__ import annotations

from pathlib import Path

import click

from retail_seg.cli.common import say, store_option
from retail_seg.cli.rows import by_option


@click.command()
@store_option
@click.option("--keep-days", "days", type=click.IntRange(1, 36500), help="Photos go after so many days.")
@click.option("--keep-always", "always", is_flag=True, help="Photos stay.")
@click.option(
    "--face-model",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Blur faces before a photo is kept: an ONNX file of YuNet's, which does not ship with the program.",
)
@click.option("--no-face-model", is_flag=True, help="Keep faces as they are.")
@click.option("--clean", is_flag=True, help="Take out now what is too old.")
@by_option
def privacy(
    store: Path, days: int | None, always: bool, face_model: Path | None, no_face_model: bool, clean: bool, by: str
) -> None:
    """Say what is kept of photos; without options, show it.

    Photos go with the first photo that is kept after their time; what was found in them, corrections and references
    stay. Faces are blurred in photos that are kept from then on, on packs, too; they are looked for in the photo that
    was scanned. The model is face_detection_yunet_2023mar.onnx of OpenCV's model zoo (github.com/opencv/opencv_zoo).
    """
    from retail_seg.matcher import Matcher
    from retail_seg.scans import privacy as settings

    if (days is not None and always) or (face_model and no_face_model):
        raise click.UsageError("these options say the opposite of each other; give one of them")
    with Matcher.open(store) as matcher:
        if days is not None or always:
            settings.state_days(matcher, days, by=by)
        if face_model or no_face_model:
            settings.state_face_model(matcher, face_model, by=by)
        gone = settings.forget_old(matcher, by=by) if clean else 0
        stated, left = settings.privacy(matcher), settings.count_photos(matcher)
    if clean:
        say(f"{gone} photos are taken out")
    kept = f"go after {stated.days} days" if stated.days else "stay for ever"
    say(f"{left} photos are kept; photos {kept}; faces are {_told(stated.face_model)}")


def _told(model: Path | None) -> str:
    return f"blurred, found by {model}" if model else "not blurred"

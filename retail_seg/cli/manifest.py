"""The command `manifest`: a training set in a file."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from retail_seg.cli.common import say, write_json_line
from retail_seg.cli.evaluate import report_selection

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("photos_dir", metavar="PHOTOS", type=PATH)
@click.option("--annotations", required=True, type=PATH, help="Folder of masks or file of outlines, any known format.")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
@click.option("--photos-list", type=PATH, help="Only the photos that this file names, one a line.")
@click.option(
    "--test-share", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True,
    help="Share of the photos that no training will see, to score on.",
)  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="The same seed draws the same photos.")
def manifest(
    photos_dir: Path, annotations: Path, out: Path, photos_list: Path | None, test_share: float, seed: int
) -> int:
    """Write which annotated photos of the folder PHOTOS make a training set, and what each is for.

    The file names every photo and annotation by its content, so that `train --manifest` notices a changed or missing
    one. A photo is trained on, held back (a fifth, at most four: scored and tuned on before it is trained on as well)
    or for tests. The last line on stdout is JSON.
    """
    from retail_seg.segmentation.training.manifest import split, write_manifest
    from retail_seg.segmentation.training.training_set import set_of_photos

    found = set_of_photos(photos_dir, annotations, photos_list)
    report_selection(found.problems, found.notes)
    made = split(found.manifest, test_share=test_share, seed=seed)
    write_manifest(made, out)
    say(f"{out}: " + ", ".join(f"{count} photos: {kind}" for kind, count in made.counts().items()))
    write_json_line(sys.stdout, {"manifest": str(out), "fingerprint": made.fingerprint, "photos": made.counts()})
    return int(bool(found.problems))

"""Time of a start: `--help`, and the first answer of a process that has loaded nothing yet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from retail_seg.bench.benchmark.measure import Reading, Section, in_turns
from retail_seg.bench.benchmark.synthetic import made_photo, store_in


def benchmark_start(work: Path, *, labels: int = 25_000, references: int = 4, rounds: int = 5) -> Section:
    """`retail-seg --help`, `match` of one crop and `scan` of one photo in new processes, the disk's cache warm."""
    from retail_seg.bench.benchmark.embedding import crops_of
    from retail_seg.photos.load import encode_picture

    store, crop, photo = store_in(work, labels, references), work / "crop.jpg", work / "photo.jpg"
    photo.write_bytes(made_photo(40).jpeg())
    crop.write_bytes(encode_picture(np.ascontiguousarray(crops_of(made_photo(4, 1.0))[0][0])))
    taken = in_turns(
        {
            "help": lambda: _retail_seg("--help"),
            "match": lambda: _retail_seg("match", str(crop), "--store", str(store)),
            "scan": lambda: _retail_seg("scan", str(photo), "--store", str(store)),
        },
        rounds,
    )
    goals = {
        "help": ("retail-seg --help", 0.5),
        "match": (f"match of one crop, {labels:,} labels", 3.0),
        "scan": (f"scan of 12 MP with 40 packs, {labels:,} labels", 1.5),
    }
    rows = [
        Reading(name, f"{taken[key]:.2f} s", goal=f"< {goal:g} s", reached=taken[key] < goal)
        for key, (name, goal) in goals.items()
    ]
    return Section("Start of a new process", rows, [], {"seconds": taken, "spread": taken.spread, "labels": labels})


def _retail_seg(*arguments: str) -> None:
    subprocess.run([sys.executable, "-P", "-m", "retail_seg", *arguments], capture_output=True, check=True)

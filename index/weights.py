"""Weights that are fetched once: where they come from, how they are checked, where they are kept."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO

from index import settings
from index.errors import WeightsError

CHUNK = 1 << 20
TIMEOUT_SECONDS = 30

#: Told the bytes done and the bytes in all after each chunk.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Source:
    """One file of published weights: its address, SHA-256 and length in bytes."""

    url: str
    sha256: str
    length: int

    @property
    def file(self) -> str:
        """The file's name, the last part of its address."""
        return self.url.rsplit("/", 1)[-1]


SOURCES = {
    "vgg16": Source(
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        length=553_433_881,
    ),
}


def cache_folder() -> Path:
    """Where fetched weights are kept, see `index.settings`."""
    return settings.cache_folder("weights")


def fetch(source: Source, folder: Path, progress: Progress | None = None) -> Path:
    """The checked file of a source in `folder`, downloaded unless it lies there already.

    A download that breaks off leaves a `.part` file and goes on from there the next time; the file itself
    appears only when its SHA-256 is right. Raises WeightsError where it cannot be fetched or is not what was
    published.
    """
    target = folder / source.file
    if target.is_file() and sha256_of(target) == source.sha256:
        return target
    part = folder / (source.file + ".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _download(source, part, progress)
        found = sha256_of(part)
        if found != source.sha256:
            part.unlink()
            raise WeightsError(
                f"{source.url}: what arrived is not the published file (SHA-256 {found[:8]}…, expected "
                f"{source.sha256[:8]}…); it was deleted, try again, and if it happens again {_by_hand(source)}"
            )
        os.replace(part, target)
    except (urllib.error.URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise WeightsError(f"{source.url}: cannot be fetched ({reason}); {_by_hand(source)}") from None
    return target


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def progress_bar(title: str) -> Progress:
    """A progress bar on stderr, made at the first report and closed at the last."""
    from tqdm import tqdm

    bars: list[tqdm] = []

    def report(done: int, total: int) -> None:
        if not bars:
            bars.append(tqdm(total=total, desc=title, unit="B", unit_scale=True, unit_divisor=1024))
        bars[0].update(done - bars[0].n)
        if done >= total:
            bars[0].close()

    return report


def _by_hand(source: Source) -> str:
    return f"fetch {source.file} on a machine with a network connection and give it with --weights PATH"


def _download(source: Source, part: Path, progress: Progress | None) -> None:
    done = part.stat().st_size if part.is_file() else 0
    if done == source.length:
        return
    if done > source.length:
        part.unlink()
        done = 0
    request = urllib.request.Request(source.url, headers={"Range": f"bytes={done}-"} if done else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        # A server that does not know ranges answers 200 with the whole file.
        if done and answer.status != 206:
            done = 0
        with part.open("ab" if done else "wb") as file:
            done = _copy(answer, file, done, source.length, progress)
    if done < source.length:
        raise OSError(f"the connection broke off after {done:,} of {source.length:,} bytes; run it again to go on")


def _copy(answer: IO[bytes], file: IO[bytes], done: int, total: int, progress: Progress | None) -> int:
    while chunk := answer.read(CHUNK):
        file.write(chunk)
        done += len(chunk)
        if progress:
            progress(done, total)
    return done

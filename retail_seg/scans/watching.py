"""A folder that is watched: each photo that comes into it is scanned once, then lies in `done` or in `failed`.

A photo is claimed by moving it into a folder of the watcher's own, `.working/NUMBER`, whose lock the watcher holds: of
two watchers one gets it, and what a watcher that was killed had claimed is given back by the next. Its line is written
before it is moved on; a photo that comes back and whose line is there already is only moved.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retail_seg.errors import PhotoError, RetailSegError
from retail_seg.people.roles import require
from retail_seg.photos.load import SUFFIXES
from retail_seg.system.files import locked, replace_file

if TYPE_CHECKING:
    from retail_seg.store.scanning import Scanned

DONE, FAILED, WORKING = "done", "failed", ".working"
#: Seconds for which a photo must have stayed as it is before it is taken for complete.
SETTLED = 2.0
#: A photo that cannot be read is tried again until it has stayed as it is for so many seconds: it may still be coming.
PATIENT = 30.0
#: A file of lines is put aside, and a new one begun, when it has so many bytes.
ROTATED = 64 * 2**20
#: So many photos are claimed at once.
CLAIMED = 4

#: Scans photos, in their order, as `Matcher.scan_each` does.
ScanPhotos = Callable[[Sequence[Path]], Iterator["Scanned | PhotoError"]]


class WatchError(RetailSegError):
    """A folder cannot be watched."""


@dataclass(frozen=True)
class Handled:
    """What became of one photo: its name, and the line that was written, or why it failed."""

    name: str
    line: dict[str, Any] | None
    reason: str = ""


class Watch:
    """One watcher of one folder; open it with `with`.

    scan    scans photos, see ScanPhotos
    lines   the file that gets a JSON line for each photo
    finish  gives what a line holds beside the report, such as the number of a scan that is kept
    """

    def __init__(
        self,
        folder: Path,
        scan: ScanPhotos,
        lines: Path,
        *,
        finish: Callable[[Scanned, Path], dict[str, Any]] = lambda found, path: {},
        settled: float = SETTLED,
        patient: float = PATIENT,
        rotated: int = ROTATED,
    ) -> None:
        if not folder.is_dir():
            raise WatchError(f"{folder}: no such folder; make it, or give the one that photos come into")
        self._folder, self._scan, self._lines, self._finish = folder, scan, lines, finish
        self._settled, self._patient, self._rotated = settled, patient, rotated
        self._own = folder / WORKING / secrets.token_hex(8)
        self._known: dict[str, tuple[tuple[int, int], float]] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Watch:
        require("staff")
        for name in (DONE, FAILED):
            (self._folder / name).mkdir(exist_ok=True)
        self._own.mkdir(parents=True)
        self._stack.enter_context(locked(self._lock_of(self._own)))
        return self

    def __exit__(self, *error: object) -> None:
        self._give_back(self._own)
        self._stack.close()
        self._forget(self._own)

    def round(self) -> Iterator[Handled]:
        """Look once: scan what is complete, and tell of each photo as soon as it lies where it belongs."""
        self._take_over()
        claimed = [path for path in (self._claim(name) for name in self._complete()) if path is not None]
        fresh = [path for path in claimed if not self._done_before(path)]
        try:
            for path, found in zip(fresh, self._scan(fresh) if fresh else (), strict=True):
                if (seen := self._settle(path, found)) is not None:
                    yield seen
        finally:
            self._give_back(self._own)

    def forever(self, every: float, told: Callable[[Handled], None]) -> None:
        """Look every so many seconds, at once again where there was something, until KeyboardInterrupt."""
        while True:
            count = 0
            for seen in self.round():
                told(seen)
                count += 1
            if not count:
                time.sleep(every)

    # -- what is there

    def _complete(self) -> list[str]:
        """Names of the photos that have stayed as they are for long enough, the oldest first."""
        now, found = time.monotonic(), {}
        for path in self._folder.iterdir():
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file():
                with contextlib.suppress(FileNotFoundError):  # another watcher has just claimed it
                    state = path.stat(follow_symlinks=False)
                    found[path.name] = state.st_size, state.st_mtime_ns
        self._known = {
            name: self._known[name] if name in self._known and self._known[name][0] == state else (state, now)
            for name, state in found.items()
        }
        ready = [name for name, (_, since) in self._known.items() if now - since >= self._settled]
        return sorted(ready, key=lambda name: (found[name][1], name))[:CLAIMED]

    def _claim(self, name: str) -> Path | None:
        path = self._own / name
        try:
            os.rename(self._folder / name, path)
        except FileNotFoundError:
            return None
        return path

    # -- what becomes of it

    def _settle(self, path: Path, found: Scanned | PhotoError) -> Handled | None:
        """Write the line and move the photo; None for one that may still be coming and goes back."""
        if isinstance(found, PhotoError):
            since = self._known[path.name][1]
            if time.monotonic() - since < self._patient:
                return None
            reason = str(found).removeprefix(f"{path}: ")
            moved = self._move(path, FAILED)
            replace_file(moved.with_name(f"{moved.name}.txt"), f"{reason}\n".encode())
            return Handled(path.name, None, reason)
        line = {**found.report.to_dict(), **self._finish(found, path), "image": path.name, "sha256": _digest(path)}
        self._write(line)
        self._move(path, DONE)
        return Handled(path.name, line)

    def _write(self, line: dict[str, Any]) -> None:
        """A line at the end of the file, which is put aside when it is large; one watcher at a time."""
        data = (json.dumps(line, ensure_ascii=False) + "\n").encode()
        with locked(self._lines.with_name(f".{self._lines.name}.lock")):
            if self._lines.exists() and self._lines.stat().st_size + len(data) > self._rotated:
                stamp = time.strftime("%Y%m%d-%H%M%S")
                self._lines.rename(_free(self._lines.with_name(f"{self._lines.stem}-{stamp}{self._lines.suffix}")))
            with self._lines.open("ab") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())

    def _done_before(self, path: Path) -> bool:
        """Whether a photo that came back has its line already; it is moved then."""
        mark = self._folder / WORKING / f"{path.name}.again"
        if not mark.exists():
            return False
        known = {"image": path.name, "sha256": _digest(path)}
        if not any(known.items() <= line.items() for line in self._last_lines()):
            mark.unlink(missing_ok=True)
            return False
        self._move(path, DONE)
        mark.unlink(missing_ok=True)
        return True

    def _last_lines(self) -> Iterator[dict[str, Any]]:
        """The lines of the file and of the one that was put aside last, whole ones only."""
        aside = sorted(self._lines.parent.glob(f"{self._lines.stem}-*{self._lines.suffix}"))[-1:]
        for path in (*aside, self._lines):
            for text in path.read_bytes().splitlines() if path.exists() else ():
                with contextlib.suppress(ValueError):
                    yield json.loads(text)

    def _move(self, path: Path, where: str) -> Path:
        to = _free(self._folder / where / path.name)
        os.rename(path, to)
        return to

    # -- watchers that were killed

    def _take_over(self) -> None:
        """Give back what watchers had claimed that are no more."""
        for folder in sorted((self._folder / WORKING).iterdir()):
            if folder == self._own or not folder.is_dir():
                continue
            with contextlib.suppress(BlockingIOError), locked(self._lock_of(folder), wait=False):
                self._give_back(folder, again=True)
                self._forget(folder)

    def _give_back(self, folder: Path, *, again: bool = False) -> None:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if again:
                (self._folder / WORKING / f"{path.name}.again").touch()
            back = self._folder / path.name
            os.rename(path, _free(back) if back.exists() else back)

    def _lock_of(self, folder: Path) -> Path:
        return folder.with_name(f"{folder.name}.lock")

    def _forget(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._lock_of(folder).unlink(missing_ok=True)


def _free(path: Path) -> Path:
    """The path, or one with a number behind its name where something lies there."""
    found, number = path, 2
    while found.exists():
        found, number = path.with_name(f"{path.stem}-{number}{path.suffix}"), number + 1
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

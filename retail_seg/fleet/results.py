"""Reports of many photos in a folder: parts that appear whole, which are also the list of what is done.

`part-….parquet` (or `.jsonl`) holds lines of `scan` with the photo's hash beside each; a photo is done when its line
stands in a part, so there are no two lists that could differ. Parts lie in the folders `shop=…/day=…` of their photos'
addresses. `failed.csv` holds the photos that gave no report, with the reason. One run at a time writes a folder.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from retail_seg.errors import FleetError
from retail_seg.fleet import columns
from retail_seg.fleet.sources import PhotoAddress
from retail_seg.system.files import locked, replace_file, whole_file

FORMS = ("parquet", "jsonl")
FAILED, ABOUT, LOCK = "failed.csv", "run.about", ".run.lock"
#: A part is written when so many lines wait, or the first of them has waited for so many seconds.
LINES, SECONDS = 256, 60.0


class Digests:
    """A set of SHA-256 digests in 16 bytes each, which processes of one machine can share; looked up by bisection."""

    def __init__(self, digests: Iterable[str]) -> None:
        joined = b"".join(bytes.fromhex(digest)[:16] for digest in digests)
        pairs = np.frombuffer(joined, ">u8").reshape(-1, 2)
        self.pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].astype(np.uint64)

    def __len__(self) -> int:
        return len(self.pairs)

    def __contains__(self, digest: str) -> bool:
        first, second = np.frombuffer(bytes.fromhex(digest)[:16], ">u8").astype(np.uint64)
        at, end = (int(np.searchsorted(self.pairs[:, 0], first, side)) for side in ("left", "right"))
        return bool((self.pairs[at:end, 1] == second).any())


class Results:
    """The folder of a run; open it with `with`. FleetError where it belongs to another store or another run."""

    def __init__(self, folder: Path, form: str, store: str, *, again: bool = False) -> None:
        self._folder, self._form, self._store, self._again = folder, form, store, again
        self._stack = contextlib.ExitStack()
        self._waiting: list[tuple[PhotoAddress, dict[str, Any]]] = []
        self._since = 0.0
        self._parts = 0
        self._run = f"{time.strftime('%Y%m%dT%H%M%S')}-{secrets.token_hex(3)}"
        self._own: set[str] = set()

    def __enter__(self) -> Results:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._stack.enter_context(locked(self._folder / LOCK, wait=False))
        except BlockingIOError:
            raise FleetError(f"{self._folder}: another run writes there; wait for it, or give another --out") from None
        except OSError as error:
            raise FleetError(f"{self._folder}: cannot be written ({error.strerror}); give another --out") from None
        with self._stack:
            self._own_folder()
            self._read()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Lines that wait are written, also where the run was broken off."""
        try:
            self.flush()
        finally:
            self._stack.close()

    def is_known(self, photo: PhotoAddress) -> bool:
        """Whether a photo of this address, which has not changed since, has its line or its failure."""
        return _mark(photo.address, photo.stamp) in self._marks

    def add(self, photo: PhotoAddress, line: dict[str, Any], digest: str) -> bool:
        """Keep the line of a photo; False where the same photo has one already, from whatever address."""
        if digest in self._own or digest in self.done:
            return False
        self._own.add(digest)
        self._since = self._since if self._waiting else time.monotonic()
        self._waiting.append((photo, {**line, "sha256": digest, "stamp": photo.stamp}))
        if len(self._waiting) >= LINES or time.monotonic() - self._since > SECONDS:
            self.flush()
        return True

    def fail(self, photo: PhotoAddress, reason: str) -> None:
        """Keep why a photo gave no report."""
        row = io.StringIO()
        csv.writer(row, lineterminator="\n").writerow((photo.address, photo.stamp, " ".join(reason.split())))
        with self._written(), (self._folder / FAILED).open("ab") as file:
            file.write(row.getvalue().encode())
            file.flush()
            os.fsync(file.fileno())

    def flush(self) -> None:
        """Write what waits, a part for each folder `shop=…/day=…`."""
        by_folder: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for photo, line in self._waiting:
            by_folder.setdefault(photo.partition, []).append(line)
        with self._written():
            for partition, lines in by_folder.items():
                self._parts += 1
                self._write_part(self._folder.joinpath(*partition), lines)
        self._waiting.clear()

    def _write_part(self, folder: Path, lines: list[dict[str, Any]]) -> None:
        path = folder / f"part-{self._run}-{self._parts:06}.{self._form}"
        with whole_file(path) as temporary:
            if self._form == "parquet":
                columns.write(temporary, lines)
            else:
                text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
                temporary.write_text(text, encoding="utf-8")
            with temporary.open("rb") as file:
                os.fsync(file.fileno())

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FleetError(
                f"{self._folder}: cannot be written ({error.strerror}); make room there and run the same again, "
                "what is written is not done twice"
            ) from None

    # -- what lies there

    def _own_folder(self) -> None:
        """Say whose the folder is, once; raises FleetError where it is another's."""
        path, about = self._folder / ABOUT, {"store": self._store, "format": self._form}
        if not path.exists():
            with self._written():
                replace_file(path, json.dumps(about).encode())
            return
        try:
            kept = json.loads(path.read_bytes())
        except ValueError:
            kept = None
        if kept != about:
            raise FleetError(f"{self._folder}: holds reports of another store or format; give another --out")

    def _read(self) -> None:
        digests: list[str] = []
        self._marks: set[bytes] = set()
        for part in sorted(self._folder.rglob(f"part-*.{self._form}")):
            for line in self._marked(part):
                digests.append(line["sha256"])
                self._marks.add(_mark(line["image"], line["stamp"]))
        self.done = Digests(digests)
        if self._again:
            (self._folder / FAILED).unlink(missing_ok=True)
        self._marks.update(_mark(address, stamp) for address, stamp, _ in failures(self._folder))

    def _marked(self, part: Path) -> list[dict[str, Any]]:
        try:
            if self._form == "parquet":
                return columns.read(part, ["image", *columns.MARKS])
            return [json.loads(line) for line in part.read_text(encoding="utf-8").splitlines()]
        except (OSError, ValueError, KeyError) as error:
            raise FleetError(f"{part}: cannot be read ({error}); move it away, its photos are scanned again") from None


def failures(folder: Path) -> list[tuple[str, str, str]]:
    """Address, stamp and reason of each photo that gave no report; a last line that was cut off is put right first."""
    path = folder / FAILED
    if not path.exists():
        return []
    data = path.read_bytes()
    if not data.endswith(b"\n"):
        data = data[: data.rfind(b"\n") + 1]
        replace_file(path, data)
    rows = csv.reader(io.StringIO(data.decode("utf-8", "replace")))
    return [(row[0], row[1], row[2]) for row in rows if len(row) == 3]


def _mark(address: str, stamp: str) -> bytes:
    import hashlib

    return hashlib.sha256(f"{address}\0{stamp}".encode()).digest()[:16]

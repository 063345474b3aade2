"""Import in the app: an upload is kept in a folder of its own, looked through, then written, and perhaps taken back."""

from __future__ import annotations

import csv
import io
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from catalogue import history
from catalogue.errors import ImportFileError, UndoError, UnknownColumns
from catalogue.importing import ImportFile, Outcome
from catalogue.sources import TABLE_SUFFIXES, ZipSource, open_zip
from retail_seg.errors import RetailSegError
from retail_seg.people.roles import require
from retail_seg.report import safe_cell
from retail_seg.store import importing
from retail_seg.system.progress import OnProgress

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

#: Larger uploads are refused; a zip's table may unfold to so much.
MAX_BYTES = 200 * 2**20
MAX_TABLE_BYTES = 100 * 2**20
#: A zip with more members is refused.
MAX_MEMBERS = 200_000
ENDINGS = (*TABLE_SUFFIXES, ".zip")
#: So many uploads wait for their import; with one more, the oldest is dropped.
WAITING = 5
#: What a line of the file comes to, in the order in which people ask for it.
STATUSES = ("added", "changed", "unchanged", "refused")
COLUMNS = ("line", "sku", "result", "product", "changes", "new pictures", "problems", "remarks")


class UploadRefused(RetailSegError):
    """An upload is too large, of no kind that can be imported, or no longer kept."""


@dataclass(frozen=True)
class UploadLine:
    """What becomes of one product of the file, or of a line that is none (`status` "refused", `sku` empty).

    `changes` holds (field, old, new), `pictures` counts new ones, `change` is the log's number of what was written
    (None: nothing was). `name` is the product's, as the file gives it. `remark` is what its pictures' barcodes say.
    """

    line: int
    sku: str
    status: str
    name: str = ""
    changes: tuple[tuple[str, str, str], ...] = ()
    pictures: int = 0
    problems: tuple[str, ...] = ()
    change: int | None = None
    remark: str = ""

    def writes(self, *, replace: bool) -> bool:
        """Whether importing the line changes anything in the catalogue."""
        return self.status == "added" or self.pictures > 0 or (bool(self.changes) and replace)

    def text(self, *, replace: bool) -> str:
        """What changes, in words; of an existing product's fields also whether they are overwritten."""
        if self.status == "added":
            return "; ".join(f"{name}: {new}" for name, _, new in self.changes if name != "name")
        told = "; ".join(f"{name}: {old or '(empty)'} → {new}" for name, old, new in self.changes)
        return f"kept as it is, not overwritten: {told}" if told and not replace else told

    def cells(self, *, replace: bool) -> tuple[str, ...]:
        """The line as text, in the order of COLUMNS."""
        line, pictures = str(self.line or ""), str(self.pictures or "")
        problems = "; ".join(self.problems)
        return (line, self.sku, self.status, self.name, self.text(replace=replace), pictures, problems, self.remark)


class _Folder(Protocol):
    """Where an upload's file lies, until it is cleaned up."""

    def cleanup(self) -> None: ...


@dataclass
class ImportUpload:
    """A file on its way into the catalogue; `lines` grow while it is checked, `file` is what was read of it.

    `question` is there where a person has to say which column is which, `columns` (ours ► the table's) what they said.
    """

    name: str
    fetch: bool
    path: Path
    folder: _Folder
    lines: list[UploadLine] = field(default_factory=list)
    file: ImportFile | None = None
    question: UnknownColumns | None = None
    columns: dict[str, str] = field(default_factory=dict)

    @property
    def packed(self) -> bool:
        """Whether it is a zip, which alone can bring pictures along."""
        return self.path.suffix == ".zip"

    @property
    def kept(self) -> bool:
        """Whether the file is still there."""
        return self.path.exists()

    def drop(self) -> None:
        """Delete the file; what was found out about it stays."""
        if self.file is not None:
            self.file.source.close()  # held open, a deleted file keeps its room on the disk
        self.folder.cleanup()


@dataclass
class ImportRun:
    """An import that was started; `lines` grow while it runs.

    `taken_back` counts the changes that were undone, `left` says why others were not.
    """

    name: str
    replace: bool
    lines: list[UploadLine] = field(default_factory=list)
    taken_back: int = 0
    left: list[str] = field(default_factory=list)

    @property
    def changes(self) -> list[int]:
        """The log's numbers of all that was written, in the order to undo them."""
        return [line.change for line in reversed(self.lines) if line.change is not None]


_waiting: deque[ImportUpload] = deque()
_lock = threading.Lock()


def receive(name: str, content: BinaryIO, *, fetch: bool = False) -> ImportUpload:
    """Keep an upload under a name of our own in a new folder; raises UploadRefused.

    Of its name only the ending counts, to tell a zip from a table. `fetch` gets pictures that are web addresses.
    """
    require("manager")
    ending = _ending(name)
    folder = tempfile.TemporaryDirectory(prefix="retail-seg-import-", ignore_cleanup_errors=True)
    upload = ImportUpload(name, fetch, Path(folder.name) / f"upload{ending}", folder)
    _fill(upload, content)
    with _lock:
        _waiting.append(upload)
        while len(_waiting) > WAITING:
            _waiting.popleft().drop()
    return upload


def receive_in(folder: Path, name: str, content: BinaryIO, *, fetch: bool = False) -> ImportUpload:
    """As `receive`, in a folder of the caller's, who looks after it; `kept_in` finds the upload again."""
    require("manager")
    upload = ImportUpload(name, fetch, folder / f"upload{_ending(name)}", _Callers(folder))
    _fill(upload, content)
    return upload


def kept_in(folder: Path, name: str, *, fetch: bool = False) -> ImportUpload:
    """An upload that `receive_in` kept in a folder."""
    return ImportUpload(name, fetch, folder / f"upload{_ending(name)}", _Callers(folder))


def _ending(name: str) -> str:
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), None)
    if ending is None:
        raise UploadRefused(f"{name[:200]}: is no file that can be imported; give one of {', '.join(ENDINGS)}")
    return ending


class _Callers:
    """A folder that outlives its upload."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def cleanup(self) -> None:
        """Delete the upload's file, and leave the folder."""
        for path in self._folder.glob("upload*"):
            path.unlink(missing_ok=True)


def _fill(upload: ImportUpload, content: BinaryIO) -> None:
    try:
        _write(upload, content)
        if upload.packed:
            _check_zip(upload)
    except BaseException:
        upload.drop()
        raise


def _write(upload: ImportUpload, content: BinaryIO) -> None:
    size = 0
    with upload.path.open("wb") as file:
        while chunk := content.read(2**20):
            size += len(chunk)
            if size > MAX_BYTES:
                raise UploadRefused(f"{upload.name}: is larger than {MAX_BYTES >> 20} MB; split it into several files")
            file.write(chunk)


def _check_zip(upload: ImportUpload) -> None:
    try:
        ZipSource(upload.path).close()
        with open_zip(upload.path) as packed:
            members = packed.infolist()
    except ImportFileError as error:
        raise UploadRefused(str(error).replace(str(upload.path), upload.name)) from None
    if len(members) > MAX_MEMBERS:
        raise UploadRefused(f"{upload.name}: holds more than {MAX_MEMBERS:,} files; split it")
    for member in members:
        if member.filename.lower().endswith(TABLE_SUFFIXES) and member.file_size > MAX_TABLE_BYTES:
            size = f"more than {MAX_TABLE_BYTES >> 20} MB"
            raise UploadRefused(f"{upload.name}: {member.filename[:200]} unfolds to {size}; split it")


def check(matcher: Matcher, upload: ImportUpload, report: OnProgress) -> ImportUpload:
    """Find out what an import of the upload would do; nothing is written, every picture is read.

    `report` hears the share that is done and may raise to end it. Where a person has to say which column is which,
    `question` of the upload says so, and nothing else is found out. Raises ImportFileError for an unreadable file.
    """
    require("manager")
    report(0.0, f"Reading {upload.name}")
    upload.question = None
    try:
        file = read(matcher, upload)
    except UnknownColumns as question:
        upload.question = question
        return upload
    upload.lines = _refused(file)
    counter = _Counter(file, report, "Checked")
    for outcome in importing.plan(matcher.catalogue, file, fetch=upload.fetch, pulse=counter.pictures):
        upload.lines.append(_line(file, outcome))
        counter.product()
    return upload


def run(matcher: Matcher, upload: ImportUpload, into: ImportRun, report: OnProgress) -> ImportRun:
    """Write what an upload holds, a product a transaction, and tell of each in `into`; ended early, start it again.

    What was written is found by searches at once. Raises UploadRefused where the file is no longer kept.
    """
    by = require("manager")
    if upload.file is None or not upload.kept:
        raise UploadRefused(f"{upload.name}: is no longer kept here; upload it again")
    into.lines = _refused(upload.file)
    counter = _Counter(upload.file, report, "Imported")
    outcomes = importing.apply(
        matcher.catalogue,
        upload.file,
        matcher.embedder,
        replace=into.replace,
        fetch=upload.fetch,
        by=by,
        pulse=counter.pictures,
    )
    try:
        for outcome in outcomes:
            into.lines.append(_line(upload.file, outcome))
            counter.product()
    finally:
        matcher.refresh()
    upload.drop()
    return into


def take_back(matcher: Matcher, done: ImportRun, report: OnProgress) -> ImportRun:
    """Undo what an import has written, but for what later changes rest on, which is told in `left`."""
    by, numbers = require("manager"), done.changes
    try:
        for count, number in enumerate(numbers):
            report(count / len(numbers), f"Taken back: {count} of {len(numbers)} products")
            try:
                history.undo(matcher.catalogue, number, by=by)
                done.taken_back += 1
            except UndoError as error:
                done.left.append(str(error))
    finally:
        matcher.refresh()
    return done


def counts(lines: Iterable[UploadLine]) -> dict[str, int]:
    """How many lines have each status of STATUSES, and under "problems" and "remarks" how many have one."""
    found = list(lines)
    number = Counter(line.status for line in found)
    told = {"problems": sum(bool(line.problems) for line in found), "remarks": sum(bool(line.remark) for line in found)}
    return {status: number[status] for status in STATUSES} | told


def to_csv(lines: Iterable[UploadLine], *, replace: bool) -> str:
    """The lines as a table in which no cell is a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([safe_cell(cell) for cell in line.cells(replace=replace)] for line in lines)
    return out.getvalue()


def read(matcher: Matcher, upload: ImportUpload) -> ImportFile:
    """Find out which products an upload's file wants.

    Raises UnknownColumns where a person has to say which column is which, ImportFileError for one that cannot be read.
    """
    try:
        upload.file = importing.read(matcher.catalogue, upload.path, upload.columns or None)
        return upload.file
    except ImportFileError as error:
        # People know the name that they gave the file, not the one under which it is kept.
        error.args = (str(error).replace(str(upload.path), upload.name).replace(upload.path.name, upload.name),)
        raise


def _refused(file: ImportFile) -> list[UploadLine]:
    found = [(refusal.line, f"{refusal.what} {refusal.reason}".strip()) for refusal in file.refused]
    return [UploadLine(line, "", "refused", problems=(text,)) for line, text in found]


def _line(file: ImportFile, outcome: Outcome) -> UploadLine:
    problems = tuple(str(refusal) for refusal in outcome.refused)
    changes = tuple(outcome.changes)
    name = file.names.get(outcome.sku, "")
    told = (outcome.pictures, problems, outcome.change, outcome.remark and f"a picture {outcome.remark}")
    return UploadLine(outcome.line, outcome.sku, outcome.status, name, changes, *told)


class _Counter:
    """Counts products and pictures, and reports the share of both that is done."""

    def __init__(self, file: ImportFile, report: OnProgress, verb: str) -> None:
        self._products, self._pictures = len(file.wanted), file.pictures
        self._done, self._seen = 0, 0
        self._report, self._verb = report, verb

    def product(self) -> None:
        """One more product is done."""
        self._done += 1
        self._tell()

    def pictures(self, number: int) -> None:
        """So many more pictures are done."""
        self._seen += number
        self._tell()

    def _tell(self) -> None:
        # Pictures that are known or refused are never seen: a product that is done counts for them.
        share = max(self._done / max(self._products, 1), self._seen / max(self._pictures, 1))
        self._report(min(share, 0.99), f"{self._verb}: {self._done:,} of {self._products:,} products")


def portion(lines: list[UploadLine], status: str, start: int, size: int) -> tuple[list[UploadLine], int]:
    """Some lines of a status, as the file has them, and how many of it.

    "" stands for all, "problems" and "remarks" for those with one.
    """
    if status in ("problems", "remarks"):
        found = [line for line in lines if (line.problems if status == "problems" else line.remark)]
    else:
        found = [line for line in lines if status in ("", line.status)]
    return sorted(found, key=lambda line: line.line)[start : start + size], len(found)

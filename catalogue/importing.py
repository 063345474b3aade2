"""Bulk import: a file of products becomes a list of wanted products; each is compared, then written in one transaction.

The join hands in what needs pixels: `check` (can this picture be read?) for a dry run, `embed` (pictures ► references)
for a real one. Interrupted and run again, an import ends in the same state: what is there already is not done again.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from catalogue import formats, listing, mapping, sources, tables
from catalogue.errors import CatalogueError, ImportFileError, PictureRefused, UnknownColumns
from catalogue.formats import CropBox, PictureName
from catalogue.gtin import remark_on
from catalogue.records import NewReference, Product, clean_text, column_key
from catalogue.store import Catalogue

#: So many pictures, or so many bytes of them, are embedded at a time: bounded memory at full speed.
BATCH_PICTURES = 64
BATCH_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Refusal:
    """What was not taken, on which line (0: no line, as in a folder), and why."""

    line: int
    what: str
    reason: str

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        return f"{place}{self.what} {self.reason}" if self.what else f"{place}{self.reason}"


@dataclass
class Wanted:
    """A product as the file wants it: its stated fields and its pictures with their lines."""

    sku: str
    line: int
    fields: dict[str, str]
    pictures: list[tuple[int, PictureName]]


@dataclass(frozen=True)
class ImportFile:
    """A file that was read to its end: its format in words, the products it wants, and the lines that were refused."""

    title: str
    source: sources.Source
    base: str
    wanted: list[Wanted]
    refused: list[Refusal]
    notes: list[str]

    @cached_property
    def names(self) -> dict[str, str]:
        """SKU ► the product's name, of those that the file gives one."""
        return {wanted.sku: wanted.fields["name"] for wanted in self.wanted if wanted.fields.get("name")}

    @cached_property
    def skus_by_gtin(self) -> dict[str, list[str]]:
        """GTIN of 14 digits ► the SKUs that the file gives it to."""
        found: dict[str, list[str]] = {}
        for wanted in self.wanted:
            if number := wanted.fields.get("gtin"):
                found.setdefault(number, []).append(wanted.sku)
        return found

    @property
    def pictures(self) -> int:
        """How many pictures the file names."""
        return sum(len(wanted.pictures) for wanted in self.wanted)


@dataclass(frozen=True)
class LoadedPicture:
    """A picture's file read into memory, on its way to be embedded; `crop` is x0, y0, x1, y1 as shares of its size.

    `kept` says that it is a reference that an export wrote, byte for byte.
    """

    data: bytes
    name: str
    content_hash: str
    line: int
    crop: CropBox | None = None
    mask: bytes | None = None
    kept: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of one product, or would: `status` is added, changed or unchanged.

    `changes` holds (field, old, new); on an existing product they are written only where `applied`. `pictures` counts
    new references, `known` those that were there, `named` the pictures that the file names for it. `change` is the
    log's number of what was written, None where nothing was. `remark` says where barcodes in its pictures contradict
    its GTIN, or what GTIN they would give it.
    """

    sku: str
    line: int
    status: str
    changes: list[tuple[str, str, str]]
    applied: bool
    pictures: int
    known: int
    named: int
    refused: list[Refusal]
    change: int | None = None
    remark: str = ""


#: Raises PictureRefused; gives the GTINs that the picture shows.
Check = Callable[[LoadedPicture], Sequence[str]]
Embed = Callable[[Sequence[LoadedPicture]], Sequence[NewReference | PictureRefused]]
Fetch = Callable[[str], bytes]


def read_file(path: str | Path, columns: Mapping[str, str] | None = None) -> ImportFile:
    """Recognise a file, folder or zip and read which products it wants; raises ImportFileError.

    Single bad lines are listed in `refused`; everything else goes on without them. `columns` says which of the table's
    columns are ours (ours ► its own); UnknownColumns, which proposes some, is raised where that has to be said. Where
    no column names pictures, those of a folder or zip belong to the rows that their file names begin with.
    """
    source, table = sources.open_source(Path(path))
    if table is None:
        return _folders(source)
    base = table.rpartition("/")[0]
    try:
        content = tables.read_table(lambda: source.open(table), table, formats.headless)
        content = mapping.renamed(content, columns) if columns else content
        format_, written = _recognised(content, table)
        wanted, refused = _group(content, format_, written)
    except (zipfile.BadZipFile, zlib.error, OSError) as error:
        raise ImportFileError(f"{path}: cannot be read ({error}); copy or pack it again") from None
    unused = [column for key, column in written.items() if format_.uses and key not in format_.uses]
    notes = content.notes + ([f"columns not used: {', '.join(unused)}"] if unused else [])
    if Path(path).is_dir() or isinstance(source, sources.ZipSource):
        notes += _pictures_by_name(source, base, wanted)
    return ImportFile(format_.title, source, base, wanted, refused, notes)


def _recognised(content: tables.Table, name: str) -> tuple[formats.Format, dict[str, str]]:
    """The format of a table's columns, and how they are written; raises UnknownColumns with a proposal."""
    try:
        return formats.recognise(content.columns, name)
    except ImportFileError as error:
        if len({column_key(column) for column in content.columns if column}) < len(list(filter(None, content.columns))):
            raise
        rows = mapping.sample(content)
        proposed = mapping.propose([column for column in content.columns if column], rows)
        samples = {column: [row[column] for row in rows if row.get(column)][:3] for column in content.columns if column}
        raise UnknownColumns(str(error), list(samples), proposed, samples) from None


def _pictures_by_name(source: sources.Source, base: str, wanted: Sequence[Wanted]) -> list[str]:
    """Give rows the pictures whose file names begin with their SKU, GTIN or name, where none names any; a note."""
    folder = f"{base}/" if base else ""
    names = [name for name in source.names() if name.startswith(folder)]
    pictures = [name for name in names if name.lower().endswith(sources.PICTURE_SUFFIXES)]
    if not pictures or any(one.pictures for one in wanted):
        return []
    rows = [(one.sku, one.fields.get("name", ""), one.fields.get("gtin", "")) for one in wanted]
    owners = mapping.owners(pictures, rows)
    by_sku = {one.sku: one for one in wanted}
    for name, sku in owners.items():
        by_sku[sku].pictures.append((by_sku[sku].line, PictureName(name.removeprefix(folder))))
    left = len(pictures) - len(owners)
    return [f"{len(owners)} pictures matched to rows by their file names" + (f", {left} match none" if left else "")]


def _folders(source: sources.Source) -> ImportFile:
    wanted = [
        Wanted(clean_text(sku), 0, {}, [(0, PictureName(name)) for name in names])
        for sku, names in sources.folders_of_pictures(source)
    ]
    refused = [
        Refusal(0, name, "lies in no product's folder; put it into a folder named like the SKU")
        for name in source.names()
        if "/" not in name and name.lower().endswith(sources.PICTURE_SUFFIXES)
    ]
    if not wanted:
        raise ImportFileError("no folder holds pictures; make one folder per product, named like its SKU")
    return ImportFile("a folder of pictures per SKU", source, "", wanted, refused, [])


def _group(
    content: tables.Table, format_: formats.Format, written: dict[str, str]
) -> tuple[list[Wanted], list[Refusal]]:
    """Rows with one SKU become one product; a row that contradicts an earlier one is refused."""
    wanted: dict[str, Wanted] = {}
    refused: list[Refusal] = []
    for row in content.rows:
        if isinstance(row, tables.BadLine):
            refused.append(Refusal(row.line, "", row.reason))
            continue
        line, cells = row
        try:
            item = formats.read_row(format_, written, cells)
            _merge(wanted, item, line, format_.repeats)
        except CatalogueError as error:
            refused.append(Refusal(line, "", str(error)))
    return list(wanted.values()), refused


def _merge(wanted: dict[str, Wanted], item: formats.Item, line: int, repeats: bool) -> None:
    pictures = [(line, picture) for picture in item.pictures]
    first = wanted.get(item.sku)
    if first is None:
        wanted[item.sku] = Wanted(item.sku, line, dict(item.fields), pictures)
        return
    if not repeats:
        raise CatalogueError(f"SKU {item.sku} stands on line {first.line} already; keep one of both rows")
    for name, value in item.fields.items():
        if first.fields.get(name, value) != value:
            raise CatalogueError(
                f"SKU {item.sku} has {name} {first.fields[name]!r} earlier and {value!r} here; make them agree"
            )
    first.fields.update(item.fields)
    first.pictures += pictures


@dataclass
class _Prepared:
    """A product with what is new about it, waiting for its pictures to be embedded."""

    wanted: Wanted
    current: Product | None
    changes: list[tuple[str, str, str]]
    pictures: list[LoadedPicture] = field(default_factory=list)
    known: int = 0
    refused: list[Refusal] = field(default_factory=list)


@dataclass(frozen=True)
class _Read:
    """A picture that can be used, of which nothing is written, and the GTINs that it shows."""

    gtins: tuple[str, ...]


class Import:
    """One run over a file; iterate it for the outcome of each product, in the file's order.

    `replace` writes changed fields of existing products, else only reported; `fetch` reads web addresses, else refused.
    With `check` alone nothing is written. So many `hands` are given so many times as many pictures at once.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        file: ImportFile,
        *,
        check: Check | None = None,
        embed: Embed | None = None,
        fetch: Fetch | None = None,
        replace: bool = False,
        by: str = "",
        hands: int = 1,
    ) -> None:
        self._catalogue = catalogue
        self._file = file
        self._check = check
        self._embed = embed
        self._fetch = fetch
        self._replace = replace
        self._by = by
        self._hands = hands
        self._seen: dict[str, tuple[str, int]] = {}

    def __iter__(self) -> Iterator[Outcome]:
        waiting: list[_Prepared] = []
        for wanted in self._file.wanted:
            waiting.append(self._prepare(wanted))
            sizes = [len(picture.data) for prepared in waiting for picture in prepared.pictures]
            if max(len(sizes) / BATCH_PICTURES, sum(sizes) / BATCH_BYTES, len(waiting) / 256) >= self._hands:
                yield from self._finish(waiting)
                waiting = []
        yield from self._finish(waiting)

    def _prepare(self, wanted: Wanted) -> _Prepared:
        found = self._catalogue.find_product(wanted.sku)
        empty = Product(wanted.sku)
        changes = (found or empty).differences((found or empty).with_fields(wanted.fields))
        prepared = _Prepared(wanted, found, changes)
        known = self._catalogue.known_hashes(wanted.sku)
        for line, name in wanted.pictures:
            try:
                picture = self._load(name, line)
                if picture.content_hash in known:
                    prepared.known += 1
                    continue
                self._refuse_duplicate(picture, wanted.sku)
            except PictureRefused as error:
                prepared.refused.append(Refusal(line, name.name, str(error)))
                continue
            known.add(picture.content_hash)
            prepared.pictures.append(picture)
        return prepared

    def _load(self, name: PictureName, line: int) -> LoadedPicture:
        data = self._read(name.name)
        mask = self._read(name.mask) if name.mask else None
        content_hash = sha256(data).hexdigest()
        # An export names its files by their bytes: where that still fits, the uploaded file's hash is believed too.
        kept = Path(name.name).stem == content_hash[:16]
        if kept and re.fullmatch(r"[0-9a-f]{64}", name.content_hash):
            content_hash = name.content_hash
        elif name.crop:
            content_hash = sha256(f"{content_hash} {name.crop}".encode()).hexdigest()
        return LoadedPicture(data, name.name, content_hash, line, name.crop, mask, kept and not name.crop)

    def _read(self, name: str) -> bytes:
        if re.match(r"https?://", name, re.IGNORECASE):
            if self._fetch is None:
                raise PictureRefused("is a web address; import with --fetch to get it")
            return self._fetch(name)
        relative = sources.relative_name(name)
        return self._file.source.read(f"{self._file.base}/{relative}" if self._file.base else relative)

    def _refuse_duplicate(self, picture: LoadedPicture, sku: str) -> None:
        owner, line = self._seen.setdefault(picture.content_hash, (sku, picture.line))
        if owner != sku:
            place = f" on line {line}" if line else ""
            raise PictureRefused(f"is the same picture as that of {owner}{place}; one of both is wrong")
        others = [other for other in self._catalogue.owners_of_hash(picture.content_hash) if other != sku]
        if others:
            raise PictureRefused(f"is a reference of {others[0]} already; one of both is wrong")

    def _finish(self, waiting: list[_Prepared]) -> Iterator[Outcome]:
        loaded = [picture for prepared in waiting for picture in prepared.pictures]
        results = iter(self._results(loaded))
        for prepared in waiting:
            good: list[NewReference | _Read] = []
            for picture in prepared.pictures:
                result = next(results)
                if isinstance(result, PictureRefused):
                    prepared.refused.append(Refusal(picture.line, picture.name, str(result)))
                else:
                    good.append(result)
            remark = self._remark(prepared, [one.gtins for one in good])
            change = None
            if self._embed is not None:
                change = self._write(prepared, [one for one in good if isinstance(one, NewReference)])
            yield self._outcome(prepared, len(good), change, remark)

    def _results(self, loaded: list[LoadedPicture]) -> Sequence[NewReference | _Read | PictureRefused]:
        if self._embed is not None:
            return self._embed(loaded) if loaded else []
        return [self._checked(picture) for picture in loaded]

    def _checked(self, picture: LoadedPicture) -> _Read | PictureRefused:
        try:
            return _Read(tuple(self._check(picture)) if self._check is not None else ())
        except PictureRefused as error:
            return error

    def _remark(self, prepared: _Prepared, shown: list[tuple[str, ...]]) -> str:
        """What the barcodes in a product's new pictures say about the GTIN that it will have."""
        if not any(shown):
            return ""
        sku = prepared.wanted.sku
        product = prepared.current or Product(sku)
        if prepared.current is None or self._replace:
            product = product.with_fields(prepared.wanted.fields).cleaned()
        found = remark_on(product.gtin, shown, lambda gtin: self._owners(gtin, sku))
        return found.text if found else ""

    def _owners(self, gtin: str, but: str) -> list[str]:
        """SKUs of other products with this GTIN, in the catalogue or in the file."""
        found = {*listing.skus_with_gtin(self._catalogue, gtin), *self._file.skus_by_gtin.get(gtin, ())}
        return sorted(found - {but})

    def _write(self, prepared: _Prepared, references: list[NewReference]) -> int | None:
        """Write a product, if the file brings anything for it; the log's number of that."""
        sku = prepared.wanted.sku
        if prepared.current is None or (prepared.changes and self._replace):
            product = (prepared.current or Product(sku)).with_fields(prepared.wanted.fields)
            return self._catalogue.enrol_logged(product, references, by=self._by)[1]
        return self._catalogue.enrol_logged(sku, references, by=self._by)[1] if references else None

    def _outcome(self, prepared: _Prepared, pictures: int, change: int | None, remark: str) -> Outcome:
        status = "added" if prepared.current is None else "changed" if prepared.changes or pictures else "unchanged"
        wanted, applied = prepared.wanted, prepared.current is None or self._replace
        counts = (pictures, prepared.known, len(wanted.pictures))
        return Outcome(
            wanted.sku, wanted.line, status, prepared.changes, applied, *counts, prepared.refused, change, remark
        )

"""Parts of a snapshot as bytes that are named by their own hash: rows packed and unpacked, chunks on their way.

A part is a line of JSON, the rows, and behind it the bytes that the rows refer to by their length. The same rows always
give the same bytes, so what did not change has the name that it had. A reference's part holds ids `PART * n` up to
`PART * (n + 1)`; a part of products begins where the hash of an SKU says so, so that a new product moves no border but
its own (content-defined chunking: Muthitacharoen et al., "A Low-bandwidth Network File System", SOSP 2001).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from catalogue.snapshot import BYTES
from retail_seg.errors import ChainError

#: Reference ids of one part: with their pictures less than a megabyte. Another number is another FORM of snapshots.
PART = 32
#: One SKU in so many begins a new part of products.
PRODUCTS = 256
#: Bytes of a file that travel as one chunk.
CHUNK = 4 * 2**20
#: What a chunk may hold at most, in bytes.
LARGEST = 2**30
_MAGIC = b"RSEGPART1\n"
_PLAIN, _DEFLATED = b"\0", b"\1"


@dataclass(frozen=True)
class Chunk:
    """Bytes that travel as one: their SHA-256 as hexadecimal digits, which is their name, and how many they are."""

    name: str
    size: int

    def check(self, data: bytes) -> bytes:
        """The bytes, which must be these; raises ChainError."""
        if len(data) != self.size or sha256(data).hexdigest() != self.name:
            raise ChainError(f"chunk {self.name[:12]} is damaged or was changed on its way; nothing of it was used")
        return data


def chunk_of(data: bytes) -> Chunk:
    """The name and size of some bytes."""
    return Chunk(sha256(data).hexdigest(), len(data))


def wrapped(data: bytes) -> bytes:
    """Bytes as they are stored: deflated where that saves a tenth of their beginning."""
    start = data[: 2**16]
    if len(zlib.compress(start, 6)) > 0.9 * len(start):
        return _PLAIN + data
    return _DEFLATED + zlib.compress(data, 6)


def unwrapped(stored: bytes, chunk: Chunk) -> bytes:
    """What `wrapped` was given, and what `chunk` names; raises ChainError. No more than its size is ever inflated."""
    if chunk.size > LARGEST:
        raise ChainError(f"chunk {chunk.name[:12]} has {chunk.size:,} bytes, more than this version takes")
    return chunk.check(_inflated(stored, chunk.size))


def unwrapped_as(stored: bytes, name: str) -> bytes:
    """What `wrapped` was given, where only its name is known; raises ChainError. It holds at most LARGEST bytes."""
    data = _inflated(stored, LARGEST)
    return Chunk(name, len(data)).check(data)


def _inflated(stored: bytes, most: int) -> bytes:
    """The bytes behind the sign of how they are stored; more than `most`, or nothing, for what was not stored so."""
    kind, data = stored[:1], stored[1:]
    if kind != _DEFLATED:
        return data
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(data, most + 1)
    except zlib.error:
        return b""
    return data if inflater.eof and not inflater.unused_data else b""  # cut off, or with something behind it


def pack(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as a part; bytes among their values go behind the line that says how long they are."""
    blobs = [row[name] for row in rows for name in BYTES if row.get(name) is not None]
    lines = [{**row, **{n: len(row[n]) for n in BYTES if row.get(n) is not None}} for row in rows]
    head = json.dumps(lines, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return b"".join([_MAGIC, head.encode(), b"\n", *blobs])


def unpack(data: bytes) -> list[dict[str, Any]]:
    """The rows that `pack` was given; raises ChainError."""
    try:
        if not data.startswith(_MAGIC):
            raise ValueError
        end = data.index(b"\n", len(_MAGIC))
        rows: list[dict[str, Any]] = json.loads(data[len(_MAGIC) : end])
        at = end + 1
        for row in rows:
            for name in BYTES:
                if (length := row.get(name)) is not None:
                    if not isinstance(length, int) or length < 0:
                        raise ValueError
                    row[name], at = data[at : at + length], at + length
        if at != len(data):
            raise ValueError
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise ChainError("its rows are not of the form that this version reads; update retail-seg") from None
    return rows


def product_parts(products: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Products, in the order of their SKUs, in parts."""
    part: list[dict[str, Any]] = []
    for product in products:
        if part and (zlib.crc32(product["sku"].encode()) % PRODUCTS == 0 or len(part) == 16 * PRODUCTS):
            yield part
            part = []
        part.append(product)
    if part:
        yield part


def reference_parts(marks: Iterable[tuple[int, str, int]], embedder: str) -> Iterator[tuple[int, str]]:
    """(first id, mark) of each part of references that is not empty; a part whose mark is the same is the same."""
    first, digest = -1, sha256()
    for id_, sku, revision in marks:
        if id_ - id_ % PART != first:
            if first >= 0:
                yield first, digest.hexdigest()[:16]
            first, digest = id_ - id_ % PART, sha256(embedder.encode())
        digest.update(f"{id_} {revision} {sku}\n".encode())
    if first >= 0:
        yield first, digest.hexdigest()[:16]


def chunks_of(data: bytes) -> Iterator[bytes]:
    """The bytes of a file in chunks."""
    yield from (data[at : at + CHUNK] for at in range(0, len(data), CHUNK))

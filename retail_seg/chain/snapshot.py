"""What a snapshot is made of, and the signed head that says which one is today's; both ⇄ bytes."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

from retail_seg.chain.keys import Keys, PublicKey, SigningKey
from retail_seg.chain.packing import Chunk
from retail_seg.errors import ChainError

#: The form of snapshots that this version writes and reads.
FORM = 1
#: What a head is signed for.
_PURPOSE = "head"
#: Earlier snapshots that one names, so that a store that is behind can see that it is behind on the same way.
HISTORY = 200


@dataclass(frozen=True)
class Part:
    """Rows of one table: where they begin (an SKU or a reference id), and a mark that is the same while they are."""

    chunk: Chunk
    first: Any
    mark: str = ""


@dataclass(frozen=True)
class ModelFile:
    """A file of the segmenter's folder, in chunks."""

    name: str
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True)
class Snapshot:
    """A catalogue with its models at one moment: what every store that follows answers with.

    centre      identity of the store that it was made of
    revision    of that store's catalogue
    embedder    name, fingerprint and dimension; its weights come with the program
    settings    what the centre has learned and stated (projection, calibration, certainty), a JSON object in chunks
    products    parts by SKU; references: parts by id
    segmenter   name and fingerprint, and the files of its folder
    history     (number, name) of the snapshots before it, the latest first
    """

    number: int
    made: str
    by: str
    centre: str
    program: str
    revision: int
    embedder: tuple[str, str, int]
    index: str
    settings: tuple[Chunk, ...]
    products: tuple[Part, ...]
    references: tuple[Part, ...]
    segmenter: str
    files: tuple[ModelFile, ...]
    history: tuple[tuple[int, str], ...] = ()

    def content(self) -> tuple[Any, ...]:
        """What two snapshots have in common that answer alike."""
        return self.embedder, self.settings, self.products, self.references, self.segmenter, self.files

    @property
    def model_name(self) -> str:
        """The name of its segmenter's folder in a store: the same for the same files."""
        return sha256(repr(self.files).encode()).hexdigest()[:16]

    def chunks(self) -> Iterator[Chunk]:
        """All that it is made of; a chunk may come twice."""
        yield from self.settings
        yield from (part.chunk for part in (*self.products, *self.references))
        yield from (chunk for file in self.files for chunk in file.chunks)

    def to_bytes(self) -> bytes:
        """As it is published; the bytes' hash is the snapshot's name."""
        values = asdict(self) | {
            "form": FORM,
            "settings": _chunks_out(self.settings),
            "products": [_part_out(part) for part in self.products],
            "references": [_part_out(part) for part in self.references],
            "files": [[file.name, _chunks_out(file.chunks)] for file in self.files],
        }
        return json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Snapshot:
        """What `to_bytes` wrote; raises ChainError."""
        values = _values(data)
        try:
            values |= {
                "embedder": _embedder(values["embedder"]),
                "settings": _chunks_in(values["settings"]),
                "products": tuple(_part_in(part, str) for part in values["products"]),
                "references": tuple(_part_in(part, int) for part in values["references"]),
                "files": tuple(_file_in(*file) for file in values["files"]),
                "history": tuple((int(number), str(name)) for number, name in values["history"]),
            }
            return cls(**values)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise _strange() from None


@dataclass(frozen=True)
class Head:
    """Which snapshot is today's; it grows by number, and never goes back.

    keys   with which the next ones may be signed, and those with which none will be any more
    """

    number: int
    snapshot: Chunk
    made: str
    keys: Keys = field(default_factory=Keys)

    def signed(self, key: SigningKey) -> bytes:
        """As it is published: the words that are signed, who signed them, and the signature."""
        payload = json.dumps(
            {"form": FORM, "number": self.number, "snapshot": self.snapshot.name, "size": self.snapshot.size}
            | {"made": self.made, "keys": self.keys.trusted, "retired": self.keys.retired}
        )
        signature = base64.b64encode(key.sign(_PURPOSE, payload.encode())).decode()
        return json.dumps({"payload": payload, "key": str(key.public), "signature": signature}, indent=1).encode()


def read_head(data: bytes, address: str, trusted: Keys | None) -> tuple[Head, PublicKey]:
    """The head that was published at an address, and who signed it; raises ChainError.

    It must be signed by a key that is trusted; by any, where none is yet.
    """
    try:
        outer = json.loads(data)
        payload, key = str(outer["payload"]).encode(), PublicKey.read(_line(outer["key"]))
        signature = base64.b64decode(outer["signature"], validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error, ChainError):
        raise ChainError(f"{address}: its head is damaged; ask the centre to publish again") from None
    if trusted is not None and str(key) not in trusted.trusted:
        raise _stranger(address, key, trusted)
    if not key.signed(_PURPOSE, payload, signature):
        raise ChainError(f"{address}: its head does not bear the signature of key {key.fingerprint}; nothing was taken")
    values = _values(payload)
    try:
        chunk = Chunk(_name(values["snapshot"]), int(values["size"]))
        lines = (tuple(map(_line, map(str, values.get(name, ())))) for name in ("keys", "retired"))
        return Head(int(values["number"]), chunk, str(values["made"]), Keys(*lines)), key
    except (KeyError, TypeError, ValueError):
        raise _strange() from None


def _stranger(address: str, key: PublicKey, trusted: Keys) -> ChainError:
    if str(key) in trusted.retired:
        return ChainError(
            f"{address}: is signed by key {key.fingerprint}, which the centre has retired: an old copy, or somebody "
            "uses the old key; nothing was taken"
        )
    known = " or ".join(PublicKey.read(one).fingerprint for one in trusted.trusted)
    return ChainError(
        f"{address}: is signed by another centre (key {key.fingerprint}) than the one that is trusted here (key "
        f"{known}); nothing was taken; if the centre has a new key, `retail-seg key add` trusts it"
    )


def _line(text: str) -> str:
    if not text.startswith("retail-seg:"):  # never the name of a file
        raise ValueError
    return text


def _values(data: bytes) -> dict[str, Any]:
    try:
        values = json.loads(data)
        form = int(values.pop("form"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _strange() from None
    if form > FORM:
        raise ChainError(f"the snapshot is of form {form}, this version reads {FORM}; update retail-seg")
    return dict(values)


def _strange() -> ChainError:
    return ChainError("the snapshot is not of the form that this version reads; update retail-seg at both ends")


def _embedder(values: Sequence[Any]) -> tuple[str, str, int]:
    name, fingerprint, dim = values
    return str(name), str(fingerprint), int(dim)


def _part_out(part: Part) -> list[Any]:
    return [part.chunk.name, part.chunk.size, part.first, part.mark]


def _part_in(values: Sequence[Any], kind: type) -> Part:
    name, size, first, mark = values
    return Part(Chunk(_name(name), int(size)), kind(first), str(mark))


def _file_in(name: str, chunks: Sequence[Any]) -> ModelFile:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in name:
        raise ValueError(name)
    return ModelFile(name, _chunks_in(chunks))


def _chunks_out(chunks: Sequence[Chunk]) -> list[list[Any]]:
    return [[chunk.name, chunk.size] for chunk in chunks]


def _chunks_in(chunks: Sequence[Any]) -> tuple[Chunk, ...]:
    return tuple(Chunk(_name(one), int(size)) for one, size in chunks)


def _name(text: str) -> str:
    """A chunk's name, which becomes part of a path: hexadecimal digits and nothing else."""
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise ValueError(text)
    return text

"""Where a store's vectors lie: in a file of its own, or on a server; what is done when that is dead."""

from __future__ import annotations

from pathlib import Path

from catalogue import Catalogue
from index.errors import IndexUnreachableError
from index.milvus import KINDS, MilvusIndex, Server, collection_name
from index.vectors import VectorIndex
from retail_seg.errors import StoreError

#: Setting of a store: the address of the server of its vectors.
INDEX_URI = "index_uri"
#: Where that is dead, a store of at most so many references answers from this machine.
LOCAL = 500_000


def server_of(catalogue: Catalogue) -> Server | None:
    """The server of a store's vectors, None where they lie in a file of its own."""
    kind = catalogue.get_setting("index") or ""
    if kind not in KINDS:
        return None
    return Server(catalogue.get_setting(INDEX_URI) or "", collection_name(catalogue.identity), kind)


def kind_of(catalogue: Catalogue) -> str:
    """The kind of the index that a store has on this machine."""
    return local_kind(catalogue.get_setting("index") or "flat")


def empty_index(catalogue: Catalogue, server: Server | None, dim: int, tag: str) -> VectorIndex | MilvusIndex:
    """An index that is still to be filled, where the store's vectors lie."""
    return VectorIndex(dim, kind_of(catalogue), tag) if server is None else server.make(dim, tag)


def local_kind(kind: str) -> str:
    """Who has no server keeps the vectors in a file: exact, as it is there without being asked for."""
    return "flat" if kind in KINDS else kind


def refuse_too_many(catalogue: Catalogue, path: Path, error: IndexUnreachableError) -> None:
    """Raise StoreError where a store has no index of its own and too many references to make one meanwhile."""
    count = catalogue.count_references()
    if not path.exists() and count > LOCAL:
        raise StoreError(f"{error} {path.parent} has {count:,} references and no index of its own") from None

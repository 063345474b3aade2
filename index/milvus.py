"""Nearest references on a Milvus server, or in a file of Milvus Lite: what `VectorIndex` does, in one collection.

A collection has a row for each vector (view) of a reference; its properties say of what the vectors are (`tag`) and
with which revision of the catalogue it is level. An alias names the collection in force, so that one that is built anew
takes its place in one step. A collection that has been replaced stays until the next, for those who still ask it.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from index import settings
from index.errors import IndexUnreachableError, VectorIndexError
from index.vectors import check_unit_vectors, first_of_each

T = TypeVar("T")

#: What a store's setting calls an index at Milvus, and Milvus itself.
KINDS = {"milvus": "FLAT", "milvus-hnsw": "HNSW", "milvus-diskann": "DISKANN"}
#: A reference has fewer vectors than this; the number of a row is its reference's times this, and the view's.
VIEWS = 4096
#: Rows that are sent at once, and the most that Milvus answers with.
_ROWS, _MOST = 1000, 16_384
#: References that one condition names.
_NAMED = 1000
_LINKS, _BUILD, _SEARCH = 32, 120, 128
#: What the approximate kinds call the number of references that a search keeps in view.
_WIDTHS = {"milvus-hnsw": "ef", "milvus-diskann": "search_list"}
#: Seconds until a server that does not answer counts as dead.
_TIMEOUT = 10.0
#: Seconds between two questions whether an index is built, and until it should be.
_TICK, _PATIENCE = 0.5, 900.0


@dataclass(frozen=True)
class Server:
    """Where a store's vectors lie: Milvus's address, or the path of a `.db` file, and the name that they have there."""

    uri: str
    name: str
    kind: str = "milvus"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise VectorIndexError(f"No index of kind {self.kind!r} at Milvus: choose one of {', '.join(KINDS)}.")
        if self.kind == "milvus-diskann" and self.uri.endswith(".db"):
            raise VectorIndexError("Milvus Lite has no DiskANN: give the address of a server, or take milvus-hnsw.")

    def open(self, tag: str) -> tuple[MilvusIndex, int] | None:
        """The collection in force and its revision; None where there is none, or its vectors are others.

        Raises IndexUnreachableError.
        """
        client = self.client()
        about = self.asked(lambda: client.describe_collection(self.name) if self._in_force(client) else None)
        said = (about or {}).get("properties", {})
        if about is None or said.get("tag") != tag:
            return None
        self.asked(lambda: client.load_collection(about["collection_name"]))  # a server that has started anew has not
        dim = next(int(field["params"]["dim"]) for field in about["fields"] if field["name"] == "vector")
        return MilvusIndex(self, client, about["collection_name"], dim, tag), int(said["revision"])

    def make(self, dim: int, tag: str) -> MilvusIndex:
        """A new, empty collection, which nobody finds until it is `MilvusIndex.enforce`d."""
        from pymilvus import DataType

        client = self.client()
        name = f"{self.name}_{secrets.token_hex(6)}"
        schema = client.create_schema(auto_id=False)
        schema.add_field("row", DataType.INT64, is_primary=True)
        schema.add_field("reference", DataType.INT64)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
        kind = KINDS[self.kind]
        parameters = client.prepare_index_params()
        built = {"M": _LINKS, "efConstruction": _BUILD} if kind == "HNSW" else {}
        parameters.add_index("vector", index_type=kind, metric_type="IP", params=built)
        said = {"tag": tag, "revision": "-1"}
        self.asked(
            lambda: client.create_collection(
                name, schema=schema, index_params=parameters, properties=said, consistency_level="Strong"
            )
        )
        return MilvusIndex(self, client, name, dim, tag)

    def client(self) -> Any:
        """A connection; raises IndexUnreachableError."""
        try:
            from pymilvus import MilvusClient
        except ImportError:
            raise VectorIndexError("Milvus needs pymilvus: install it with `pip install retail-seg[milvus]`.") from None
        return self.asked(lambda: MilvusClient(self.uri, token=settings.milvus_token(), timeout=_TIMEOUT))

    def asked(self, ask: Callable[[], T]) -> T:
        """What comes of asking; every failure is one sentence."""
        from grpc import RpcError
        from pymilvus.exceptions import MilvusException

        try:
            return ask()
        except (MilvusException, RpcError, OSError) as error:
            reason = (getattr(error, "message", "") or str(error)).strip().splitlines() or [type(error).__name__]
            raise IndexUnreachableError(
                f"{self.uri}: Milvus does not answer ({reason[0][:200]}): start it, or check the address."
            ) from None

    def enforce(self, client: Any, collection: str) -> None:
        """Let the alias name a collection, and delete all but that and the one that it named."""
        before = self._in_force(client)
        self.asked(lambda: (client.alter_alias if before else client.create_alias)(collection, self.name))
        for name in self.asked(client.list_collections):
            if name.startswith(f"{self.name}_") and name not in (collection, before):
                self.asked(lambda name=name: client.drop_collection(name))  # type: ignore[misc]

    def _in_force(self, client: Any) -> str:
        """The collection that the alias names, "" for none."""
        for name in self.asked(client.list_collections):
            if name.startswith(f"{self.name}_"):
                named = self.asked(lambda name=name: client.list_aliases(name))  # type: ignore[misc]
                if self.name in named.get("aliases", ()):
                    return str(name)
        return ""


class MilvusIndex:
    """Unit vectors by reference id in a collection: add, replace, remove, search; see `index.vectors.VectorIndex`."""

    def __init__(self, server: Server, client: Any, collection: str, dim: int, tag: str, among: str = "") -> None:
        self.server, self.dim, self.tag, self.kind = server, dim, tag, server.kind
        self._client, self._collection, self._among = client, collection, among

    def __len__(self) -> int:
        """The number of vectors (views)."""
        found = self._asked("query", filter="", output_fields=["count(*)"])
        return int(found[0]["count(*)"])

    def add(self, ids: np.ndarray, vectors: np.ndarray) -> None:
        """Add unit vectors float32 (n, dim) under int64 ids (n,), an id's all at once; searchable when this returns."""
        vectors = check_unit_vectors(vectors, self.dim)
        ids = np.asarray(ids, np.int64)
        views = _numbered(ids)
        if len(ids) and (views.max() >= VIEWS or ids.min() < 0):
            raise VectorIndexError(f"A reference has {views.max() + 1} views: give at most {VIEWS}, and ids from 0.")
        for at in range(0, len(ids), _ROWS):
            rows = [
                {"row": int(i) * VIEWS + int(view), "reference": int(i), "vector": vector}
                for i, view, vector in zip(ids[at:][:_ROWS], views[at:][:_ROWS], vectors[at:][:_ROWS], strict=True)
            ]
            self._asked("upsert", data=rows)

    def replace(self, ids: np.ndarray, vectors: np.ndarray) -> None:
        """Put the given vectors in the place of whatever these ids carried; done twice it is the same as once."""
        check_unit_vectors(vectors, self.dim)
        self.remove(np.unique(ids))
        self.add(ids, vectors)

    def remove(self, ids: np.ndarray) -> None:
        """Remove all vectors of these ids; unknown ids are no error."""
        wanted = np.unique(np.asarray(ids, np.int64)).tolist()
        for at in range(0, len(wanted), _NAMED):
            self._asked("delete", filter=_condition(wanted[at:][:_NAMED]))

    def part(self, ids: Sequence[int]) -> MilvusIndex:
        """The same index, of which only these references are searched."""
        found = MilvusIndex(self.server, self._client, self._collection, self.dim, self.tag, _condition(ids))
        found.kind = self.kind
        return found

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """As `VectorIndex.search`: scores float32 (m, k) and ids int64 (m, k), each id once, with its best view."""
        queries = check_unit_vectors(queries, self.dim)
        if k < 1:
            raise VectorIndexError(f"A search for {k} neighbours is empty: ask for at least 1.")
        scores = np.full((len(queries), k), -np.inf, np.float32)
        ids = np.full((len(queries), k), -1, np.int64)
        todo, fetch = np.arange(len(queries)), min(4 * k, _MOST)
        while len(todo):
            short = []
            for row, hits in zip(todo, self._hits(queries[todo], fetch), strict=True):
                found_scores, found = _best_of_each(hits)
                count = min(len(found), k)
                scores[row, :count], ids[row, :count] = found_scores[:count], found[:count]
                if count < k and len(hits) == fetch < _MOST:
                    short.append(row)
            todo, fetch = np.array(short, int), min(4 * fetch, _MOST)
        return scores, ids

    def level(self, revision: int) -> None:
        """Say with which revision of the catalogue the collection is level."""
        self._asked("alter_collection_properties", properties={"tag": self.tag, "revision": str(revision)})

    def enforce(self, revision: int) -> None:
        """Let every reader find this collection from now on, level with a revision."""
        self._asked("flush")
        self.level(revision)
        self.server.enforce(self._client, self._collection)

    def settle(self) -> None:
        """Wait until what was added is searched by the index, not row by row: a server builds it on its own.

        Raises IndexUnreachableError for one that does not get there: a server of one machine has no DiskANN, and tries.
        """
        end = time.monotonic() + _PATIENCE
        while int(self._asked("describe_index", index_name="vector").get("pending_index_rows", 0)):
            if time.monotonic() > end:
                raise IndexUnreachableError(f"{self.server.uri}: Milvus has built no {self.kind} in {_PATIENCE:g} s.")
            time.sleep(_TICK)
        self.server.asked(lambda: self._client.refresh_load(self._collection))

    def _hits(self, queries: np.ndarray, fetch: int) -> list[np.ndarray]:
        wide = {_WIDTHS[self.kind]: max(_SEARCH, 2 * fetch)} if self.kind in _WIDTHS else {}
        found = self._asked(
            "search", data=list(queries), limit=fetch, filter=self._among, anns_field="vector",
            output_fields=["row"],
            search_params={"metric_type": "IP", "params": wide},
        )  # fmt: skip
        return [np.array([(hit["distance"], hit["row"]) for hit in hits], np.float64).reshape(-1, 2) for hits in found]

    def _asked(self, what: str, **named: Any) -> Any:
        return self.server.asked(lambda: getattr(self._client, what)(self._collection, timeout=_TIMEOUT, **named))


def collection_name(identity: str) -> str:
    """What a store's vectors are called at a server that holds those of many: letters, digits and underlines alone."""
    return f"retail_seg_{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


def _numbered(ids: np.ndarray) -> np.ndarray:
    """How many rows of the same id stand before each row, int64 (n,)."""
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ids) else np.zeros(0, int)
    counts = np.diff(np.r_[starts, len(ids)])
    found = np.empty(len(ids), np.int64)
    found[order] = np.arange(len(ids)) - np.repeat(starts, counts)
    return found


def _best_of_each(hits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(score, row) ► score and reference of each reference's best row, best first; of equal ones the older first."""
    hits = hits[np.lexsort((hits[:, 1], -hits[:, 0]))]
    ids = (hits[:, 1].astype(np.int64) // VIEWS)[None]
    keep = first_of_each(ids)[0] if ids.size else np.zeros(0, bool)
    return hits[keep, 0], ids[0, keep]


def _condition(ids: Sequence[int]) -> str:
    return f"reference in [{','.join(str(int(i)) for i in ids)}]" if len(ids) else "reference < 0"

"""The lines of `scan` as columns: what a Parquet file of reports holds, under the names that the lines have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: What stands beside a report: the photo's hash, and what it was recognised by when it was read.
MARKS = ("sha256", "stamp")


def schema() -> Any:
    """The columns as pyarrow's schema."""
    import pyarrow as pa

    text, whole, real, flag = pa.string(), pa.int32(), pa.float64(), pa.bool_()
    match = pa.struct({"sku": text, "name": text, "score": real, "reference_id": pa.int64(), "probability": real})
    instance = pa.struct(
        {"id": whole, "box": pa.list_(whole), "area": pa.int64(), "polygon": pa.list_(pa.list_(whole))}
        | {"confidence": real, "merged": flag, "row": whole, "position": whole, "run": whole, "facing": whole}
        | {"decision": text, "certainty": text, "sku": text, "probability": real, "none_of_them": real}
        | {"margin": real, "matches": pa.list_(match), "reason": text, "odd": flag}
    )
    counts = pa.map_(text, whole)
    return pa.schema(
        {"image": text, "width": whole, "height": whole, "box_format": text, "instances": pa.list_(instance)}
        | {"counts": counts, "likely": counts, "unknown": whole, "expected": pa.map_(text, pa.list_(real))}
        | {"answered": real, "version": text, "segmenter": text, "embedder": text, "revision": pa.int64()}
        | {"snapshot": text, **dict.fromkeys(MARKS, text)}
    )


def write(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Write lines of `scan` as a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(list(lines), schema=schema()), path, compression="zstd")


def read(path: Path, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The lines of a Parquet file, or some columns of them; what a line did not have is left out."""
    import pyarrow.parquet as pq

    rows = pq.ParquetFile(path).read(columns).to_pylist(maps_as_pydicts="strict")
    return [_bare(row) for row in rows]


def _bare(row: dict[str, Any]) -> dict[str, Any]:
    """A line as `scan` writes it: optional fields that are empty are not there."""
    found = {name: value for name, value in row.items() if value is not None or name != "snapshot"}
    if "instances" in found:
        optional = ("reason", "odd")
        found["instances"] = [
            {name: value for name, value in one.items() if value is not None or name not in optional}
            for one in found["instances"]
        ]
    return found

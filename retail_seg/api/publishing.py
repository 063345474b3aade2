"""The schemas of what goes in and out, as files: `python -m retail_seg.api.publishing docs/schema` writes them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from pydantic import BaseModel

from retail_seg.api.app import build
from retail_seg.api.catalogue_schemas import ImportLine, ProductOut
from retail_seg.api.openapi import document
from retail_seg.api.schemas import MatchAnswer, Problem, ScanAnswer, schema_of

#: File ► what it describes.
MODELS: dict[str, tuple[type[BaseModel], str]] = {
    "scan.json": (ScanAnswer, "A line of `retail-seg scan`, and the answer of POST /v1/scan"),
    "match.json": (MatchAnswer, "A line of `retail-seg match`, and the answer of POST /v1/match"),
    "product.json": (ProductOut, "A line of `retail-seg products`, and a product of /v1/products"),
    "import-line.json": (ImportLine, "A line of an import at /v1/imports"),
    "problem.json": (Problem, "An error (RFC 9457)"),
}


def published() -> dict[str, str]:
    """Name and text of every file."""
    found: dict[str, Any] = {name: schema_of(*described) for name, described in MODELS.items()}
    found["openapi.json"] = document(build(cast(Any, SimpleNamespace())))
    return {name: json.dumps(schema, indent=1, ensure_ascii=False) + "\n" for name, schema in found.items()}


def main() -> None:
    """Write the files into the folder that the command line names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in published().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

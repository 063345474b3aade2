"""Products, reference pictures and their vectors as rows in SQLite: the truth that every index is built from.

Names load their module when first used: sqlite-utils takes a third of a second, which `retail-seg --help` has not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catalogue.errors import (
        CatalogueError,
        CatalogueVersionError,
        ImportFileError,
        UnknownProduct,
        UnknownReference,
    )
    from catalogue.records import Changes, NewReference, Product, Reference
    from catalogue.store import Catalogue

__all__ = [
    "Catalogue",
    "CatalogueError",
    "CatalogueVersionError",
    "Changes",
    "ImportFileError",
    "NewReference",
    "Product",
    "Reference",
    "UnknownProduct",
    "UnknownReference",
]

_HOMES = {
    "Catalogue": "store",
    **dict.fromkeys(("Changes", "NewReference", "Product", "Reference"), "records"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'catalogue' has no attribute {name!r}")
    return getattr(import_module(f"catalogue.{_HOMES.get(name, 'errors')}"), name)

"""Products, reference pictures and their vectors as rows in SQLite: the truth that every index is built from."""

from __future__ import annotations

from catalogue.errors import CatalogueError, CatalogueVersionError, ImportFileError, UnknownProduct, UnknownReference
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

"""A centre and shops for the tests: stores with a cheap embedder, a model of a few weights, a key."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
from crash_workers import FINGERPRINTS, Patches, picture, states

from catalogue import Catalogue, NewReference, Product
from retail_seg.chain.keys import SigningKey, make_key, read_key
from retail_seg.store.opening import CATALOGUE

EMBEDDER = FINGERPRINTS[0]


def new_store(folder: Path, fingerprint: str = EMBEDDER) -> Path:
    """An empty store, pinned to a cheap embedder."""
    Catalogue.create(folder / CATALOGUE, embedder=fingerprint, dim=Patches(fingerprint).dim).close()
    return folder


@cache
def reference(key: str, fingerprint: str = EMBEDDER) -> NewReference:
    """A reference that follows from the key."""
    data = picture(key)
    vector = Patches(fingerprint).dim * [0.0]
    vector[hashlib.sha256(key.encode()).digest()[0] % len(vector)] = 1.0
    return NewReference(
        content_hash=hashlib.sha256(data).hexdigest(), picture=data, mask=None, vectors=np.float32(vector).tobytes(),
        views=1, embedder=fingerprint, features=b"", source=key, width=48, height=48,
    )  # fmt: skip


def enrol(store: Path, sku: str, *keys: str, name: str = "") -> list[int]:
    """Give a store's product references."""
    with Catalogue.open(store / CATALOGUE) as catalogue:
        return catalogue.enrol(Product(sku, name or sku.title()), [reference(key) for key in keys])


def fill(store: Path, count: int, per: int = 2) -> None:
    """Products `p0` … with references each."""
    with Catalogue.open(store / CATALOGUE) as catalogue, catalogue.change():
        for number in range(count):
            sku = f"p{number}"
            catalogue.enrol(Product(sku, sku.title()), [reference(f"{sku} {n}") for n in range(per)])


def held(store: Path) -> dict[str, tuple[str, list[str]]]:
    """Name and content hashes of every product of a store."""
    with Catalogue.open(store / CATALOGUE) as catalogue:
        names = {product.sku: product.name for product in catalogue.products(limit=10_000)}
        return {sku: (names[sku], hashes) for sku, hashes in states(catalogue).items()}


def signing(folder: Path, name: str = "centre.key") -> SigningKey:
    """A new key."""
    make_key(folder / name)
    return read_key(folder / name)

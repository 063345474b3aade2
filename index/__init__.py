"""Crops ► vectors ► nearest reference ids. Names load their module when first used, so importing this is free."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "Calibration": "calibration",
    "Embedder": "embedder",
    "Policy": "calibration",
    "Projection": "projection",
    "Ranker": "ranking",
    "Ranking": "ranking",
    "VectorIndex": "vectors",
    "open_embedder": "opening",
}

__all__ = ["Calibration", "Embedder", "Policy", "Projection", "Ranker", "Ranking", "VectorIndex", "open_embedder"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'index' has no attribute {name!r}")
    return getattr(import_module(f"index.{_HOME[name]}"), name)

"""What the environment says to this package, read here and nowhere else in it, at each call.

RETAIL_SEG_CACHE    folder of compiled networks and fetched weights; without it the user's cache folder of this system
                    (XDG_CACHE_HOME/retail-seg, else ~/.cache/retail-seg on Linux)
RETAIL_SEG_DEVICE   "cpu": no network runs on a graphics processor
RETAIL_SEG_MILVUS   token of the Milvus server, "user:password" or a key; none without it
RETAIL_SEG_THREADS  threads that a network computes in; one a core without it
"""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder(kind: str) -> Path:
    """Where what is made once and needed again is kept, a folder a kind."""
    own = os.environ.get("RETAIL_SEG_CACHE")
    return (Path(own) if own else user_cache_path("retail-seg", appauthor=False)) / kind


def cpu_only() -> bool:
    """Whether networks are to stay on the processor."""
    return os.environ.get("RETAIL_SEG_DEVICE") == "cpu"


def threads() -> int | None:
    """In how many threads a network computes, where that is said."""
    said = os.environ.get("RETAIL_SEG_THREADS", "")
    return int(said) if said.isdigit() and int(said) > 0 else None


def milvus_token() -> str:
    """What Milvus is shown, "" for nothing."""
    return os.environ.get("RETAIL_SEG_MILVUS", "")

"""Which products are in a photo of groceries, how many, and where.

>>> from retail_seg import Matcher
>>> report = Matcher.open("store").scan("shelf.jpg")
>>> report.counts
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catalogue import Product
    from retail_seg.api.client import Client
    from retail_seg.errors import RetailSegError
    from retail_seg.matcher import Matcher
    from retail_seg.photos.load import load_photo
    from retail_seg.report import Report
    from retail_seg.segmentation.segmenter import Segmenter

__all__ = ["Client", "Matcher", "Product", "Report", "RetailSegError", "Segmenter", "load_photo"]

try:
    __version__ = version("retail-seg")
except PackageNotFoundError:  # the source tree is used without being installed
    __version__ = "0+unknown"

# Torch and FAISS take seconds to import; a name is imported when it is first used.
_HOMES = {
    "Client": "retail_seg.api.client",
    "Matcher": "retail_seg.matcher",
    "Product": "catalogue",
    "Report": "retail_seg.report",
    "RetailSegError": "retail_seg.errors",
    "Segmenter": "retail_seg.segmentation.segmenter",
    "load_photo": "retail_seg.photos.load",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'retail_seg' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])

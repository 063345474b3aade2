"""Embedders by name: the one that ships, and VGG-16 to compare it with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from index.errors import EmbedderError

if TYPE_CHECKING:
    from index.embedder import Embedder

#: What `open_embedder` knows.
EMBEDDERS = ("retail-vgg", "vgg16")


def open_embedder(name: str = "retail-vgg", weights: Path | None = None) -> Embedder:
    """The embedder of this name: `retail-vgg` (ships with the package) or `vgg16` (ImageNet, fetched once).

    `weights` is a local file for `vgg16` (.pth or .safetensors, torchvision's key names) or a model folder for
    `retail-vgg`. Raises EmbedderError for an unknown name, WeightsError for weights that cannot be had.
    """
    if name == "retail-vgg":
        from index.retail_vgg import RetailVGG

        return RetailVGG.load(weights)
    if name == "vgg16":
        from index.vgg import VGG16

        return VGG16.load(weights)
    raise EmbedderError(f"no embedder is called {name!r}; choose one of: {', '.join(EMBEDDERS)}")

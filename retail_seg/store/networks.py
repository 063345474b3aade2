"""The join that puts compiled networks in place of PyTorch's: same weights, same answers, a fraction of the time."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from index import runtime
from index.errors import IndexingError
from retail_seg.system.settings import settings

if TYPE_CHECKING:
    from index import Embedder
    from retail_seg.segmentation.segmenter import Segmenter

log = logging.getLogger(__name__)


def load_embedder(name: str = "retail-vgg", weights: Path | None = None) -> Embedder:
    """The embedder of this name, compiled where OpenVINO is installed; see `index.open_embedder` for its errors."""
    from index import open_embedder

    embedder = open_embedder(name, weights)
    accelerate_embedder(embedder)
    return embedder


def load_segmenter(folder: Path | None = None) -> Segmenter:
    """The segmenter in a model folder, or the shipped one, compiled where OpenVINO is installed; raises ModelError."""
    from retail_seg.segmentation.instances.flooding import import_ahead
    from retail_seg.segmentation.segmenter import Segmenter

    import_ahead()
    segmenter = Segmenter.load(folder)
    accelerate_segmenter(segmenter)
    return segmenter


def accelerate_embedder(embedder: Embedder) -> None:
    """Compile an embedder's network, where OpenVINO is installed and the embedder has one."""
    from index.convolutional import NetworkEmbedder

    if not isinstance(embedder, NetworkEmbedder):
        return
    if runtime.has_cuda():
        embedder.network = runtime.on_cuda(lambda: embedder.module)
        return
    if not runtime.available():
        return
    precision = settings().precision
    crops, masks = _packs() if precision == "int8" else _noise()
    try:
        embedder.network = runtime.compiled(
            lambda: embedder.module,
            embedder.prepare(crops, masks),
            embedder.fingerprint,
            dynamic=[[0], [0]],
            precision=precision,
        )
    except (IndexingError, RuntimeError, OSError) as error:
        log.warning("%s runs on PyTorch, which is slower: it could not be compiled (%s)", embedder.name, error)


def _noise() -> tuple[list[np.ndarray], list[np.ndarray | None]]:
    """Crops that need no time to make: enough to trace a network and to check its precision."""
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 256, (48, 32, 3), np.uint8).repeat(4, 0).repeat(4, 1) for _ in range(4)]
    return crops, [None, crops[1][:, :, 0] > 60, None, None]


def _packs() -> tuple[list[np.ndarray], list[np.ndarray | None]]:
    """Rendered packs with their masks: what ranges of int8 are measured on."""
    from retail_seg.rendering.packs import random_design, render

    rng = np.random.default_rng(0)
    pictures = [render(random_design(rng), 240, rng) for _ in range(32)]
    return [picture[:, :, :3] for picture in pictures], [picture[:, :, 3] > 127 for picture in pictures]


def accelerate_segmenter(segmenter: Segmenter) -> None:
    """Compile a segmenter's network, where OpenVINO is installed and can run it; any size of photo goes through it."""
    if not runtime.available() or not _compiles(segmenter):
        return
    rng = np.random.default_rng(0)
    side = 4 * segmenter.config.stride
    picture = rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    example = segmenter.normalise(picture)[None]
    try:
        network = runtime.compiled(lambda: segmenter.net, [example], segmenter.fingerprint, dynamic=[[0, 2, 3]])
        segmenter.replace_network(network)
    except Exception as error:  # noqa: BLE001 - OpenVINO's own are plain ones; PyTorch runs every network
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        log.warning("%s runs on PyTorch, which is slower: it could not be compiled (%s)", segmenter.name, reason)


def _compiles(segmenter: Segmenter) -> bool:
    from retail_seg.segmentation.network.config import OWN

    if segmenter.config.architecture in OWN:  # answered without loading PyTorch
        return True
    from retail_seg.segmentation.network.architectures import compiles

    return compiles(segmenter.config)

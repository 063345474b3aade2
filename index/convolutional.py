"""What the convolutional embedders share: squeezed pictures with votes in, pooled vectors out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

from index.embedder import Embedder
from index.shared_work import for_each

if TYPE_CHECKING:
    from torch import nn

#: Pictures (n, 3, s, s) float32 and votes (n, 1, s, s) float32 in [0, 1] ► vectors (n, d) float32.
EmbeddingNetwork = Callable[[np.ndarray, np.ndarray], np.ndarray]

#: Crops that a thread squeezes before it is handed the next.
_SQUEEZED = 8

#: Mean and standard deviation of ImageNet's RGB values in [0, 1], as torchvision's networks expect them removed.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class NetworkEmbedder(Embedder):
    """An embedder around a torch module that takes pictures and votes.

    `network` is the one callable that is run: PyTorch, or the compiled network that a caller puts in its place.
    `module` holds the same weights and is built when it is first asked for.
    """

    size: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    @abstractmethod
    def build(self) -> nn.Module:
        """The PyTorch module that holds the weights."""

    @cached_property
    def module(self) -> nn.Module:
        """What `build` gives, built once."""
        return self.build()

    @cached_property
    def network(self) -> EmbeddingNetwork:
        """What is run: PyTorch, unless a compiled network was put in its place."""
        return torch_network(self.module)

    def _embed_batch(self, crops: list[np.ndarray], masks: list[np.ndarray | None]) -> np.ndarray:
        return self.network(*self.prepare(crops, masks))

    def prepare(self, crops: list[np.ndarray], masks: list[np.ndarray | None]) -> tuple[np.ndarray, np.ndarray]:
        """The network's input: pictures (n, 3, s, s) float32 and votes (n, 1, s, s) float32 in [0, 1].

        A crop is squeezed to a square; what lies outside its mask becomes the mean colour and does not vote.
        """
        pictures = np.empty((len(crops), 3, self.size, self.size), np.float32)
        votes = np.empty((len(crops), 1, self.size, self.size), np.float32)
        table = self._normalised

        def fill(at: int) -> None:
            cv2.split(cv2.LUT(squeeze(crops[at], self.size), table), list(pictures[at]))
            if (mask := masks[at]) is None:
                votes[at] = 1
            else:
                votes[at, 0] = squeeze(mask.astype(np.float32), self.size)
                pictures[at] *= votes[at, 0]

        for_each(fill, range(len(crops)), at_once=_SQUEEZED)
        return pictures, votes

    @cached_property
    def _normalised(self) -> np.ndarray:
        """What each byte of each colour is to the network, (1, 256, 3) float32."""
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        values = np.arange(256, dtype=np.float32)[:, None]
        return np.asarray((values * (1 / (255 * std)) - mean / std)[None], np.float32)


def squeeze(picture: np.ndarray, size: int) -> np.ndarray:
    """A picture or mask of any shape as a square of `size` pixels; areas are averaged when it shrinks."""
    shrinks = max(picture.shape[:2]) > size
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def torch_network(module: nn.Module) -> EmbeddingNetwork:
    """The module as a plain callable of arrays, run by PyTorch in float32 without gradients."""
    import torch

    module = module.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(pictures: np.ndarray, votes: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            batch = torch.from_numpy(pictures).contiguous(memory_format=torch.channels_last)
            vectors: np.ndarray = module(batch, torch.from_numpy(votes)).numpy()
            return vectors

    return run

"""The embedders' PyTorch modules; importing this loads PyTorch, which a compiled network can do without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class RetailVGGNet(nn.Module):
    """A plain stack of 1×1 and 3×3 convolutions, ReLU and max pooling, read at several depths.

    `layers` is a list of ["conv", out, kernel, stride, padding] and ["pool"] (3×3, stride 2); the stack is
    VGG's configuration C (Simonyan & Zisserman 2015) with narrow 1×1 layers. The maps behind the layers named in
    `taps` are pooled by generalised means of power two weighted by the votes, each scaled to unit length times its
    weight, joined, and projected. `blocks` lists [length, weight] of the answer's parts, each of that length.
    """

    def __init__(self, layers: list[list[Any]], taps: list[int], blocks: list[list[float]]) -> None:
        super().__init__()
        self.taps = tuple(taps)
        self.blocks = [(int(length), float(weight)) for length, weight in blocks]
        modules: list[nn.Module] = []
        widths: list[int] = []
        channels = 3
        for layer in layers:
            if layer[0] == "pool":
                modules.append(nn.MaxPool2d(3, 2, ceil_mode=True))
            else:
                _, out, kernel, stride, padding = layer
                modules.append(nn.Conv2d(channels, out, kernel, stride, padding))
                channels = out
            widths.append(channels)
        self.features = nn.ModuleList(modules)
        self.scales = nn.Parameter(torch.full((len(taps),), 10.0))
        self.head = nn.Linear(sum(widths[tap] for tap in taps), sum(length for length, _ in self.blocks))

    def forward(self, pictures: torch.Tensor, votes: torch.Tensor) -> torch.Tensor:
        """The blocks (n, sum of their lengths) of pictures (n, 3, s, s) with votes (n, 1, s, s)."""
        parts = self.head(self.describe(pictures, votes)).split([length for length, _ in self.blocks], 1)
        return torch.cat(
            [F.normalize(part, dim=1) * weight for part, (_, weight) in zip(parts, self.blocks, strict=True)], 1
        )

    def describe(self, pictures: torch.Tensor, votes: torch.Tensor) -> torch.Tensor:
        """The pooled and joined maps (n, sum of the taps' channels) before the projection."""
        pooled: list[torch.Tensor] = []
        x = pictures
        for at, module in enumerate(self.features):
            x = module(x)
            if isinstance(module, nn.Conv2d):
                x = F.relu(x)
            if at in self.taps:
                pooled.append(F.normalize(gem(x.float(), votes), dim=1) * self.scales[len(pooled)])
        return torch.cat(pooled, 1)


def retail_vgg_net(config: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> RetailVGGNet:
    """The module of a retail-vgg model folder: its configuration, and its weights as arrays."""
    module = RetailVGGNet(config["layers"], config["taps"], config["blocks"])
    module.load_state_dict({key: torch.from_numpy(value.astype(np.float32)) for key, value in state.items()})
    return module


def gem(maps: torch.Tensor, votes: torch.Tensor, power: float = 2.0) -> torch.Tensor:
    """Generalised mean (n, c) of maps (n, c, h, w), each place weighted by its share of the votes (n, 1, s, s).

    GeM pooling: Radenović, Tolias & Chum 2018; power 1 is the average, a large one the maximum.
    """
    share = F.adaptive_avg_pool2d(votes, (maps.shape[2], maps.shape[3])).clamp(min=1e-4)
    mean = (maps.clamp(min=1e-3).pow(power) * share).sum((2, 3)) / share.sum((2, 3))
    return mean.pow(1 / power)

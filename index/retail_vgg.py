"""retail-vgg: the small VGG-style embedder that ships with the package and works without a network connection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from index.colour import colour_histogram
from index.embedder import fingerprint_of, unit_rows
from index.errors import WeightsError
from index.network import NetworkEmbedder, gem, torch_network

#: The folder of the model that ships with the package.
SHIPPED = Path(__file__).parent / "models" / "retail-vgg"
CONFIG, WEIGHTS = "config.json", "weights.safetensors"
#: The tensor that projects the colour histogram.
COLOURS = "colours"


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


class RetailVGG(NetworkEmbedder):
    """Masked crops ► the network's blocks beside a colour descriptor; a model is a folder."""

    name = "retail-vgg"

    def __init__(self, config: dict[str, Any], module: RetailVGGNet, colours: np.ndarray, fingerprint: str) -> None:
        self.config = config
        self.fingerprint = fingerprint
        self.size = int(config["size"])
        self.dim = sum(length for length, _ in module.blocks) + colours.shape[1]
        self.module = module
        self.network = torch_network(module)
        self._colours = colours
        self._colour_weight = float(config["colour_weight"])

    @classmethod
    def load(cls, folder: Path | None = None) -> RetailVGG:
        """Open a model folder (config.json, weights.safetensors), by default the one that ships.

        Raises WeightsError where a file is missing, damaged or belongs to another network.
        """
        folder = Path(folder) if folder is not None else SHIPPED
        try:
            config_bytes, weight_bytes = (folder / CONFIG).read_bytes(), (folder / WEIGHTS).read_bytes()
        except OSError as error:
            reason = error.strerror or str(error)
            raise WeightsError(f"{folder}: {reason}; give a folder that holds {CONFIG} and {WEIGHTS}") from None
        try:
            config = json.loads(config_bytes)
            state = {key: value.float() for key, value in load(weight_bytes).items()}
            colours = state.pop(COLOURS).numpy()
            module = RetailVGGNet(config["layers"], config["taps"], config["blocks"])
            module.load_state_dict(state)
            return cls(config, module, colours, fingerprint_of(config_bytes, weight_bytes))
        except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise WeightsError(f"{folder}: is no retail-vgg model ({reason}); copy it again") from None

    def _embed_batch(self, crops: list[np.ndarray], masks: list[np.ndarray | None]) -> np.ndarray:
        seen = self.network(*self.prepare(crops, masks))
        histograms = [colour_histogram(crop, mask) for crop, mask in zip(crops, masks, strict=True)]
        colours = unit_rows(np.stack(histograms) @ self._colours)
        return np.hstack([seen, self._colour_weight * colours])


def save_model(folder: Path, module: RetailVGGNet, colours: np.ndarray, config: dict[str, Any]) -> None:
    """Write a model folder: config.json and, in half precision, weights.safetensors.

    `colours` (colour.LENGTH, k) float32 projects the colour histogram. Raises OSError where it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().half().contiguous() for key, value in module.state_dict().items()}
    state[COLOURS] = torch.from_numpy(colours).half().contiguous()
    (folder / WEIGHTS).write_bytes(save(state))
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")

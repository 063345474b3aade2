"""retail-vgg: the small VGG-style embedder that ships with the package and works without a network connection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from index.embedder import fingerprint_of
from index.errors import WeightsError
from index.network import NetworkEmbedder, gem, torch_network

#: The folder of the model that ships with the package.
SHIPPED = Path(__file__).parent / "models" / "retail-vgg"
CONFIG, WEIGHTS = "config.json", "weights.safetensors"


class RetailVGGNet(nn.Module):
    """A plain stack of 1×1 and 3×3 convolutions, ReLU and max pooling, read at several depths.

    `layers` is a list of ["conv", out, kernel, stride, padding] and ["pool"] (3×3, stride 2); the stack is
    VGG's configuration C (Simonyan & Zisserman 2015) with narrow 1×1 layers. The maps behind the layers named in
    `taps` are pooled by generalised means of power two weighted by the votes, each scaled to unit length times its
    weight, joined, and projected to `dim` numbers.
    """

    def __init__(self, layers: list[list[Any]], taps: list[int], dim: int) -> None:
        super().__init__()
        self.taps = tuple(taps)
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
        self.head = nn.Linear(sum(widths[tap] for tap in taps), dim)

    def forward(self, pictures: torch.Tensor, votes: torch.Tensor) -> torch.Tensor:
        """Vectors (n, dim), not yet of unit length, of pictures (n, 3, s, s) with votes (n, 1, s, s)."""
        vectors: torch.Tensor = self.head(self.describe(pictures, votes))
        return vectors

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
    """Masked crops ► vectors of the retail-vgg network; a model is a folder."""

    name = "retail-vgg"

    def __init__(self, config: dict[str, Any], module: RetailVGGNet, fingerprint: str) -> None:
        self.config = config
        self.fingerprint = fingerprint
        self.dim = int(config["dim"])
        self.size = int(config["size"])
        self.module = module
        self.network = torch_network(module)

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
            module = RetailVGGNet(config["layers"], config["taps"], config["dim"])
            module.load_state_dict({key: value.float() for key, value in load(weight_bytes).items()})
        except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            reason = str(error).splitlines()[0]
            raise WeightsError(f"{folder}: is no retail-vgg model ({reason}); copy it again") from None
        return cls(config, module, fingerprint_of(config_bytes, weight_bytes))


def save_model(folder: Path, module: RetailVGGNet, config: dict[str, Any]) -> None:
    """Write a model folder: config.json and weights.safetensors in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().half().contiguous() for key, value in module.state_dict().items()}
    (folder / WEIGHTS).write_bytes(save(state))
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")

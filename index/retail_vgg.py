"""retail-vgg: the small VGG-style embedder that ships with the package and works without a network connection."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from index.embedder import Embedder, fingerprint_of, unit_rows
from index.errors import WeightsError

#: The folder of the model that ships with the package.
SHIPPED = Path(__file__).parent / "models" / "retail-vgg"
CONFIG, WEIGHTS = "config.json", "weights.safetensors"

#: Pictures (n, 3, s, s) float32 and votes (n, 1, s, s) float32 in [0, 1] ► vectors (n, d) float32.
Network = Callable[[np.ndarray, np.ndarray], np.ndarray]


class RetailVGGNet(nn.Module):
    """A plain stack of 1×1 and 3×3 convolutions, ReLU and max pooling, read at several depths.

    `layers` is a list of ["conv", out, kernel, stride, padding] and ["pool"] (3×3, stride 2); the stack is
    VGG's configuration C (Simonyan & Zisserman 2015) with narrow 1×1 layers. The maps behind the layers named in
    `taps` are pooled by generalised means of power two (GeM, Radenović et al. 2018) weighted by the votes, each scaled to
    unit length times its weight, joined, and projected to `dim` numbers.
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
        return self.head(self.describe(pictures, votes))

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


def gem(maps: torch.Tensor, votes: torch.Tensor) -> torch.Tensor:
    """Root mean square (n, c) of maps (n, c, h, w), each place weighted by its share of the votes (n, 1, s, s)."""
    share = F.adaptive_avg_pool2d(votes, (maps.shape[2], maps.shape[3])).clamp(min=1e-4)
    mean = (maps.square() * share).sum((2, 3)) / share.sum((2, 3))
    return mean.clamp(min=1e-6).sqrt()


class RetailVGG(Embedder):
    """Masked crops ► vectors of the retail-vgg network.

    `network` is any callable that turns (pictures, votes) into vectors: PyTorch at first, a compiled one when the
    caller replaces it by one of the same weights.
    """

    name = "retail-vgg"

    def __init__(self, config: dict[str, Any], module: RetailVGGNet, fingerprint: str) -> None:
        self.config = config
        self.module = module
        self.fingerprint = fingerprint
        self.dim = int(config["dim"])
        self.size = int(config["size"])
        self.network: Network = torch_network(module)
        self._mean = np.array(config["mean"], np.float32)
        self._std = np.array(config["std"], np.float32)

    @classmethod
    def load(cls, folder: Path | None = None) -> RetailVGG:
        """Open a model folder (config.json, weights.safetensors), by default the one that ships.

        Raises WeightsError where a file is missing, damaged or belongs to another network.
        """
        folder = Path(folder) if folder is not None else SHIPPED
        try:
            config_bytes, weight_bytes = (folder / CONFIG).read_bytes(), (folder / WEIGHTS).read_bytes()
        except OSError as error:
            raise WeightsError(
                f"{folder}: {error.strerror or error}; give a folder with {CONFIG} and {WEIGHTS}"
            ) from None
        try:
            config = json.loads(config_bytes)
            module = RetailVGGNet(config["layers"], config["taps"], config["dim"])
            module.load_state_dict({key: value.float() for key, value in load(weight_bytes).items()})
        except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            reason = str(error).splitlines()[0]
            raise WeightsError(f"{folder}: is no retail-vgg model ({reason}); copy it again") from None
        return cls(config, module, fingerprint_of(config_bytes, weight_bytes))

    def _embed_batch(self, crops: list[np.ndarray], masks: list[np.ndarray | None]) -> np.ndarray:
        pictures, votes = self.prepare(crops, masks)
        return unit_rows(self.network(pictures, votes))

    def prepare(
        self, crops: list[np.ndarray], masks: list[np.ndarray | None]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The network's input: pictures (n, 3, s, s) float32 and votes (n, 1, s, s) float32 in [0, 1].

        A crop is squeezed to a square; what lies outside its mask becomes the mean colour and does not vote.
        """
        pictures = np.empty((len(crops), self.size, self.size, 3), np.float32)
        votes = np.ones((len(crops), 1, self.size, self.size), np.float32)
        for at, (crop, mask) in enumerate(zip(crops, masks, strict=True)):
            picture = (squeeze(crop, self.size).astype(np.float32) / 255 - self._mean) / self._std
            if mask is not None:
                votes[at, 0] = squeeze(mask.astype(np.float32), self.size)
                picture *= votes[at, 0, :, :, None]
            pictures[at] = picture
        return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)), votes


def squeeze(picture: np.ndarray, size: int) -> np.ndarray:
    """A picture or mask of any shape as a square of `size` pixels; areas are averaged when it shrinks."""
    shrinks = max(picture.shape[:2]) > size
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def torch_network(module: RetailVGGNet) -> Network:
    """The module as a plain callable of arrays, run by PyTorch without gradients."""
    module = module.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(pictures: np.ndarray, votes: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            batch = torch.from_numpy(pictures).contiguous(memory_format=torch.channels_last)
            return module(batch, torch.from_numpy(votes)).numpy()

    return run


def save_model(folder: Path, module: RetailVGGNet, config: dict[str, Any]) -> None:
    """Write a model folder: config.json and weights.safetensors in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().half().contiguous() for key, value in module.state_dict().items()}
    (folder / WEIGHTS).write_bytes(save(state))
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")

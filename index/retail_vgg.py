"""retail-vgg: the small VGG-style embedder that ships with the package and works without a network connection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from index.colour import LENGTH, colour_histogram
from index.convolutional import NetworkEmbedder
from index.embedder import fingerprint_of, unit_rows
from index.errors import WeightsError

if TYPE_CHECKING:
    from index.torch_modules import RetailVGGNet

#: The folder of the model that ships with the package.
SHIPPED = Path(__file__).parent / "models" / "retail-vgg"
CONFIG, WEIGHTS = "config.json", "weights.safetensors"
#: The tensor that projects the colour histogram.
COLOURS = "colours"


class RetailVGG(NetworkEmbedder):
    """Masked crops ► the network's blocks beside a colour descriptor; a model is a folder.

    Opening one reads its weights as plain arrays; PyTorch is loaded only when `module` is asked for.
    """

    name = "retail-vgg"

    def __init__(self, config: dict[str, Any], state: dict[str, np.ndarray], fingerprint: str) -> None:
        self.config = config
        self.fingerprint = fingerprint
        self.size = int(config["size"])
        self._colours = state[COLOURS].astype(np.float32)
        self._state = {key: value for key, value in state.items() if key != COLOURS}
        self.dim = sum(int(length) for length, _ in config["blocks"]) + self._colours.shape[1]
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
            state = load(weight_bytes)
            _check_shapes(config, state)
            return cls(config, state, fingerprint_of(config_bytes, weight_bytes))
        except (ValueError, KeyError, TypeError, IndexError, SafetensorError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise WeightsError(f"{folder}: is no retail-vgg model ({reason}); copy it again") from None

    def build(self) -> RetailVGGNet:
        """The PyTorch module that holds the weights."""
        from index.torch_modules import retail_vgg_net

        return retail_vgg_net(self.config, self._state)

    def _embed_batch(self, crops: list[np.ndarray], masks: list[np.ndarray | None]) -> np.ndarray:
        seen = self.network(*self.prepare(crops, masks))
        histograms = [colour_histogram(crop, mask) for crop, mask in zip(crops, masks, strict=True)]
        colours = unit_rows(np.stack(histograms) @ self._colours)
        return np.hstack([seen, self._colour_weight * colours])


def _check_shapes(config: dict[str, Any], state: dict[str, np.ndarray]) -> None:
    """ValueError where the tensors are not those of the configuration's network."""
    found = {key: value.shape for key, value in state.items() if key != COLOURS}
    expected = _shapes(config)
    wrong = [key for key in expected | found if expected.get(key) != found.get(key)]
    if wrong:
        raise ValueError(f"{wrong[0]} is missing, of another shape, or not of this network")
    if state[COLOURS].ndim != 2 or len(state[COLOURS]) != LENGTH:
        raise ValueError(f"{COLOURS} has shape {state[COLOURS].shape}")


def _shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of the network that a configuration describes; see RetailVGGNet."""
    shapes: dict[str, tuple[int, ...]] = {"scales": (len(config["taps"]),)}
    widths, channels = [], 3
    for at, layer in enumerate(config["layers"]):
        if layer[0] != "pool":
            _, out, kernel, _, _ = layer
            shapes[f"features.{at}.weight"] = (out, channels, kernel, kernel)
            shapes[f"features.{at}.bias"] = (out,)
            channels = out
        widths.append(channels)
    answer = sum(int(length) for length, _ in config["blocks"])
    shapes["head.weight"] = (answer, sum(widths[tap] for tap in config["taps"]))
    return shapes | {"head.bias": (answer,)}


def save_model(folder: Path, module: RetailVGGNet, colours: np.ndarray, config: dict[str, Any]) -> None:
    """Write a model folder: config.json and, in half precision, weights.safetensors.

    `colours` (colour.LENGTH, k) float32 projects the colour histogram. Raises OSError where it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: np.asarray(value.numpy(), np.float16, order="C") for key, value in module.state_dict().items()}
    state[COLOURS] = np.ascontiguousarray(colours, np.float16)
    (folder / WEIGHTS).write_bytes(save(state))
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")

"""Photo ► instances: a network, its preprocessing and its thresholds, kept together in one model folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from retail_seg.errors import ModelError, RetailSegError
from retail_seg.segmentation.instances.enlarging import enlarged
from retail_seg.segmentation.instances.grouping import Maps, Thresholds, group
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.segmentation.instances.wholeness import Wholeness
from retail_seg.segmentation.instances.widening import widened
from retail_seg.segmentation.instances.zoom import FirstLook, closer_side, in_tiles
from retail_seg.segmentation.network.config import MOBILE, OFFSET_UNIT, OWN, RUN, UNET, SegmenterConfig, weight_shapes
from retail_seg.segmentation.network.mobile_shapes import mobile_shapes

if TYPE_CHECKING:
    from torch import nn

#: The model that ships with the package; it works on plain backgrounds without any training.
SHIPPED = Path(__file__).resolve().parent.parent / "models" / "segmenter"
#: Steps of a byte for each unit of log odds, when a probability is enlarged.
_STEPS = 24.0
#: Version of the model folder's layout.
FORMAT = 1
CONFIG, THRESHOLDS, WEIGHTS, CARD = "config.json", "thresholds.json", "weights.safetensors", "README.md"
#: What the model was trained on, see `manifest`; a model may be without.
MANIFEST = "manifest.json"
#: What a whole thing looks like to its network; a model may be without.
WHOLENESS = "wholeness.safetensors"

#: Pictures (n, 4, h, w) float32 ► raw maps (n, 5, h, w) float32; h and w are multiples of the network's stride.
Network = Callable[[np.ndarray], np.ndarray]


class Segmenter:
    """Finds the things in a photo. Load one with `Segmenter.load`, or train one with `training.train`.

    `net` is the network, or its weights by name: PyTorch is then loaded only when the network itself is needed.
    """

    def __init__(
        self,
        config: SegmenterConfig,
        thresholds: Thresholds,
        net: nn.Module | Mapping[str, np.ndarray],
        name: str = "segmenter",
        wholeness: Wholeness | None = None,
    ) -> None:
        self.config, self.thresholds, self.name, self.wholeness = config, thresholds, name, wholeness
        self._given = net
        self._fingerprint = ""

    @cached_property
    def net(self) -> nn.Module:
        """The PyTorch network, built from the weights where they were given."""
        from retail_seg.segmentation.network.torch_network import network_of

        return network_of(self.config, self._given).eval()

    @cached_property
    def _network(self) -> Network:
        from retail_seg.segmentation.network.torch_network import TorchNetwork

        return TorchNetwork(self.net)

    @classmethod
    def load(cls, folder: str | os.PathLike[str] | None = None) -> Segmenter:
        """The model in `folder`, or the shipped one. Raises ModelError where it is missing, incomplete or damaged."""
        path = Path(folder) if folder is not None else SHIPPED
        for name in (CONFIG, THRESHOLDS, WEIGHTS):
            if not (path / name).is_file():
                raise ModelError(f"{path}: holds no {name}; give a model folder that retail-seg train wrote")
        try:
            config, name = _read_config(path)
            thresholds = Thresholds(**json.loads((path / THRESHOLDS).read_text(encoding="utf-8")))
            wholeness = Wholeness.load(path / WHOLENESS) if (path / WHOLENESS).is_file() else None
            model = cls(config, thresholds, _read_weights(path / WEIGHTS, config), name, wholeness)
            if config.architecture not in OWN:  # only its library knows what belongs to it
                model.net  # noqa: B018
        except RetailSegError:
            raise
        except Exception as error:  # noqa: BLE001 - many libraries read here; all mean "not a usable model" to a user
            reason = (str(error).splitlines() or [type(error).__name__])[0]  # torch: a line a key
            raise ModelError(f"{path}: cannot be read as a model ({reason}); train it again") from None
        return model

    def save(self, folder: str | os.PathLike[str], card: str) -> None:
        """Writes the model folder with its card, as a whole or not at all; an older model there is replaced.

        Raises ModelError where the folder holds something else.
        """
        from safetensors.numpy import save_file

        path = Path(folder).absolute()
        check_model_folder(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            config = {"format": FORMAT, "name": self.name, **self.config.to_json()}
            (fresh / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
            (fresh / THRESHOLDS).write_text(json.dumps(self.thresholds.to_json(), indent=2) + "\n", encoding="utf-8")
            (fresh / CARD).write_text(card, encoding="utf-8")
            save_file(self._half_weights(), fresh / WEIGHTS)
            if self.wholeness:
                save_file(self.wholeness.arrays(), fresh / WHOLENESS)
            os.chmod(fresh, 0o755)
            for file in fresh.glob("*.safetensors"):
                os.chmod(file, 0o644)  # safetensors keeps what it writes to itself
            _swap(fresh, path)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that change with the weights, the configuration or the thresholds."""
        if not self._fingerprint:
            digest = hashlib.sha256(json.dumps([self.config.to_json(), self.thresholds.to_json()]).encode())
            for key, value in sorted(self._half_weights().items()):
                digest.update(key.encode() + value.tobytes())
            for key, value in sorted(self.wholeness.arrays().items()) if self.wholeness else ():
                digest.update(key.encode() + value.tobytes())
            self._fingerprint = digest.hexdigest()[:12]
        return self._fingerprint

    def replace_network(self, network: Network) -> None:
        """Puts a compiled form of the same network in place of torch (see Network for what it takes and gives)."""
        self._network = network

    def segment(self, photo: np.ndarray, side: int | None = None) -> Instances:
        """The instances of an upright RGB uint8 photo (H, W, 3), in its own pixels.

        The photo is worked on with its longer side made `side` pixels long: a larger one finds smaller things in a
        large photo. Without it, that is the size that the model was trained for, and where things come out small there
        and the photo has more pixels, a second look at a larger one (see `zoom.closer_side`). Confidence of an
        instance: how well it covers one whole thing (see `grouping.group`).
        """
        maps, labels, confidence = self._look(photo, side or self.config.side)
        closer = None if side else self._closer(photo, labels)
        if closer is not None:
            maps, labels, confidence = self._look(photo, closer)
        return self.enlarge(maps, labels, confidence, photo.shape[1], photo.shape[0])

    def looked_at(self, photo: np.ndarray) -> int:
        """The side at which a photo is looked at in the end: the model's own, or that of the closer look."""
        _, labels, _ = self._look(photo, self.config.side)
        return self._closer(photo, labels) or self.config.side

    def _closer(self, photo: np.ndarray, labels: np.ndarray) -> int | None:
        """The side at which to look once more, by what the first look found."""
        return closer_side(FirstLook.at(max(labels.shape), labels), max(photo.shape[:2]), self.thresholds.small)

    def _look(self, photo: np.ndarray, side: int) -> tuple[Maps, np.ndarray, np.ndarray]:
        """Maps of a photo at a working size, and its labels and their confidence there."""
        maps = self.maps(photo, side)
        return maps, *group(maps, self.thresholds.at(side / self.config.side), self.wholeness)

    def enlarge(self, maps: Maps, labels: np.ndarray, confidence: np.ndarray, width: int, height: int) -> Instances:
        """Instances at photo size from labels at working size; the outer edge comes from the enlarged probabilities."""
        steps = _steps_above(maps.foreground, self.thresholds.foreground)
        large = cv2.resize(steps, (width, height), interpolation=cv2.INTER_LINEAR)
        inside = np.greater(large, 127, out=large.view(bool))
        return enlarged(widened(labels, 3), inside, confidence)

    def maps(self, photo: np.ndarray, side: int | None = None) -> Maps:
        """The network's maps of a photo (H, W, 3) uint8, its longer side made `side` (`config.side`) pixels long."""
        height, width = working_size(photo.shape[0], photo.shape[1], side or self.config.side)
        small = resized(photo, width, height)
        stride = self.config.stride
        return maps_of(in_tiles(self._network, self.normalise(pad_to(small, stride)), stride)[:, :height, :width])

    def normalise(self, picture: np.ndarray) -> np.ndarray:
        """RGB uint8 (h, w, 3) ► network input (4, h, w) float32, see `normalise`."""
        return normalise(picture, self.config)

    def uncertainty(self, photo: np.ndarray) -> float:
        """How unsure the model is of a photo, 0 (sure) to about 2; the most useful photo to annotate next is highest.

        The entropy of the foreground where anything may lie, and the mean doubt about the instances found.
        """
        maps = self.maps(photo)
        p = np.clip(maps.foreground, 1e-6, 1 - 1e-6)
        entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
        suspect = p > 0.05
        doubt = float(entropy[suspect].mean()) if suspect.any() else 1.0
        _, confidence = group(maps, self.thresholds, self.wholeness)
        return doubt + float(1 - confidence.mean() if len(confidence) else 1.0)

    def _half_weights(self) -> dict[str, np.ndarray]:
        state = self.__dict__.get("net", self._given)  # once built, the network is what training changes
        if not isinstance(state, Mapping):
            state = {key: value.numpy() for key, value in state.state_dict().items()}
        return {key: np.asarray(_half(value), order="C") for key, value in state.items()}


def normalise(picture: np.ndarray, config: SegmenterConfig) -> np.ndarray:
    """RGB uint8 (h, w, 3) ► network input (4, h, w) float32: the colours by the configuration's mean and spread, and
    how far each pixel is from the colour that the ground probably has there."""
    values = np.arange(256, dtype=np.float32) / 255
    out = np.empty((4, *picture.shape[:2]), np.float32)
    for channel, (mean, std) in enumerate(zip(config.mean, config.std, strict=True)):
        cv2.LUT(np.ascontiguousarray(picture[:, :, channel]), (values - mean) / std, dst=out[channel])
    np.multiply(ground_distance(picture), 4, out=out[3])
    out[3] -= 1
    return out


def ground_distance(picture: np.ndarray) -> np.ndarray:
    """Distance (h, w) float32, 0 to about 1.7, of every pixel's colour (0..1) from a plane fitted to the rim's colours.

    The fit is repeated without what lies far off, so that a thing that reaches the rim does not bend it. A network
    that sees this need not learn which of two colours is the ground: it works on light and dark grounds alike.
    """
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (48, 48), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    axis = (np.arange(48, dtype=np.float32) + 0.5) / 48 - 0.5
    plane = np.dstack([*np.meshgrid(axis, axis), np.ones((48, 48), np.float32)])
    rim = np.ones((48, 48), bool)
    rim[3:-3, 3:-3] = False
    x, y = plane[rim], small[rim]
    off = np.abs(y - np.median(y, 0)).max(1)
    near = off <= np.quantile(off, 0.7)
    for _ in range(3):
        fit = np.linalg.lstsq(x[near], y[near], rcond=None)[0]
        off = np.abs(y - x @ fit).max(1)
        near = off <= max(0.04, 2 * float(np.median(off)))
    columns = ((np.arange(width, dtype=np.float32) + 0.5) / width - 0.5)[None]
    rows = ((np.arange(height, dtype=np.float32) + 0.5) / height - 0.5)[:, None]
    total, off_ground = np.zeros((height, width), np.float32), np.empty((height, width), np.float32)
    for channel in range(3):
        along, down, level = fit[:, channel] * 255
        np.add(columns * along, rows * down + level, out=off_ground)
        np.subtract(picture[:, :, channel], off_ground, out=off_ground)
        total += np.multiply(off_ground, off_ground, out=off_ground)
    return np.divide(np.sqrt(total, out=total), 255, out=total)


def working_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width at which a photo is worked on: the longer one is `side`, none is less than 1."""
    k = side / max(height, width)
    return max(1, round(height * k)), max(1, round(width * k))


def resized(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """The picture at another size, areas averaged when it shrinks; halves of even sides first, which is fastest."""
    while min(picture.shape[0] / height, picture.shape[1] / width) >= 4 and not any(n % 2 for n in picture.shape[:2]):
        picture = cv2.resize(picture, (picture.shape[1] // 2, picture.shape[0] // 2), interpolation=cv2.INTER_AREA)
    shrinking = height < picture.shape[0]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)


def pad_to(picture: np.ndarray, stride: int) -> np.ndarray:
    """The picture continued to the right and below until both sides are multiples of `stride`."""
    bottom, right = -picture.shape[0] % stride, -picture.shape[1] % stride
    return cv2.copyMakeBorder(picture, 0, bottom, 0, right, cv2.BORDER_REPLICATE)


def maps_of(raw: np.ndarray) -> Maps:
    """Raw output (5, h, w) of the network ► probabilities and pixels."""
    logits = np.clip(raw[:3], -30, 30, dtype=np.float32)
    odds = np.exp(np.negative(logits, out=logits), out=logits)
    odds += 1
    foreground, distance, boundary = np.divide(1, odds, out=odds)
    x, y = np.multiply(raw[3:], OFFSET_UNIT, dtype=np.float32)
    return Maps(foreground, distance, boundary, x, y)


def _steps_above(foreground: np.ndarray, threshold: float) -> np.ndarray:
    """How far probabilities (h, w) float32 lie above a threshold, (h, w) uint8: log odds in steps, 128 at it.

    In bytes: a quarter of the memory, and an outline moves by less than a tenth of a pixel.
    """
    p = np.clip(foreground, 1e-4, 1 - 1e-4)
    odds = np.divide(p, 1 - p, out=p)
    steps = np.log(odds, out=odds) - np.log(threshold / (1 - threshold))
    steps *= _STEPS
    steps += 128
    return np.clip(steps, 0, 255, out=steps).astype(np.uint8)


def check_model_folder(path: Path) -> None:
    """Raises ModelError where `path` is a file or a folder that holds something other than a model."""
    if path.is_file():
        raise ModelError(f"{path}: is a file; give a folder for the model")
    if path.is_dir():
        known = {CONFIG, THRESHOLDS, WEIGHTS, WHOLENESS, CARD, MANIFEST, RUN, "training"}
        foreign = sorted({p.name for p in path.iterdir()} - known)
        if foreign:
            raise ModelError(f"{path}: holds other files ({foreign[0]}); give a new or empty folder for the model")


def shipped_architecture() -> str:
    """The architecture of the shipped model, UNET where none is shipped."""
    return _read_config(SHIPPED)[0].architecture if (SHIPPED / CONFIG).is_file() else UNET


def _swap(fresh: Path, path: Path) -> None:
    """Puts the folder `fresh` in the place of `path`."""
    if path.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{path.name}-old-", dir=path.parent))
        os.replace(path, old / path.name)
        os.replace(fresh, path)
        shutil.rmtree(old)
    else:
        os.replace(fresh, path)


def _read_config(path: Path) -> tuple[SegmenterConfig, str]:
    values = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    if values.pop("format", None) != FORMAT:
        raise ModelError(f"{path}: is of another format than {FORMAT}; train the model again with this version")
    name = str(values.pop("name", path.name))
    return SegmenterConfig.from_json(values), name


def _read_weights(path: Path, config: SegmenterConfig) -> dict[str, np.ndarray]:
    """The tensors of a weights file; ValueError where they are not those of the configuration's network."""
    from safetensors.numpy import load_file

    state = load_file(path)
    if config.architecture not in OWN:
        return state
    found, expected = {key: value.shape for key, value in state.items()}, _expected(config)
    wrong = [key for key in expected | found if expected.get(key) != found.get(key)]
    if wrong:
        raise ValueError(f"{wrong[0]} is missing, of another shape, or not of this network")
    return state


def _expected(config: SegmenterConfig) -> dict[str, tuple[int, ...]]:
    return mobile_shapes(config.widths) if config.architecture == MOBILE else weight_shapes(config.unet)


def _half(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16) if values.dtype.kind == "f" else values

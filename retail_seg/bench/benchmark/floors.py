"""What the machine can do: its measured matrix rate and memory bandwidth, and the work in a network."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from index import runtime
from retail_seg.bench.benchmark.measure import timed, use_all_cores

#: Floating point operations, in 10^9, of VGG-16's thirteen convolutions on 224 × 224 pixels (two a multiplication).
VGG16_GFLOP = 30.69
_SIDE = 2048


@cache
def matrix_rates() -> dict[str, float]:
    """GFLOP/s, all cores, best of several, for "f32" and, where OpenVINO says the processor has it, "bf16".

    A product of two matrices of 2048 × 2048: large enough for the processor's full rate.
    """
    import torch

    use_all_cores()
    work = 2 * _SIDE**3 / 1e9
    kinds = {"f32": torch.float32}
    if runtime.available() and "BF16" in runtime.capabilities():
        kinds["bf16"] = torch.bfloat16
    rates = {}
    for name, kind in kinds.items():
        a, b = (torch.rand(_SIDE, _SIDE).to(kind) for _ in range(2))
        with torch.inference_mode():
            rates[name] = work / min(timed(lambda a=a, b=b: a @ b) for _ in range(6))  # type: ignore[misc]
    return rates


@cache
def bandwidth() -> float:
    """GB/s read and written together while 256 MB are copied; the best of several."""
    source = np.ones(32 * 2**20)
    target = np.empty_like(source)
    return 2 * source.nbytes / min(timed(lambda: np.copyto(target, source)) for _ in range(5)) / 1e9


def gflop(module: Any, *inputs: Any) -> float:
    """Operations, in 10^9, of a module's convolutions and linear layers for these inputs (torch tensors)."""
    import torch
    from torch import nn

    total = 0.0

    def count(layer: Any, _: Any, output: Any) -> None:
        nonlocal total
        per_value = layer.weight.numel() / layer.weight.shape[0]
        total += 2 * per_value * output.numel() / 1e9

    hooks = [
        layer.register_forward_hook(count) for layer in module.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))
    ]
    try:
        with torch.inference_mode():
            module(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return total

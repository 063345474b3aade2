"""A network's convolutions in 8-bit integers: ranges measured on pictures, weights by output channel.

The scheme of Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference" (CVPR 2018), after training: OpenVINO computes a convolution in integers where both of its inputs pass
through a FakeQuantize. The first one, which sees the pixels, stays as it is: it costs little and its error is felt by
all that follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

#: Share of an activation's values that its range need not hold at either end.
_OUTLIERS = 1e-5


def quantise(model: Any, examples: Sequence[np.ndarray]) -> None:
    """Put FakeQuantize operations before the convolutions of an openvino.Model, in place.

    `examples` are inputs of the kind that comes, some dozens of pictures: the ranges of the activations are theirs.
    """
    from openvino import opset13

    layers = [node for node in model.get_ordered_ops() if node.get_type_name() == "Convolution"][1:]
    for layer, (low, high) in zip(layers, _ranges(model, layers, examples), strict=True):
        ends = [np.float32(end) for end in (low, high, low, high)]
        layer.input(0).replace_source_output(opset13.fake_quantize(layer.input_value(0), *ends, 256).output(0))
        weights = layer.input_value(1).get_node().get_data()
        most = np.maximum(np.abs(weights).reshape(len(weights), -1).max(1), 1e-9).reshape(-1, 1, 1, 1)
        ends = [np.float32(sign * most) for sign in (-1, 1, -1, 1)]
        layer.input(1).replace_source_output(opset13.fake_quantize(layer.input_value(1), *ends, 255).output(0))
    model.validate_nodes_and_infer_types()


def _ranges(model: Any, layers: Sequence[Any], examples: Sequence[np.ndarray]) -> list[tuple[float, float]]:
    """Lower and upper end of what enters each layer when the examples pass through."""
    import openvino

    probe = openvino.Model([layer.input_value(0) for layer in layers], model.get_parameters(), "ranges")
    call = openvino.Core().compile_model(probe, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = call([np.ascontiguousarray(each, np.float32) for each in examples])
    ranges = []
    for output in call.outputs:
        low, high = np.quantile(found[output].ravel()[::7], (_OUTLIERS, 1 - _OUTLIERS))
        if low >= 0:
            ranges.append((0.0, max(float(high), 1e-6)))
        else:
            most = float(max(-low, high, 1e-6))
            ranges.append((-most, most))
    return ranges

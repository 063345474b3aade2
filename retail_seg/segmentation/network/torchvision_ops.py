"""torchvision where its compiled operators may not load: stand-ins of plain tensor operations, gradients included.

Where torchvision was built for another PyTorch, its compiled part does not load and importing it fails. Networks of
plain layers need none of it; Mask R-CNN needs suppression of overlapping boxes and RoIAlign, which are given here.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import torch
import torch.nn.functional as F

_libraries: list[torch.library.Library] = []


def import_torchvision() -> ModuleType:
    """The torchvision package, importable with or without its compiled part."""
    try:
        import torchvision
    except (RuntimeError, AttributeError):
        _forget_half_imported()
        _declare("nms", "qnms")
        import torchvision
    module: ModuleType = torchvision
    return module


def import_detection() -> ModuleType:
    """`torchvision.models.detection`, whose box suppression and RoIAlign work without the compiled part as well."""
    import_torchvision()
    from torchvision.extension import _has_ops
    from torchvision.models import detection
    from torchvision.models.detection import roi_heads
    from torchvision.ops import boxes, poolers

    if not _has_ops():
        boxes.nms = nms
        poolers.roi_align = roi_heads.roi_align = roi_align
    module: ModuleType = detection
    return module


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Indices int64 of the boxes (n, 4) x1, y1, x2, y2 that survive greedy suppression, best score first."""
    from torchvision.ops import box_iou

    order = scores.argsort(descending=True, stable=True)
    overlaps = (box_iou(boxes[order], boxes[order]) > iou_threshold).triu(1)
    alive = torch.ones(len(order), dtype=torch.bool)
    for i in range(len(order)):
        if alive[i]:
            alive &= ~overlaps[i]
    return order[alive]


def roi_align(
    input: torch.Tensor,
    boxes: torch.Tensor | Sequence[torch.Tensor],
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> torch.Tensor:
    """Features (k, c, h, w) of boxes, the mean of bilinear samples in each cell (He et al., Mask R-CNN, 2017).

    As torchvision's operator of this name, but for two samples a side where the ratio is left open, and for cells
    outside the picture, which continue its border. `boxes` are (k, 5) with the picture's number first, or a list.
    """
    if not isinstance(boxes, torch.Tensor):
        numbers = [torch.full((len(each), 1), float(i)) for i, each in enumerate(boxes)]
        boxes = torch.cat([torch.cat(pair, 1) for pair in zip(numbers, boxes, strict=True)])
    high, wide = (output_size, output_size) if isinstance(output_size, int) else output_size
    ratio = sampling_ratio if sampling_ratio > 0 else 2
    corners = boxes[:, 1:].float() * spatial_scale - (0.5 if aligned else 0.0)
    grid = torch.stack(torch.broadcast_tensors(
        _samples(corners[:, 0], corners[:, 2], wide * ratio, input.shape[3], aligned)[:, None, :],
        _samples(corners[:, 1], corners[:, 3], high * ratio, input.shape[2], aligned)[:, :, None],
    ), 3)  # fmt: skip
    out = input.new_zeros((len(boxes), input.shape[1], high, wide), dtype=torch.float32)
    for i in range(len(input)):
        mine = boxes[:, 0] == i
        rows = grid[mine].flatten(0, 1)[None]
        found = F.grid_sample(input[i : i + 1].float(), rows, "bilinear", "border", align_corners=True)[0]
        cells = found.unflatten(1, (-1, high * ratio)).transpose(0, 1)
        out = out.index_put((mine.nonzero()[:, 0],), F.avg_pool2d(cells, ratio))
    return out.to(input.dtype)


def _samples(low: torch.Tensor, high: torch.Tensor, count: int, size: int, aligned: bool) -> torch.Tensor:
    """Places (k, count) of samples between `low` and `high`, as grid_sample counts: -1 first pixel, 1 last one."""
    length = high - low if aligned else (high - low).clamp(min=1.0)
    steps = (torch.arange(count, dtype=torch.float32, device=low.device) + 0.5) / count
    return (low[:, None] + length[:, None] * steps) * (2 / max(size - 1, 1)) - 1


def _declare(*names: str) -> None:
    """Describe operators that torchvision wants to know of when it is imported."""
    for name in names:
        if not hasattr(torch.ops.torchvision, name):
            library = torch.library.Library("torchvision", "FRAGMENT")
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _libraries.append(library)  # torch forgets the operator when its library object goes


def _forget_half_imported() -> None:
    import sys

    for name in [name for name in sys.modules if name == "torchvision" or name.startswith("torchvision.")]:
        del sys.modules[name]

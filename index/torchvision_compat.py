"""Imports torchvision where its compiled operators are missing or do not fit the installed torch.

On import torchvision describes the operators `nms` and `qnms`, which its compiled part defines. Where that part
does not load, the import fails although a network of plain layers needs none of it; defining the two here lets
the import through.
"""

from __future__ import annotations

from types import ModuleType

import torch

_libraries: list[torch.library.Library] = []


def import_torchvision() -> ModuleType:
    """The torchvision package, with plain stand-ins for the compiled operators it cannot be imported without."""
    try:
        import torchvision
    except (RuntimeError, AttributeError):
        _forget_half_imported()
        _define_missing()
        import torchvision
    module: ModuleType = torchvision
    return module


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Indices int64 of the boxes (n, 4) x1, y1, x2, y2 that survive greedy suppression, best score first."""
    order = scores.argsort(descending=True, stable=True)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    keep: list[int] = []
    while len(order):
        best = order[0]
        keep.append(int(best))
        low = torch.maximum(boxes[best, :2], boxes[order, :2])
        high = torch.minimum(boxes[best, 2:], boxes[order, 2:])
        shared = (high - low).clamp(min=0).prod(1)
        overlap = shared / (area[best] + area[order] - shared)
        # A box without area shares nothing with itself, so the winner is dropped by position, not by overlap.
        order = order[1:][~(overlap[1:] > iou_threshold)]
    return torch.tensor(keep, dtype=torch.int64)


def _define_missing() -> None:
    for name in ("nms", "qnms"):
        if hasattr(torch.ops.torchvision, name):
            continue
        library = torch.library.Library("torchvision", "FRAGMENT")
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        if name == "nms":
            library.impl(name, nms, "CPU")
        # torch forgets the operator when its library object goes.
        _libraries.append(library)


def _forget_half_imported() -> None:
    import sys

    for name in [name for name in sys.modules if name == "torchvision" or name.startswith("torchvision.")]:
        del sys.modules[name]

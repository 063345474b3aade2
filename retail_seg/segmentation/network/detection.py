"""Mask R-CNN (He et al., 2017), torchvision's, as a network that takes the same pictures and gives the same maps."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from torch import nn

from retail_seg.segmentation.network.config import INPUTS, OFFSET_UNIT
from retail_seg.segmentation.network.torchvision_ops import import_detection
from retail_seg.segmentation.training.targets import target_maps

#: Detections less sure than this are not looked at; the segmenter's own threshold decides about the others.
LEAST_SCORE = 0.05
#: A detection of which more than this part lies under surer ones is one of them again.
COVERED = 0.6
#: Channels of the feature pyramid (torchvision: 256) and proposals a picture, cut for a processor.
PYRAMID, PROPOSALS, DETECTIONS = 128, 200, 60


class MaskRCNN(nn.Module):
    """Pictures (n, 4, h, w) ► maps (n, 5, h, w): each pixel goes to the detection that is surest of it.

    Trained through `loss`, from weights drawn at random. The convolutions may run in bfloat16, the boxes never do.
    """

    def __init__(self, encoder: str) -> None:
        super().__init__()
        detection = import_detection()
        from torchvision.models.detection.faster_rcnn import TwoMLPHead
        from torchvision.ops import MultiScaleRoIAlign

        levels = ["0", "1", "2", "3"]
        box_pool = MultiScaleRoIAlign(levels, output_size=7, sampling_ratio=2)
        self.model = detection.MaskRCNN(
            _backbone(encoder), num_classes=None, image_mean=[0.0] * INPUTS, image_std=[1.0] * INPUTS,
            box_roi_pool=box_pool, box_head=TwoMLPHead(PYRAMID * 7 * 7, 256),
            box_predictor=detection.faster_rcnn.FastRCNNPredictor(256, 2),
            mask_roi_pool=MultiScaleRoIAlign(levels, output_size=14, sampling_ratio=2),
            mask_head=detection.mask_rcnn.MaskRCNNHeads(PYRAMID, (PYRAMID, PYRAMID), 1),
            mask_predictor=detection.mask_rcnn.MaskRCNNPredictor(PYRAMID, PYRAMID, 2),
            rpn_pre_nms_top_n_train=PROPOSALS * 2, rpn_pre_nms_top_n_test=PROPOSALS, rpn_post_nms_top_n_train=PROPOSALS,
            rpn_post_nms_top_n_test=PROPOSALS, box_batch_size_per_image=64, rpn_batch_size_per_image=128,
            box_score_thresh=LEAST_SCORE, box_detections_per_img=DETECTIONS, _skip_resize=True,
        )  # fmt: skip

    def loss(self, pictures: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Sum of the proposals', the boxes' and the masks' losses; labels (n, 1, h, w) of instance ids, 0 = ground."""
        truths = [_truth(one[0]) for one in labels]
        with torch.autocast("cpu", enabled=False):
            return torch.stack(list(self.model(list(pictures.float()), truths).values())).sum()

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            found = self.model(list(pictures.float()))
        size = (int(pictures.shape[2]), int(pictures.shape[3]))
        return torch.from_numpy(np.stack([maps_of_detections(*_arrays(one), size) for one in found]))


def maps_of_detections(scores: np.ndarray, masks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Raw maps (5, h, w) float32 of detections: scores (k,), best first, and mask probabilities (k, h, w)."""
    labels, likely = np.zeros(size, np.int32), np.zeros(size, np.float32)
    strength = np.zeros(size, np.float32)
    for number, (score, mask) in enumerate(zip(scores, masks, strict=True), 1):
        inside = mask > 0.5
        if not inside.any() or (labels[inside] > 0).mean() > COVERED:
            continue
        np.maximum(likely, mask * score, out=likely)
        mine = inside & (mask * score > strength)
        labels[mine], strength[mine] = number, (mask * score)[mine]
    maps = target_maps(labels)
    maps[0] = likely
    near = np.clip(maps[:3], 0.01, 0.99)
    maps[:3] = np.log(near / (1 - near))
    maps[3:] /= OFFSET_UNIT
    return maps


def _truth(labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """What torchvision's detectors learn from: boxes, classes and masks of the instances of one label image (h, w)."""
    from torchvision.ops import masks_to_boxes

    ids = torch.unique(labels)
    masks = labels[None] == ids[ids > 0][:, None, None]
    boxes = masks_to_boxes(masks) if len(masks) else torch.zeros((0, 4))
    solid = ((boxes[:, 2:] - boxes[:, :2]) >= 2).all(1)
    boxes = boxes[solid].float()
    return {"boxes": boxes, "labels": torch.ones(len(boxes), dtype=torch.int64), "masks": masks[solid].to(torch.uint8)}


def _arrays(found: dict[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    return found["scores"].float().numpy(), found["masks"][:, 0].float().numpy()


def _backbone(encoder: str) -> nn.Module:
    """A ResNet of torchvision with a feature pyramid, for pictures of INPUTS channels."""
    from torchvision.models import get_model
    from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

    body = get_model(encoder, weights=None)
    body.conv1 = nn.Conv2d(INPUTS, body.conv1.out_channels, 7, stride=2, padding=3, bias=False)
    return _Pyramid(body, LastLevelMaxPool())


class _Pyramid(nn.Module):
    """The backbone: its convolutions follow the caller's autocast, its features are float32."""

    def __init__(self, body: Any, extra: nn.Module) -> None:
        super().__init__()
        from torchvision.models._utils import IntermediateLayerGetter
        from torchvision.ops import FeaturePyramidNetwork

        layers = {f"layer{i + 1}": str(i) for i in range(4)}
        widths = [body.fc.in_features // 2**i for i in (3, 2, 1, 0)]
        self.body = IntermediateLayerGetter(body, layers)
        self.fpn = FeaturePyramidNetwork(widths, PYRAMID, extra)
        self.out_channels = PYRAMID

    def forward(self, pictures: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        from retail_seg.segmentation.network.processor import fast_bfloat16

        with torch.autocast("cpu", torch.bfloat16, enabled=fast_bfloat16()):
            features = self.fpn(self.body(pictures.contiguous(memory_format=torch.channels_last)))
        return OrderedDict((key, value.float()) for key, value in features.items())

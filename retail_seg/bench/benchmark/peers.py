"""What somebody would write in an afternoon, from parts everybody has: the peers that this program is held against.

VGG-16 of torchvision in eager float32, segmentation_models_pytorch's U-Net with connected components, torchvision's
Mask R-CNN, a bare FAISS flat index. All have random weights, seeded: their time does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from retail_seg.errors import MissingExtraError

if TYPE_CHECKING:
    from index.vgg import VGG16Net

#: RGB uint8 (H, W, 3) ► labels (H, W) int32.
Segment = Callable[[np.ndarray], np.ndarray]


def vgg16() -> VGG16Net:
    """torchvision's VGG-16 up to its pooled features, weights drawn as torchvision draws them."""
    import torch
    from torch import nn

    from index.vgg import VGG16Net

    torch.manual_seed(0)
    module = VGG16Net()
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return module.eval()


def vgg16_vectors(module: VGG16Net, crops: Sequence[np.ndarray]) -> np.ndarray:
    """Unit vectors (n, 512) of crops, squeezed to 224 pixels and normalised as torchvision's documentation says."""
    import torch

    from index.convolutional import IMAGENET_MEAN, IMAGENET_STD

    squeezed = np.stack([cv2.resize(crop, (224, 224), interpolation=cv2.INTER_AREA) for crop in crops])
    pictures = (squeezed.astype(np.float32) / 255 - IMAGENET_MEAN) / IMAGENET_STD
    batch = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), np.float32))
    with torch.inference_mode():
        vectors = module(batch, torch.ones(len(crops), 1, 224, 224)).numpy()
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def smp_unet(encoder: str = "resnet18") -> Any:
    """segmentation_models_pytorch's U-Net with one class; MissingExtraError where it is not installed."""
    if find_spec("segmentation_models_pytorch") is None:
        raise MissingExtraError(
            "the peer segmentation_models_pytorch is not installed, so nothing is compared with it; "
            "pip install 'retail-seg[compare]' brings it"
        )
    from retail_seg.segmentation.network.torchvision_ops import import_torchvision

    import_torchvision()
    import segmentation_models_pytorch as smp
    import torch

    torch.manual_seed(0)
    return smp.Unet(encoder, encoder_weights=None, classes=1)


def smp_segment(net: Any) -> Segment:
    """The U-Net on a photo at its own size, its mask taken apart by connected components."""
    import torch

    from index.convolutional import IMAGENET_MEAN, IMAGENET_STD

    net.eval()

    def segment(photo: np.ndarray) -> np.ndarray:
        height, width = photo.shape[:2]
        padded = cv2.copyMakeBorder(photo, 0, -height % 32, 0, -width % 32, cv2.BORDER_REPLICATE)
        picture = (padded.astype(np.float32) / 255 - IMAGENET_MEAN) / IMAGENET_STD
        with torch.inference_mode():
            batch = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32))
            mask = net(batch)[0, 0].numpy()[:height, :width] > 0
        return cv2.connectedComponentsWithStats(mask.astype(np.uint8))[1]

    return segment


def mask_rcnn() -> Segment:
    """torchvision's Mask R-CNN (ResNet-50 FPN) with random weights, its masks painted into one label image.

    Where torchvision comes without its compiled operators, its own Python form of roi_align and OpenCV's suppression
    of overlapping boxes take their place.
    """
    from retail_seg.segmentation.network.torchvision_ops import import_torchvision

    torchvision = import_torchvision()
    import torch
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    if not has_compiled_operators():
        torchvision.ops.boxes.nms = _suppressed

    torch.manual_seed(0)
    net = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=2).eval()

    def segment(photo: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            batch = torch.from_numpy(np.ascontiguousarray(photo.transpose(2, 0, 1), np.float32) / 255)
            found = net([batch])[0]["masks"][:, 0].numpy()
        labels = np.zeros(photo.shape[:2], np.int32)
        for number, mask in enumerate(found, 1):
            labels[mask > 0.5] = number
        return labels

    return segment


def has_compiled_operators() -> bool:
    """Whether torchvision's compiled part can be loaded."""
    from torchvision.extension import _has_ops

    return bool(_has_ops())


def _suppressed(boxes: Any, scores: Any, iou_threshold: float) -> Any:
    """What torchvision.ops.nms gives: indices of the boxes (n, 4) that no better one overlaps, best first."""
    import torch

    corners = boxes.numpy()
    sized = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
    ranks = scores.numpy() - scores.numpy().min(initial=0.0) + 1  # OpenCV keeps positive ones alone
    kept = cv2.dnn.NMSBoxes(sized.tolist(), ranks.tolist(), 0.0, iou_threshold)
    return torch.as_tensor(np.asarray(kept, np.int64).reshape(-1))

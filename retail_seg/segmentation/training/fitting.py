"""The fit itself: loss, optimiser, averaged weights, and a state that can be laid down and taken up again."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from retail_seg.segmentation.boxes import IGNORE
from retail_seg.segmentation.network.architectures import learns_labels
from retail_seg.segmentation.network.config import OFFSET_UNIT, SegmenterConfig
from retail_seg.segmentation.network.mobile import MobileUNet
from retail_seg.segmentation.network.processor import channels_last, fast_bfloat16
from retail_seg.segmentation.samples import Sample
from retail_seg.segmentation.segmenter import normalise
from retail_seg.segmentation.training.targets import target_maps


def to_tensors(samples: Sequence[Sample], config: SegmenterConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples of one size ► pictures (n, 4, h, w) float32 and what their network learns from.

    That is target maps (n, 5, h, w) float32, or instance ids (n, 1, h, w) int32 where the network wants these. Where
    anything is to be ignored, a sixth map says 1 for what counts and 0 for what does not.
    """
    pictures = torch.from_numpy(np.stack([normalise(picture, config) for picture, _ in samples]))
    every = np.stack([labels for _, labels in samples])
    known = np.maximum(every, 0)
    if learns_labels(config):
        return pictures, torch.from_numpy(known[:, None])
    maps = np.stack([target_maps(labels) for labels in known])
    if (every == IGNORE).any():
        maps = np.concatenate([maps, (every != IGNORE).astype(np.float32)[:, None]], 1)
    return pictures, torch.from_numpy(maps)


def loss_of(raw: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Loss of raw maps (n, 5, h, w) against target maps: each map in its own measure, summed.

    Foreground: cross entropy and soft Dice. Distance: absolute error, everywhere. Boundary: cross entropy, weighted
    because it is thin, and Dice. Offsets: Huber error inside the things. Where the target has a sixth map, pixels that
    are 0 there count nowhere.
    """
    raw = raw.float().contiguous(memory_format=torch.contiguous_format)  # each map in one piece: twice as fast
    # Unbound once: a slice taken from the stack several times gets a stack of zeros as its gradient each time.
    mask_logit, distance_logit, boundary_logit, *offsets = raw.unbind(1)
    mask, far, thin, *centre = target[:, :5].unbind(1)
    counts = target[:, 5] if target.shape[1] > 5 else None
    inside = mask.sum().clamp(min=1)
    weight = 0.2 + mask if counts is None else (0.2 + mask) * counts
    foreground = F.binary_cross_entropy_with_logits(mask_logit, mask, weight=counts)
    if counts is not None:
        foreground = foreground * counts.numel() / counts.sum().clamp(min=1)
    foreground = foreground + 0.5 * _dice(mask_logit, mask, counts)
    miss = (torch.sigmoid(distance_logit) - far).abs()
    distance = (miss * weight).sum() / inside
    entropy = F.binary_cross_entropy_with_logits(boundary_logit, thin, pos_weight=torch.tensor(12.0), reduction="none")
    weight = 0.1 + mask if counts is None else (0.1 + mask) * counts
    boundary = (entropy * weight).sum() / inside + 0.5 * _dice(boundary_logit, thin, counts)
    huber = sum(
        F.smooth_l1_loss(o, c / OFFSET_UNIT, beta=0.2, reduction="none") for o, c in zip(offsets, centre, strict=True)
    )
    offset = (huber * mask).sum() / inside
    return foreground + 2 * distance + boundary + 0.5 * offset


def _dice(logits: torch.Tensor, target: torch.Tensor, counts: torch.Tensor | None) -> torch.Tensor:
    p = torch.sigmoid(logits) if counts is None else torch.sigmoid(logits) * counts
    return 1 - (2 * (p * target).sum() + 1) / (p.sum() + target.sum() + 1)


def cosine(progress: float, warm_up: float = 0.03) -> float:
    """Factor on the learning rate at `progress` 0..1: a short warm-up, then half a cosine down to 1 %."""
    if progress < warm_up:
        return max(progress / warm_up, 0.05)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


class Fit:
    """A network in training and the running average of its weights, which is what is used afterwards.

    Of a MobileUNet's encoder the first `frozen` blocks stay as they are, and the others learn at `encoder_rate` times
    the learning rate.
    """

    def __init__(
        self,
        config: SegmenterConfig,
        net: nn.Module,
        learning_rate: float,
        decay: float = 0.99,
        *,
        frozen: int = 0,
        encoder_rate: float = 1.0,
    ) -> None:
        self.config, self.learning_rate, self.decay, self.steps = config, learning_rate, decay, 0
        if isinstance(net, MobileUNet):
            net.freeze(frozen)
        self.net = channels_last(net).train()
        self.average: nn.Module = copy.deepcopy(net).eval()
        groups, self.factors = _groups(self.net, encoder_rate)
        self.optimiser = torch.optim.AdamW(groups, lr=learning_rate, weight_decay=1e-3)

    def step(self, pictures: torch.Tensor, targets: torch.Tensor, factor: float) -> float:
        """One optimiser step on a batch (see `to_tensors`) at `factor` times the learning rate; returns the loss."""
        for group, share in zip(self.optimiser.param_groups, self.factors, strict=True):
            group["lr"] = self.learning_rate * factor * share
        loss = self._loss(pictures.contiguous(memory_format=torch.channels_last), targets)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimiser.step()
        self.steps += 1
        self._follow()
        return float(loss.detach())

    def _loss(self, pictures: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=fast_bfloat16()):
            if learns_labels(self.config):
                own: torch.Tensor = self.net.loss(pictures, targets)  # type: ignore[operator]
                return own
            raw = self.net(pictures)
        return loss_of(raw, targets)

    def _follow(self) -> None:
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            for mine, theirs in zip(self.average.state_dict().values(), self.net.state_dict().values(), strict=True):
                if mine.is_floating_point():
                    mine.lerp_(theirs, 1 - decay)
                else:
                    mine.copy_(theirs)

    def state(self) -> dict[str, Any]:
        """Everything needed to go on later."""
        return {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "steps": self.steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.steps = int(state["steps"])


def _groups(net: nn.Module, encoder_rate: float) -> tuple[list[dict[str, Any]], list[float]]:
    """What learns, in groups of one learning rate each, and those as parts of the whole one's."""
    learning = [p for p in net.parameters() if p.requires_grad]
    if not isinstance(net, MobileUNet):
        return [{"params": learning}], [1.0]
    encoder = [p for p in net.encoder.parameters() if p.requires_grad]
    theirs = {id(p) for p in encoder}
    groups = [{"params": [p for p in learning if id(p) not in theirs]}, {"params": encoder}]
    return (groups, [1.0, encoder_rate]) if encoder else (groups[:1], [1.0])

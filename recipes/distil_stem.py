#!/usr/bin/env python3
"""Teach the encoder's stem what MobileNetV2's first four blocks give, and write the encoder for the pretraining.

    python recipes/distil_stem.py --weights mobilenet_v2.safetensors --pictures DIR --out encoder.safetensors

Any photos do (JPEG or PNG, no labels): some thousands, of many things. The rest of the encoder is MobileNetV2's own.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file

from retail_seg.errors import PhotoError
from retail_seg.photos.load import load_photo
from retail_seg.segmentation.network.encoder import Encoder, Replaced, published_weights
from retail_seg.segmentation.network.processor import channels_last, fast_bfloat16
from retail_seg.segmentation.training.augment import photometric
from retail_seg.segmentation.training.fitting import cosine

SIDE, BATCH = 128, 24
SUFFIXES = {".jpg", ".jpeg", ".png"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="MobileNetV2 by torchvision's names, safetensors")
    parser.add_argument("--pictures", type=Path, action="append", required=True, help="folder of photos; several do")
    parser.add_argument("--out", type=Path, required=True, help="the encoder's file")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=0, help="of PyTorch; 0 leaves it to decide")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(options.seed)
    published = published_weights(options.weights)
    encoder, teacher = Encoder(), Replaced()
    encoder.load_state_dict(published | encoder.stem.state_dict(prefix="stem."), strict=False)
    teacher.load_state_dict({key: value for key, value in published.items() if key in teacher.state_dict()})
    distil(encoder, teacher, options)
    save_file({key: value.half().contiguous() for key, value in encoder.state_dict().items()}, options.out)


def distil(encoder: Encoder, teacher: Replaced, options: argparse.Namespace) -> None:
    """Steps of regression, each channel in units of its spread; prints what share of the variance is left."""
    files = [p for folder in options.pictures for p in sorted(folder.rglob("*")) if p.suffix.lower() in SUFFIXES]
    print(f"{len(files)} pictures", flush=True)
    student, teacher = channels_last(encoder.stem).train(), channels_last(teacher).eval()
    spread: torch.Tensor | None = None
    optimiser = torch.optim.AdamW(student.parameters(), lr=options.rate, weight_decay=1e-4)
    left: list[float] = []
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(batch, files, options.seed, 0)
        for step in range(options.steps):
            pictures = coming.result()
            coming = ahead.submit(batch, files, options.seed, step + 1)
            with torch.autocast("cpu", torch.bfloat16, enabled=fast_bfloat16()):
                with torch.no_grad():
                    wanted = teacher(pictures).float()
                given = student(torch.nn.functional.pixel_unshuffle(pictures, 4)).float()
            spread = wanted.std((0, 2, 3), keepdim=True) if spread is None else spread
            loss = (((given - wanted) / spread)[:, :, 4:-4, 4:-4] ** 2).mean()
            optimiser.param_groups[0]["lr"] = options.rate * cosine(step / options.steps)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            left.append(float(loss.detach()))
            if (step + 1) % 100 == 0:
                print(f"step {step + 1} variance left {np.mean(left[-100:]):.4f}", flush=True)


def batch(files: list[Path], seed: int, step: int) -> torch.Tensor:
    """Random views (BATCH, 3, SIDE, SIDE) in [-1, 1]; a few files a batch, several views each, for the reading."""
    rng = np.random.default_rng((seed, step))
    views: list[np.ndarray] = []
    while len(views) < BATCH:
        try:
            picture = load_photo(files[rng.integers(len(files))], max_side=640 if rng.random() < 0.5 else None)
        except PhotoError:  # one that cannot be read is passed over: there are thousands
            continue
        views += [view(picture, rng) for _ in range(1 if max(picture.shape) < 300 else 4)]
    stack = np.stack(views[:BATCH]).astype(np.float32) / 127.5 - 1
    return torch.from_numpy(stack.transpose(0, 3, 1, 2)).contiguous(memory_format=torch.channels_last)


def view(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A square of SIDE pixels from a picture at a random scale, under other light."""
    least = SIDE / min(picture.shape[:2])
    scale = max(float(np.exp(rng.uniform(np.log(0.3), np.log(1.5)))), least)
    size = max(round(picture.shape[1] * scale), SIDE), max(round(picture.shape[0] * scale), SIDE)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = (int(rng.integers(n - SIDE + 1)) for n in small.shape[:2])
    part = small[top : top + SIDE, left : left + SIDE]
    return photometric(np.ascontiguousarray(part[:, :: rng.choice((-1, 1))]), rng)


if __name__ == "__main__":
    main()

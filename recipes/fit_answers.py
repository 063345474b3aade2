#!/usr/bin/env python3
"""Fit what a new store believes of its answers: the weights and thresholds in index/models/retail-vgg/answers.json.

    python recipes/fit_answers.py --work SCRATCH                                   shelves and drawn families only
    python recipes/fit_answers.py --work SCRATCH --list cloth-4 GALLERY QUERIES --learned fridge-1 GALLERY QUERIES \
        --learned groceries-8 GALLERY QUERIES --learned packs-1-83 GALLERY QUERIES --scored strips-1-83 GALLERY QUERIES

A list is a CSV with columns image,label[,x,y,w,h]. A name's first word is its source: no answer is scored by weights
that its source took part in. With -83 at the end queries are made as small as on a shelf. Products that the network was
trained on (--learned) are asked with and without the part of it that learned labels, which stands for products that it
never saw; a network of `train_retail_vgg.py --hold-out` (--apart) is asked what it learned and what it never saw side
by side (--mixed), as in a shop; --scored ones take no part in the fit. data/shelves (learned) and drawn families of
sisters are always there.

Of each store the references are asked as photos would show them, and real crops are asked with their product there and,
once more, with a third of the products left out, theirs among them, sisters in place. For seventeen stores embedding
takes a quarter of an hour on one core, asking a minute and a half, fitting seven seconds. SCRATCH keeps the lists; the
vectors until the network's weights change; the answers until the modules that search do. After a training of the
network nothing but this command is needed: it embeds with the weights that lie in index/models/retail-vgg, and writes
answers.json beside them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from answer_lists import Lists, family_lists, sample, shelf_lists, shrunk_lists

from index.asking import Checked, ask_checked, ask_views
from index.calibration import Policy, calibrate, expected_calibration_error
from index.evidence import Answered, Scale, Weights, learn_together
from index.leave_one_out import References, choose_recipe, fit_recipe
from index.priors import Prior
from index.retail_vgg import RetailVGG
from retail_seg.evaluation.trial_store import EmbeddedCrops, embed_crops
from retail_seg.store.asked import as_views
from retail_seg.store.crop_lists import read_labelled_crops
from retail_seg.store.networks import load_embedder

if TYPE_CHECKING:
    from index import Embedder

ROOT = Path(__file__).parents[1]
OUT = ROOT / "index/models/retail-vgg/answers.json"
#: Views that a store asks itself with here, and queries of a store: more do not move the weights.
VIEWS, QUERIES = 300, 350
#: What the weights are learned around, and how firmly.
START = Weights((1.0, 0.5, 0.5), (1.0, 0.0, 0.0, 0.0))
PLAIN_START = Weights((1.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0))
#: What many keypoints are worth, the few sources of studio pictures cannot tell.
STRENGTH, STUDIO_STRENGTH = 1.0, np.array([5.0] * 6 + [600.0])
BEFORE = Prior(0.5, 0.1, START, PLAIN_START)
#: Modules of index that a store's answers come from; what is kept of them is asked again when one changes.
SEARCHING = ("asking", "candidates", "leave_one_out", "photographed", "projection", "rerank")
#: What most references of a store are.
KINDS = ("photo", "studio")
#: Each source's real crops count for so many, its asked references for as many; drawn ones for half.
CROPS = 1000.0
#: Least probabilities of the table of precisions, and the share of the stores that are to reach what it says.
LEAST = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995)
STORES = 5 / 6
#: Every so many products are left out at a time.
PARTS = 3


@dataclass(frozen=True)
class Source:
    """A store's lists: what it is called, whether the network was trained on its products, or it is only scored, and
    the folder of the network, where it is not the one that ships.
    """

    name: str
    lists: Lists
    learned: bool = False
    scored: bool = False
    network: Path | None = None

    @property
    def family(self) -> str:
        """Where the photos come from."""
        return self.name.split("-")[0]


@dataclass(frozen=True)
class Case:
    """What a store answered: to its references asked as photos, and to real crops, with the scale of its scores."""

    source: Source
    products: int
    studio: float
    mean_square: float
    trials: Answered
    crops: Answered
    scale: Scale

    @property
    def kind(self) -> str:
        """Of which kind most of its references are."""
        return "studio" if self.studio >= 0.5 else "photo"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for lists and vectors")
    parser.add_argument("--shelves", type=Path, default=ROOT / "data/shelves", help="folder with annotations.json")
    parser.add_argument("--apart", type=Path, help="folder of a network that was trained with --hold-out")
    named = {
        "list": "a store that is learned from",
        "learned": "… whose products the network was trained on",
        "mixed": "… of which the network of --apart was trained on a part: ask what it never saw, and other photos",
    }
    for name, what in {**named, "scored": "a store that is scored only"}.items():
        parser.add_argument(
            f"--{name}", nargs=3, action="append", default=[], metavar=("NAME", "GALLERY", "QUERIES"), help=what
        )
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    cases = [asked(source, options.work) for source in sources(options)]
    apart = {family: fitted(cases, but=family) for family in sorted({case.source.family for case in cases})}
    priors, values = fitted(cases), {"scores": scores(cases)}
    for kind in KINDS:
        mine = [case for case in cases if case.kind == kind]
        answers = {case.source.name: answered(case, apart[case.source.family][kind]) for case in mine}
        precisions = table_of(list(answers.values()))
        report(kind, answers, precisions)
        weights = {name: _plain(getattr(priors[kind], name)) for name in ("looked", "plain")}
        values[kind] = {**weights, "precisions": precisions}
    options.out.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    print(f"{options.out}: written")


def sources(options: argparse.Namespace) -> list[Source]:
    """All stores: shelves and drawn families, and those that were named."""
    work = options.work
    found = [Source(f"drawn-{count}", family_lists(count, work / f"drawn-{count}")) for count in (4, 1)]
    for count in (4, 1):
        lists = shelf_lists(options.shelves, count, work / f"shelves-{count}-83")
        found += [Source(f"shelves-{count}-83", lists, True), Source(f"shelves-{count}-83 known", lists)]
    for kind in ("list", "learned", "scored"):
        for name, gallery, queries in getattr(options, kind):
            lists = Lists(Path(gallery), Path(queries))
            lists = shrunk_lists(lists, work / name, QUERIES) if name.endswith("-83") else lists
            found.append(Source(name, lists, kind == "learned", kind == "scored"))
            if kind == "learned":  # and as the network knows it: a shop's products are of either kind
                found.append(Source(f"{name} known", lists))
    for name, gallery, queries in options.mixed:
        found.append(Source(f"{name} mixed", Lists(Path(gallery), Path(queries)), network=options.apart))
    return found


def asked(source: Source, work: Path) -> Case:
    """What a store answered, kept in `work` until its vectors or the modules that search change."""
    kept = work / f"{_digest(source, *SEARCHING)}-asked{'-blind' * source.learned}.pickle"
    found = _kept(kept) or _keep(kept, ask(source, work))
    products, _, mean_square, trials, _ = found
    print(f"{source.name}: {products} products, {len(trials.right)} answers to views", flush=True)
    return Case(source, *found, calibrate(trials, BEFORE.centred(mean_square), products=products).scale)


def ask(source: Source, work: Path) -> tuple[int, float, float, Answered, Answered]:
    """Embed a store and its queries, or read them again, and ask: what a `Case` knows, but for the scale."""
    shelf, queries = embedded(source, work)
    if source.learned:
        shelf, queries = without_labels(shelf), without_labels(queries)
    references = References(shelf.first_views, shelf.labels, np.arange(len(shelf.labels)))
    projection = fit_recipe(choose_recipe(references), references)
    features = lambda ids: {i: shelf.features[i] for i in ids}  # noqa: E731
    views = as_views(shelf.shown, projection.dim)
    trials = ask_views(projection, references, views, features)
    products = np.unique(shelf.labels)
    part = {int(owner): products[at % PARTS :: PARTS] for at, owner in enumerate(products)}
    crops = Checked(queries.first_views, queries.features, queries.labels)
    answers = ask_checked(projection, references, crops, features, part.__getitem__)
    return len(products), views.studio, projection.mean_square, trials, answers


def embedded(source: Source, work: Path) -> tuple[EmbeddedCrops, EmbeddedCrops]:
    """The crops of a store's lists with their vectors, kept in `work` until lists or network change."""
    kept = work / f"{_digest(source)}.pickle"
    if (found := _kept(kept)) is not None:
        return found
    embedder = network(source.network)
    gallery, queries = read_labelled_crops(source.lists.gallery), read_labelled_crops(source.lists.queries)
    numbers = {label: at for at, label in enumerate(sorted({row.label for row in gallery}))}
    queries = sample([row for row in queries if row.label in numbers], QUERIES)
    as_it_is = lambda crop, mask: [(crop, mask)]  # noqa: E731
    shelf, errors = embed_crops(gallery, numbers, embedder, as_it_is, show=VIEWS)
    asked, more = embed_crops(queries, numbers, embedder, as_it_is)
    for error in errors + more:
        print(error)
    return _keep(kept, (shelf, asked))


@cache
def network(folder: Path | None) -> Embedder:
    """The network in a folder, or the one that ships."""
    return load_embedder("retail-vgg", folder)


def _digest(source: Source, *modules: str) -> str:
    """Changes with a store's lists, with the network's weights, and with these modules of index."""
    said = source.lists.gallery.read_bytes() + source.lists.queries.read_bytes()
    said += network(source.network).fingerprint.encode()
    said += b"".join((ROOT / "index" / f"{name}.py").read_bytes() for name in modules)
    return hashlib.sha256(said).hexdigest()[:16]


def _kept(path: Path) -> Any:
    """What `_keep` wrote, None where nothing lies there."""
    return pickle.loads(path.read_bytes()) if path.is_file() else None  # written by this recipe


def _keep(path: Path, found: Any) -> Any:
    """Keep what took long to find, and give it back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_suffix(".part")
    whole.write_bytes(pickle.dumps(found))
    whole.replace(path)
    return found


def without_labels(crops: EmbeddedCrops) -> EmbeddedCrops:
    """The same without the part of the vectors that learned labels."""
    (general, _), (retail, _) = RetailVGG.load().config["blocks"]

    def cut(vector: np.ndarray) -> np.ndarray:
        kept = vector.copy()
        kept[..., general : general + retail] = 0
        return kept / np.maximum(np.linalg.norm(kept, axis=-1, keepdims=True), 1e-9)

    shown = {key: replace(view, vector=cut(view.vector)) for key, view in crops.shown.items()}
    return replace(crops, vectors=[cut(one) for one in crops.vectors], shown=shown)


def fitted(cases: Sequence[Case], but: str = "") -> dict[str, Prior]:
    """What all sources but one teach: for stores of photos, and around that for stores of studio pictures.

    The latter learn from real crops only: what their own pictures do, shown as photos, is what misleads them.
    """
    used = [case for case in cases if not case.source.scored and case.source.family != but]
    photos, studios = ([case for case in used if case.kind == kind] for kind in KINDS)
    parts = [
        part for case in photos for part in (_weighed(case.trials, case, photos), _weighed(case.crops, case, photos))
    ]
    others = [_weighed(case.crops, case, studios) for case in studios]
    looked, plain = _learned(parts, START, STRENGTH), _learned(_blind(parts), PLAIN_START, STRENGTH)
    theirs = _learned(others, looked, STUDIO_STRENGTH), _learned(_blind(others), plain, STUDIO_STRENGTH)
    return {
        "photo": replace(BEFORE, looked=looked, plain=plain),
        "studio": replace(BEFORE, looked=theirs[0], plain=theirs[1], studio=1.0),
    }


def scores(cases: Sequence[Case]) -> list[float]:
    """Centre and spread of the best scores of missing products in raw vectors: what four stores of
    five stay below, for caution.
    """
    used = [(case.scale, case.mean_square) for case in cases if not case.source.scored]
    raw = [((1 - mean) * scale.centre + mean, (1 - mean) * scale.spread) for scale, mean in used]
    return [round(float(value), 3) for value in np.quantile(raw, 0.8, axis=0)]


def _weighed(told: Answered, case: Case, beside: Sequence[Case]) -> tuple[Answered, Scale]:
    """What a store told: all stores of one source count together for CROPS, drawn ones for half."""
    family = case.source.family
    whole = CROPS * (0.5 if family == "drawn" else 1.0) / sum(other.source.family == family for other in beside)
    return replace(told, weight=told.weight * (whole / told.weight.sum())), case.scale


def _blind(parts: Sequence[tuple[Answered, Scale]]) -> list[tuple[Answered, Scale]]:
    """The same where no second look was taken."""
    return [(replace(told, found=told.found.without_look()), scale) for told, scale in parts]


def _learned(parts: Sequence[tuple[Answered, Scale]], start: Weights, strength: float | np.ndarray) -> Weights:
    return learn_together(parts, start, strength) if parts else start


@dataclass(frozen=True)
class Scores:
    """Probabilities of first answers (n,), whether they are right, whether the product was missing, and the weights."""

    probability: np.ndarray
    right: np.ndarray
    missing: np.ndarray
    weight: np.ndarray

    def precision(self, least: float) -> float:
        """The share right of what is answered from a probability on, strangers among the crops; 1 of nothing."""
        sure = self.probability >= least
        return float((self.weight * self.right)[sure].sum() / self.weight[sure].sum()) if sure.any() else 1.0


def answered(case: Case, prior: Prior) -> Scores:
    """How a new store with this prior answers the real crops: it asks its own references first."""
    calibration = calibrate(case.trials, prior.centred(case.mean_square), Policy(), case.products)
    given = calibration.probabilities(case.crops.found)[:, :-1]
    count = int((case.crops.weight == case.crops.weight[0]).sum())  # as they are come first, then as strangers
    missing = np.arange(len(given)) >= count
    return Scores(given.max(axis=1), given.argmax(axis=1) == case.crops.right, missing, case.crops.weight)


def table_of(answers: Sequence[Scores]) -> list[tuple[float, float]]:
    """Least probabilities with the precision that five stores of six reach from there on; never falling."""
    reached = [float(np.quantile([one.precision(least) for one in answers], 1 - STORES)) for least in LEAST]
    return [(least, round(float(value), 3)) for least, value in zip(LEAST, np.maximum.accumulate(reached), strict=True)]


def report(kind: str, answers: dict[str, Scores], precisions: list[tuple[float, float]]) -> None:
    """The table of stores of one kind, each answered by weights that its source took no part in."""
    least, reached = zip(*precisions, strict=True)
    threshold = float(np.interp(Policy().precision, reached, least))
    print(f"{kind}: sure from {threshold:.2f} on: {precisions}")
    print(f"{'store':24} top-1   ECE  sure&right  precision  with strangers  strangers sure")
    for name, one in answers.items():
        here, sure = ~one.missing, one.probability >= threshold
        right = float((one.right & sure)[here].mean())
        precision = one.right[here & sure].mean() if (here & sure).any() else np.nan
        ece = expected_calibration_error(one.probability[here], one.right[here])
        print(
            f"{name:24} {one.right[here].mean():.3f} {ece:.3f}  {right:10.3f}  {precision:9.3f}  "
            f"{one.precision(threshold):14.3f}  {sure[one.missing].mean():14.3f}"
        )


def _plain(weights: Weights) -> dict[str, list[float]]:
    return {"candidate": [round(v, 3) for v in weights.candidate], "none": [round(v, 3) for v in weights.none]}


if __name__ == "__main__":
    main()

"""Time of a whole scan, JPEG in and JSON out, beside a pipeline of everybody's parts; and what both say is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from retail_seg.bench.benchmark import peers
from retail_seg.bench.benchmark.measure import Reading, Section, faster, in_turns, use_all_cores
from retail_seg.bench.benchmark.meters import beside_words
from retail_seg.bench.benchmark.synthetic import MadePhoto, made_photo, store_in
from retail_seg.errors import MissingExtraError
from retail_seg.matcher import Matcher
from retail_seg.photos.load import DECODERS, find_photos, load_photo
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.segmentation.scores import match_instances, pair_iou

#: Size at which the peer's U-Net sees a photo.
_SEEN = (1280, 960)
#: Crops that the peer embeds at once: VGG-16 holds some 25 MB of values for each.
_AT_ONCE = 32


@dataclass(frozen=True)
class Agreement:
    """How far two ways of scanning say the same; shares of the packs in the photo, 0 to 1.

    found     packs that the shipped segmenter finds (IoU at least 0.5)
    right     packs that are found and named right by the scan
    same      crops that the scan's matching and plain parts name alike: the same crops embedded by the same weights in
              PyTorch's float32, projected alike, and looked up in a bare FAISS index
    """

    found: float
    right: float
    same: float


def benchmark_scan(
    work: Path, *, labels: int = 25_000, references: int = 4, packs: int = 40, megapixels: float = 12.0,
    folder: Path | None = None, rounds: int = 3,
) -> Section:  # fmt: skip
    """A photo of `packs` packs (or the first own one in `folder`) against a made-up store built in `work`."""
    use_all_cores()
    made = made_photo(packs, megapixels)
    path = work / "photo.jpg"
    path.write_bytes(made.jpeg() if folder is None else find_photos(folder)[0].read_bytes())
    store = store_in(work, labels, references)
    with Matcher.open(store) as matcher:
        if folder is not None:  # nobody knows its truth: the peer gets the outlines that this program finds
            own = load_photo(path)
            made = MadePhoto(own, matcher.segmenter.segment(own).labels, ())
        works: dict[str, Callable[[], Any]] = {"ours": lambda: matcher.scan(path).to_json()}
        notes = []
        try:
            works["peer"] = peer_pipeline(path, made, labels * references)
            works["peer, crop by crop"] = peer_pipeline(path, made, labels * references, at_once=1)
        except MissingExtraError as error:
            notes.append(f"{error}.")
        taken = in_turns(works, rounds)
        agreement = agree(matcher, made) if folder is None else None
    rows = _rows(taken, agreement)
    shown = f"{megapixels:g} MP with {packs} packs" if folder is None else f"{made.photo.size / 3e6:.1f} MP, an own one"
    title = f"Scan of a photo of {shown}, {labels:,} labels x {references} references"
    notes += [
        f"Peer: Pillow, smp.Unet at 1280 x 960 with components, VGG-16 in eager float32 on {_AT_ONCE} crops at once, "
        "one search of bare FAISS, JSON; crop by crop as it is first written. It looks at no keypoints, tells no "
        "probabilities and draws no outlines. Its weights are random, so its crops are cut from known outlines, and "
        "its products are not compared.",
        beside_words(taken.beside),
    ]
    data = {
        "seconds": taken,
        "spread": taken.spread,
        "beside": taken.beside,
        "labels": labels,
        "references": references,
        "packs": packs,
        "megapixels": megapixels,
    }
    return Section(title, rows, notes, {**data, "agreement": vars(agreement) if agreement else None})


def _rows(taken: dict[str, float], agreement: Agreement | None) -> list[Reading]:
    rows = []
    if "peer" in taken:
        rows.append(faster("JPEG in, JSON out", taken["ours"], taken["peer"], 25.0))
        rows.append(faster("  beside the peer crop by crop", taken["ours"], taken["peer, crop by crop"]))
    rows.append(Reading("seconds", f"{taken['ours']:.2f} s", goal="about 1 s", reached=taken["ours"] <= 1.25))
    if agreement:
        rows.append(Reading("crops named as by plain parts", f"{agreement.same:.1%}", goal=">= 99 %",
                        reached=agreement.same >= 0.99))  # fmt: skip
        rows.append(Reading("packs found / found and named right", f"{agreement.found:.1%} / {agreement.right:.1%}"))
    return rows


def peer_pipeline(path: Path, made: MadePhoto, references: int, at_once: int = _AT_ONCE) -> Callable[[], str]:
    """The peer, ready to run: its networks are made and its index of `references` vectors is filled.

    `at_once` crops are embedded together and looked up together.
    """
    import faiss

    from retail_seg.bench.benchmark.search import clustered_vectors

    unet, vgg = peers.smp_segment(peers.smp_unet()), peers.vgg16()
    vectors, _ = clustered_vectors(references, 1, 512)
    index = faiss.IndexFlatIP(512)
    index.add(vectors)

    def run() -> str:
        from PIL import Image

        photo = np.asarray(Image.open(path, formats=DECODERS).convert("RGB"))
        unet(cv2.resize(photo, _SEEN, interpolation=cv2.INTER_AREA))
        scaled = made.labels if photo.shape[:2] == made.labels.shape else _fit(made.labels, photo)
        boxes = cv2.connectedComponentsWithStats((scaled > 0).astype(np.uint8))[2][1:, :4].tolist()
        found = []
        for at in range(0, len(boxes), at_once):
            part = boxes[at : at + at_once]
            crops = [photo[y : y + h, x : x + w] for x, y, w, h in part]
            scores, ids = index.search(peers.vgg16_vectors(vgg, crops), 5)
            found += [
                {"box": box, "ids": near, "scores": score}
                for box, near, score in zip(part, ids.tolist(), scores.tolist(), strict=True)
            ]
        return json.dumps({"instances": found, "count": len(found)})

    return run


def _fit(labels: np.ndarray, photo: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(labels, photo.shape[1::-1], interpolation=cv2.INTER_NEAREST))


def agree(matcher: Matcher, made: MadePhoto) -> Agreement:
    """Hold the scan of a made-up photo against its truth, and its matching against plain parts on the true outlines."""
    photo = load_photo(made.jpeg())
    truth = Instances.from_labels(made.labels)
    named = [line.matches[0].sku for line in matcher.report(photo, truth, "truth").instances]
    same = np.mean([a == b for a, b in zip(named, plain_match(matcher, photo, truth), strict=True)])
    found = matcher.segmenter.segment(photo)
    report = matcher.report(photo, found, "scan")
    true, seen = match_instances(pair_iou(made.labels, found.labels), 0.5)
    right = sum(made.skus[t] == report.instances[s].sku for t, s in zip(true, seen, strict=True))
    return Agreement(len(true) / len(made.skus), right / len(made.skus), float(same))


def plain_match(matcher: Matcher, photo: np.ndarray, instances: Instances) -> Sequence[str]:
    """The SKU of the nearest reference of each instance, by PyTorch in float32 and a bare FAISS index."""
    import faiss

    from index.convolutional import NetworkEmbedder, torch_network
    from index.embedder import unit_rows
    from index.ranking import Ranker
    from index.views import upright
    from retail_seg.store.gallery import RANKER, stack
    from retail_seg.store.opening import open_catalogue

    embedder = matcher.embedder
    assert isinstance(embedder, NetworkEmbedder)
    views = [upright(*instances.crop(photo, i)) for i in range(len(instances))]
    fast, embedder.network = embedder.network, torch_network(embedder.module)
    try:
        queries = unit_rows(embedder.embed([crop for crop, _ in views], [mask for _, mask in views]))
    finally:
        embedder.network = fast
    with open_catalogue(matcher.folder) as catalogue:
        ids, vectors = stack(list(catalogue.iter_vectors()), embedder.dim)
        learned = catalogue.get_setting(RANKER)
    if learned:
        ranker = Ranker.from_bytes(learned.encode())
        queries, vectors = ranker.project(queries), ranker.project(vectors)
    bare = faiss.IndexFlatIP(embedder.dim)
    bare.add(vectors)
    nearest = ids[bare.search(queries, 1)[1][:, 0]]
    with open_catalogue(matcher.folder) as catalogue:
        skus = catalogue.skus_of(int(i) for i in nearest)
    return [skus[int(i)] for i in nearest]

"""Where the time of one scan goes, stage by stage, beside the floor that the machine's own rates give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from index.convolutional import NetworkEmbedder
from index.shortlist import PAYS_FROM
from retail_seg.bench.benchmark import floors
from retail_seg.bench.benchmark.measure import Reading, Section, in_turns, machine, machine_line, milliseconds
from retail_seg.bench.benchmark.meters import beside_words, energy_words, joules
from retail_seg.bench.benchmark.synthetic import made_photo, store_in
from retail_seg.matcher import Matcher
from retail_seg.photos.load import load_photo
from retail_seg.segmentation.instances.grouping import group
from retail_seg.segmentation.segmenter import pad_to, resized, working_size
from retail_seg.store.scanning import outline, report_of

#: What would bring a stage closer to its floor.
_IDEAS = {
    "decode": "Decode only the part of a JPEG that holds products: half the scale is half the time, but the crops of "
    "40 packs on 12 megapixels then have fewer pixels than the embedder looks at.",
    "shrink and normalise": "Shrink to the working size while decoding (the JPEG's own quarter scale) and keep the "
    "full picture for the crops alone.",
    "segmentation network": "Int8 weights and activations for the U-Net, checked against its scores; half the work of "
    "bfloat16 on processors with VNNI or AMX.",
    "group": "Connected parts at the five levels in one walk, and the watershed only where markers compete.",
    "enlarge": "Enlarge only the rim of each instance: inside and outside of it are known at working size.",
    "cut and outline": "Turn and shrink each crop in one warp to the embedder's 192 pixels.",
    "prepare crops": "One shrinking for network, colours and local features: each crop is averaged three times today.",
    "embedding network": "Int8 for the embedder, or a smaller student: its narrow 1 x 1 layers leave the matrix units "
    "half empty.",
    "search": "Rows of bfloat16 put into the order of the matrix units once (twice the memory); or hnsw, from some "
    "500,000 vectors on.",
    "rank and second look": "All pairs of a photo's second looks as one product of descriptors.",
    "report": "Outlines simplified to a pixel of the working size before they become JSON.",
}


@dataclass(frozen=True)
class Stage:
    """One stage of a scan: its time and its floor in seconds, and what the floor is made of."""

    name: str
    seconds: float
    floor: float
    made_of: str


@dataclass(frozen=True)
class Profile:
    """The stages of one scan, as a table for people beside."""

    section: Section
    stages: Sequence[Stage]


def profile_scan(
    work: Path, *, labels: int = 25_000, references: int = 4, packs: int = 40, megapixels: float = 12.0, rounds: int = 5
) -> Profile:
    """Time each stage of the scan of a made-up photo, and the whole; its energy where the machine tells it."""
    jpeg = made_photo(packs, megapixels).jpeg()
    store = store_in(work, labels, references)
    with Matcher.open(store) as matcher:
        works, work_done = _stages(matcher, jpeg)

        def whole() -> str:
            return matcher.scan(jpeg).to_json()

        taken = in_turns({**works, "whole scan": whole}, rounds)
        energy = joules(lambda: [whole() for _ in range(rounds)])
    stages = [Stage(name, taken[name], *work_done[name]) for name in works]
    rates = ", ".join(f"{rate:.0f} GFLOP/s {name}" for name, rate in floors.matrix_rates().items())
    notes = [
        f"Measured rates: {rates}, {floors.bandwidth():.1f} GB/s copied. In the place of the peer stands the floor, "
        "and the ratio is how many times as long a stage takes.",
        energy_words(energy, rounds),
        beside_words(taken.beside),
    ]
    title = f"Scan of {megapixels:g} MP with {packs} packs, {labels:,} labels x {references} references"
    data = {
        "whole_s": taken["whole scan"], "spread": taken.spread, "stages": [vars(one) for one in stages],
        "joules": None if energy is None else energy / rounds, "beside": taken.beside,
    }  # fmt: skip
    return Profile(Section(title, _rows(stages, taken["whole scan"]), notes, data), stages)


def _rows(stages: Sequence[Stage], whole: float) -> list[Reading]:
    """A line each, the sum, and the whole beside the sum of the floors."""

    def row(name: str, seconds: float, floor: float, made_of: str = "") -> Reading:
        ratio = seconds / floor if floor > 0 else None
        return Reading(name, milliseconds(seconds), milliseconds(floor), ratio, made_of)

    own = _own(stages)
    parts, least = sum(one.seconds for one in own), sum(one.floor for one in own)
    return [
        *(row(one.name, one.seconds, one.floor, one.made_of) for one in stages),
        row("sum of the stages", parts, least, "the search counted once"),
        row("whole scan, JPEG in, JSON out", whole, least, "the sum of theirs"),
    ]


def _own(stages: Sequence[Stage]) -> list[Stage]:
    """The stages without the search, which the ranking does again."""
    return [one for one in stages if one.name != "search"]


Works = Mapping[str, Callable[[], Any]]


def _stages(matcher: Matcher, jpeg: bytes) -> tuple[Works, dict[str, tuple[float, str]]]:
    """Every stage of a scan as a call of its own on what the stage before gave, and its floor."""
    segmenter, embedder = matcher.segmenter, matcher.embedder
    assert isinstance(embedder, NetworkEmbedder)
    photo = load_photo(jpeg)
    height, width = photo.shape[:2]
    small_height, small_width = working_size(height, width, segmenter.config.side)
    small = pad_to(resized(photo, small_width, small_height), segmenter.config.stride)
    entry = segmenter.normalise(small)[None]
    maps = segmenter.maps(photo)
    labels, confidence = group(maps, segmenter.thresholds, segmenter.wholeness)
    instances = segmenter.enlarge(maps, labels, confidence, width, height)
    seen = outline(photo, instances, "photo")
    crops, masks = [crop for crop, _ in seen.views], [mask for _, mask in seen.views]
    prepared = embedder.prepare(crops, masks)
    vectors = embedder.embed(crops, masks)
    state = matcher._gallery.current()
    queries = state.ranker.project(vectors)
    for _ in range(0, PAYS_FROM + 1, max(len(queries), 1)):  # as in a process that goes on
        state.index.search(queries, 80)
    found = matcher.match(crops, masks=masks)
    works = {
        "decode": lambda: load_photo(jpeg),
        "shrink and normalise": lambda: segmenter.normalise(
            pad_to(resized(photo, small_width, small_height), segmenter.config.stride)
        ),
        "segmentation network": lambda: segmenter._network(entry),
        "group": lambda: group(maps, segmenter.thresholds, segmenter.wholeness),
        "enlarge": lambda: segmenter.enlarge(maps, labels, confidence, width, height),
        "cut and outline": lambda: outline(photo, instances, "photo"),
        "prepare crops": lambda: embedder.prepare(crops, masks),
        "embedding network": lambda: embedder.network(*prepared),
        "search": lambda: state.index.search(queries, 80),
        "rank and second look": lambda: matcher._gallery.rank(vectors, seen.views, 5),
        "report": lambda: report_of(seen, found, matcher.versions()).to_json(),
    }
    sizes = {
        "photo": photo.nbytes, "small": entry.nbytes,
        "masks": width * height + sum(mask.nbytes for mask in instances.masks),
        "crops": sum(crop.nbytes for crop in crops), "squeezed": prepared[0].nbytes + prepared[1].nbytes,
        "vectors": len(state.index) * embedder.dim * 4,
    }  # fmt: skip
    search_flop = 2 * len(queries) * len(state.index) * embedder.dim / 1e9
    return works, _floors(sizes, _network_flop(matcher, entry, prepared), search_flop)


def _network_flop(matcher: Matcher, entry: np.ndarray, prepared: Sequence[np.ndarray]) -> tuple[float, float]:
    """GFLOP of the segmentation network for its entry, and of the embedder's for all crops."""
    import torch

    assert isinstance(matcher.embedder, NetworkEmbedder)
    of_photo = floors.gflop(matcher.segmenter.net, torch.from_numpy(entry))
    one = [torch.from_numpy(part[:1]) for part in prepared]
    return of_photo, floors.gflop(matcher.embedder.module, *one) * len(prepared[0])


def _floors(sizes: Mapping[str, int], networks: tuple[float, float], search: float) -> dict[str, tuple[float, str]]:
    """Seconds that the machine's rates allow: multiplications at the best measured rate, bytes at the bandwidth."""
    rates, band = floors.matrix_rates(), floors.bandwidth() * 1e9
    quick, exact = max(rates.values()), rates["f32"]

    def moved(*names: str) -> tuple[float, str]:
        size = sum(sizes[name] for name in names)
        return size / band, f"{size / 2**20:.0f} MB moved"

    def multiplied(work: float, rate: float) -> tuple[float, str]:
        return work / rate, f"{work:.1f} GFLOP"

    return {
        "decode": moved("photo"),
        "shrink and normalise": moved("photo", "small"),
        "segmentation network": multiplied(networks[0], quick),
        "group": moved("small"),
        "enlarge": moved("masks"),
        "cut and outline": moved("masks", "crops"),
        "prepare crops": moved("crops", "squeezed"),
        "embedding network": multiplied(networks[1], quick),
        "search": max(moved("vectors"), multiplied(search, exact)),
        "rank and second look": (max(moved("vectors"), multiplied(search, exact))[0], "the search is in it"),
        "report": (0.0, "text"),
    }


def next_steps(stages: Sequence[Stage]) -> list[str]:
    """The three stages furthest from their floors, and what would help each."""
    worst = sorted(_own(stages), key=lambda one: one.floor - one.seconds)[:3]
    return [f"**{one.name}** ({milliseconds(one.seconds - one.floor)} above its floor): {_IDEAS[one.name]}"
            for one in worst]  # fmt: skip


def document(profiles: Sequence[Profile]) -> str:
    """The profiles as Markdown, with the machine that they were measured on."""
    lines = [
        "# Where the time goes",
        "",
        "Written by `retail-seg benchmark profile --write docs/performance.md`; run it again on your machine.",
        "",
        f"Machine: {machine_line(machine())}.",
        "",
        "A floor is what the measured rates of this machine allow for the work in a stage: multiplications at the best "
        "matrix rate, everything else at the rate at which memory is copied. Entropy decoding, watershed and outlines "
        "are neither; they cannot reach their floors.",
        "",
    ]
    for one in profiles:
        lines += _chapter(one)
    return "\n".join(lines)


def _chapter(profile: Profile) -> list[str]:
    section = profile.section
    return [
        f"## {section.title}",
        "",
        "| stage | time | floor | times the floor | the floor is |",
        "| --- | ---: | ---: | ---: | --- |",
        *(
            f"| {row.name} | {row.ours} | {row.peer} | {'' if row.ratio is None else f'{row.ratio:.1f}'} | {row.goal} |"
            for row in section.rows
        ),
        "",
        *section.notes,
        "",
        "What would help next:",
        "",
        *(f"{number}. {text}" for number, text in enumerate(next_steps(profile.stages), 1)),
        "",
    ]

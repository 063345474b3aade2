"""The command group `benchmark`: a table for people, one JSON line for programs, and the machine they hold for."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from retail_seg.cli.common import say, write_json_line

if TYPE_CHECKING:
    from retail_seg.bench.benchmark.measure import Section

labels_option = click.option("--labels", default=25_000, show_default=True, type=click.IntRange(40), help="Products.")
references_option = click.option(
    "--references", default=4, show_default=True, type=click.IntRange(1), help="References of each product."
)
photos_option = click.option(
    "--photos", type=click.Path(path_type=Path, file_okay=False), help="Folder of own photos in the place of rendered."
)
work_option = click.option(
    "--work", type=click.Path(path_type=Path, file_okay=False), help="Where stores are made, and found again next time."
)
minutes_option = click.option(
    "--minutes", default=8.0, show_default=True, type=click.FloatRange(0.05, 1440), help="Training of each."
)
count_option = click.option(
    "--count", default=1000, show_default=True, type=click.IntRange(1), help="Scans of the long run."
)

vectors_option = click.option(
    "--vectors", type=click.Path(path_type=Path), help="Real vectors to make references of: a file of `embed`."
)


@contextmanager
def _folder(work: Path | None) -> Iterator[Path]:
    """The folder given, or one that is gone afterwards."""
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
        yield work
        return
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def _tell(sections: Sequence[tuple[str, Section]]) -> None:
    """The machine and one JSON line of all that was measured; the tables were shown as they came."""
    from retail_seg.bench.benchmark.measure import machine, machine_line

    about = machine()
    say(machine_line(about))
    run = {"machine": about, **{name: section.to_dict() for name, section in sections}}
    against = click.get_current_context().find_object(dict)
    if against is not None:
        from retail_seg.bench.benchmark.against import compared

        run["against"] = _shown(compared(against, run)).to_dict()
    write_json_line(sys.stdout, run)


def _shown(section: Section) -> Section:
    say(section.table() + "\n")
    return section


@click.group(invoke_without_command=True)
@photos_option
@work_option
@minutes_option
@count_option
@click.option(
    "--against", type=click.Path(path_type=Path, dir_okay=False), help="JSON of an earlier run: say what got slower."
)
@click.pass_context
def benchmark(
    context: click.Context, photos: Path | None, work: Path | None, minutes: float, count: int, against: Path | None
) -> None:
    """Measure time and memory beside a peer in the same run.

    Without a stage: all of them but `profile` and `growth`, which write files. Nothing else should run meanwhile.
    """
    if against is not None:
        from retail_seg.bench.benchmark.against import read_run

        context.obj = read_run(against)
    if context.invoked_subcommand is not None:
        return
    from retail_seg.bench.benchmark.embedding import benchmark_embedding
    from retail_seg.bench.benchmark.many import benchmark_many
    from retail_seg.bench.benchmark.search import search_section
    from retail_seg.bench.benchmark.segmenting import benchmark_segmentation
    from retail_seg.bench.benchmark.starting import benchmark_start
    from retail_seg.bench.benchmark.training import benchmark_training
    from retail_seg.bench.benchmark.whole_scan import benchmark_scan

    with _folder(work) as made:
        stages = {
            "embed": benchmark_embedding,
            "segment": lambda: benchmark_segmentation(photos),
            "search": lambda: search_section(made),
            "scan": lambda: benchmark_scan(made, folder=photos),
            "many": lambda: benchmark_many(made, count=count, folder=photos),
            "start": lambda: benchmark_start(made),
            "train": lambda: benchmark_training(made, minutes=minutes),
        }
        _tell([(name, _shown(stage())) for name, stage in stages.items()])


@benchmark.command()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="Turns of which the median is.")
def embed(rounds: int) -> None:
    """Embed 32 crops: VGG-16 compiled and eager, and retail-vgg."""
    from retail_seg.bench.benchmark.embedding import benchmark_embedding

    _tell([("embed", _shown(benchmark_embedding(rounds)))])


@benchmark.command()
@photos_option
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="Turns of which the median is.")
def segment(photos: Path | None, rounds: int) -> None:
    """Segment a photo of 1280 x 960, beside smp.Unet and Mask R-CNN."""
    from retail_seg.bench.benchmark.segmenting import benchmark_segmentation

    _tell([("segment", _shown(benchmark_segmentation(photos, rounds)))])


@benchmark.command()
@labels_option
@references_option
@click.option("--packs", default=40, show_default=True, type=click.IntRange(1, 200), help="Packs in the photo.")
@click.option("--megapixels", default=12.0, show_default=True, type=click.FloatRange(0.3, 99), help="Of the photo.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="Turns of which the median is.")
@photos_option
@work_option
def scan(
    labels: int, references: int, packs: int, megapixels: float, rounds: int, photos: Path | None, work: Path | None
) -> None:
    """Scan a whole photo, JPEG to JSON, beside everybody's parts."""
    from retail_seg.bench.benchmark.whole_scan import benchmark_scan

    with _folder(work) as made:
        found = benchmark_scan(
            made, labels=labels, references=references, packs=packs, megapixels=megapixels, folder=photos, rounds=rounds
        )
    _tell([("scan", _shown(found))])


@benchmark.command()
@labels_option
@references_option
@count_option
@click.option("--packs", default=12, show_default=True, type=click.IntRange(1, 200), help="Packs in a photo.")
@click.option("--megapixels", default=2.0, show_default=True, type=click.FloatRange(0.3, 99), help="Of a photo.")
@click.option("--workers", type=click.IntRange(1, 64), help="Photos taken apart at once; one a core without it.")
@photos_option
@work_option
def many(
    labels: int, references: int, count: int, packs: int, megapixels: float, workers: int | None,
    photos: Path | None, work: Path | None,
) -> None:  # fmt: skip
    """Scan many photos: time beside the stages' floors, and memory."""
    from retail_seg.bench.benchmark.many import benchmark_many

    with _folder(work) as made:
        found = benchmark_many(
            made, count=count, labels=labels, references=references, packs=packs, megapixels=megapixels,
            workers=workers, folder=photos,
        )  # fmt: skip
    _tell([("many", _shown(found))])


@benchmark.command()
@labels_option
@references_option
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="Turns of which the median is.")
@work_option
def start(labels: int, references: int, rounds: int, work: Path | None) -> None:
    """Start new processes: `--help`, and the first answer of `match` and of `scan`."""
    from retail_seg.bench.benchmark.starting import benchmark_start

    with _folder(work) as made:
        _tell([("start", _shown(benchmark_start(made, labels=labels, references=references, rounds=rounds)))])


@benchmark.command()
@minutes_option
@click.option("--photos", default=20, show_default=True, type=click.IntRange(3), help="Rendered photos to learn from.")
@click.option("--tests", default=12, show_default=True, type=click.IntRange(1), help="Rendered photos kept back.")
@work_option
def train(minutes: float, photos: int, tests: int, work: Path | None) -> None:
    """Train on a few photos, beside smp.Unet given the same time."""
    from retail_seg.bench.benchmark.training import benchmark_training

    with _folder(work) as made:
        _tell([("train", _shown(benchmark_training(made, minutes=minutes, photos=photos, tests=tests)))])


@benchmark.command()
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Where growth.md and its PNGs go."
)
@click.option("--max-labels", default=100_000, show_default=True, type=click.IntRange(2_000), help="Largest store.")
@click.option(
    "--most", default=1_000_000, show_default=True, type=click.IntRange(30_000),
    help="Labels behind the largest approximate index; 5,000,000 take 13 GB of --work.",
)  # fmt: skip
@vectors_option
@click.option("--again", is_flag=True, help="Measure anew what --work keeps of an earlier run.")
@work_option
def growth(out: Path, max_labels: int, most: int, vectors: Path | None, again: bool, work: Path | None) -> None:
    """Plot time and memory against labels, instances and photo size."""
    from retail_seg.bench.benchmark.growth import LABELS, MANY, Sizes, benchmark_growth

    labels, many = ([*(n for n in amounts if n < end), end] for amounts, end in ((LABELS, max_labels), (MANY, most)))
    with _folder(work) as made:
        sizes = Sizes(labels=labels, many=many)
        found = benchmark_growth(out, made, sizes, vectors=vectors, again=again, tell=say)
    _tell([("growth", _shown(found))])


@benchmark.command()
@labels_option
@references_option
@click.option(
    "--packs", multiple=True, default=(40, 150), show_default=True, type=click.IntRange(1, 200),
    help="Packs in the photo; given twice, two photos.",
)  # fmt: skip
@click.option("--write", type=click.Path(path_type=Path, dir_okay=False), help="Write it as Markdown here.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="Turns of which the median is.")
@work_option
def profile(
    labels: int, references: int, packs: tuple[int, ...], write: Path | None, rounds: int, work: Path | None
) -> None:
    """Say where the time of a scan goes, stage by stage, and what would help."""
    from retail_seg.bench.benchmark.profile import document, next_steps, profile_scan
    from retail_seg.system.files import replace_file

    found = {}
    with _folder(work) as made:
        for count in packs:
            found[count] = profile_scan(made, labels=labels, references=references, packs=count, rounds=rounds)
            _shown(found[count].section)
            for number, text in enumerate(next_steps(found[count].stages), 1):
                say(f"  {number}. {text}")
    if write is not None:
        replace_file(write, document(list(found.values())).encode())
    _tell([(f"profile of {count}", one.section) for count, one in found.items()])


@benchmark.command()
@click.option("--checks", default=240, show_default=True, type=click.IntRange(8), help="Made fixtures.")
@click.option("--drawn", default=0, show_default=True, type=click.IntRange(0), help="Drawn and embedded besides; slow.")
@click.option("--seed", default=0, show_default=True, help="Of what is made.")
@click.option("--noise", default=1.0, show_default=True, type=click.FloatRange(0, 4), help="Times a fair embedder's.")
@work_option
def check(checks: int, drawn: int, seed: int, noise: float, work: Path | None) -> None:
    """Check made fixtures whose faults are known: each status, false alarms."""
    from retail_seg.bench.shelf_check.bench import benchmark_aligned, benchmark_drawn

    sections = [("check", _shown(benchmark_aligned(checks, seed, noise)))]
    if drawn:
        with _folder(work) as made:
            sections.append(("check_drawn", _shown(benchmark_drawn(made, drawn, seed))))
    _tell(sections)


@benchmark.command()
@click.option("--write", type=click.Path(path_type=Path, dir_okay=False), help="Write it as Markdown here.")
@click.option(
    "--most", default=1_000_000, show_default=True, type=click.IntRange(2_000), help="References of the largest index."
)
@vectors_option
@click.option("--price", default=0.04, show_default=True, type=click.FloatRange(0), help="Of an hour of a core.")
@click.option("--build", is_flag=True, help="Only build the indexes in --work: a later run asks them and times that.")
@click.option("--milvus", default="", metavar="URI", help="Fill and ask a server of Milvus, too.")
@photos_option
@work_option
def scale(
    write: Path | None, most: int, vectors: Path | None, price: float, build: bool, milvus: str, photos: Path | None,
    work: Path | None,
) -> None:  # fmt: skip
    """Say what a chain of 10,000 shops needs: cost, a day's peaks, lines and disks, which index when."""
    from retail_seg.bench.scale.charts import draw_growth
    from retail_seg.bench.scale.paper import SIZES, document, section
    from retail_seg.bench.scale.run import benchmark_scale, build_scale
    from retail_seg.system.files import replace_file

    counts = sorted({min(20_000, most), *(size for size in SIZES if size < most), most})
    if build and work is None:
        raise click.UsageError("--build keeps indexes for a later run: say with --work where.")
    with _folder(work) as made:
        if build:
            build_scale(made, counts=counts, vectors=vectors, milvus=milvus, tell=say)
            return
        found = benchmark_scale(
            made, counts=counts, folder=photos, vectors=vectors, price=price, milvus=milvus, tell=say
        )
    if write is not None:
        replace_file(write, document(found).encode())
        draw_growth(write.parent, found.indexes)
    _tell([("scale", _shown(section(found)))])


@benchmark.command()
@click.option("--labels", default=25_000, show_default=True, type=click.IntRange(1), help="Products.")
@click.option("--references", default=4, show_default=True, type=click.IntRange(1), help="References of each product.")
@click.option("--dim", type=click.IntRange(2), help="Dimensions; those of retail-vgg without it.")
@click.option("--index", "kind", default="flat", show_default=True, type=click.Choice(["flat", "hnsw", "ivf-sq8"]))
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Where the file is made.")
def index(labels: int, references: int, dim: int | None, kind: str, folder: Path | None) -> None:
    """Build, save, open, ask and change an index of made-up vectors, beside a bare FAISS flat index."""
    from index import open_embedder
    from retail_seg.bench.benchmark.search import benchmark_index

    dim = dim or open_embedder("retail-vgg").dim
    with tempfile.TemporaryDirectory(dir=folder) as made:
        result = benchmark_index(Path(made), labels=labels, references=references, dim=dim, kind=kind)
    say(result.table())
    write_json_line(sys.stdout, result.to_dict())

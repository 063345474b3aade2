"""All methods of a comparison, each in its own process; finished ones are not done again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from retail_seg.bench.comparison.job import LOG, Comparison, ComparisonError, ComparisonJob, PhotoSet, Result, ranked
from retail_seg.bench.comparison.methods import all_methods, spread
from retail_seg.errors import RetailSegError
from retail_seg.segmentation.annotations import AnnotatedPhoto
from retail_seg.segmentation.training.manifest import TEST, manifest_of, split
from retail_seg.system.processes import command, lines_of, start

#: Share of the photos that is held out for the test where nothing else is said, and the set's name.
TEST_SHARE, HELD_OUT = 0.4, "held out"
#: The name of the set that is learned from.
TRAINED = "train"
#: Fewest photos that training takes, see `training.MIN_PHOTOS` (its import is heavy).
MIN_PHOTOS = 3
#: Photos of each test set of which every method's pictures are kept.
SHOWN = 3

#: Called with the method's name, how much is done of what it is doing (0 to 1), and what that is.
Show = Callable[[str, float, str], None]
#: Does methods of a job; gives the name of each that has ended with its result, or the sentence that says why not.
DoMethods = Callable[[ComparisonJob, Sequence[str], Show], Iterable[tuple[str, Result | str]]]


def held_out(annotated: Sequence[AnnotatedPhoto], annotations: Path, seed: int) -> list[AnnotatedPhoto]:
    """The photos that no method learns from, drawn by the seed: TEST_SHARE of them.

    Raises ComparisonError where too few would be left to learn from.
    """
    manifest = split(manifest_of(annotated, annotations), test_share=TEST_SHARE, seed=seed)
    tests = set(manifest.photos(TEST))
    if len(annotated) - len(tests) < MIN_PHOTOS:
        raise ComparisonError(
            f"{len(annotated)} annotated photos are too few to learn from some and test on others; annotate at least "
            f"{MIN_PHOTOS + 2}, or give test photos with --test"
        )
    return [one for one in annotated if one.path.absolute() in tests]


def job_of(
    folder: Path,
    train: Sequence[AnnotatedPhoto],
    tests: Sequence[tuple[str, Sequence[AnnotatedPhoto]]],
    *,
    minutes: float,
    seed: int = 0,
    steps: int | None = None,
    most: int | None = None,
    sources: Mapping[str, Path] | None = None,
) -> ComparisonJob:
    """The comparison of these photos, ready to be run in `folder`; `most` limits the photos of each test set.

    `sources` names the file or folder that annotates each set (TRAINED the photos learned from), for its manifest.
    Raises ComparisonError for a folder that holds something else, or where a test photo is also learned from.
    """
    check_folder(folder)
    data = folder / "data"
    sources = sources or {}
    learned = PhotoSet.kept(TRAINED, train, data / "train", sources.get(TRAINED))
    chosen = [(name, [some[i] for i in spread(len(some), most or len(some))]) for name, some in tests]
    sets = [
        PhotoSet.kept(name, some, data / f"test-{i}", sources.get(name)) for i, (name, some) in enumerate(chosen, 1)
    ]
    for one in sets:
        both = [p.name for p, h in zip(one.photos, one.hashes, strict=True) if h in learned.hashes]
        if both:
            raise ComparisonError(f"{both[0]}: is to be learned from and tested on; take it out of {one.name}")
    shown = [(one.name, one.photos[i].stem) for one in sets for i in spread(len(one.photos), SHOWN)]
    job = ComparisonJob(folder.absolute(), learned, tuple(sets), minutes, seed, steps, tuple(shown))
    job.write()
    return job


def check_folder(folder: Path) -> None:
    """Raises ComparisonError where `folder` is a file, or holds something that is not a comparison's."""
    if folder.is_file():
        raise ComparisonError(f"{folder}: is a file; give a folder for the report")
    if folder.is_dir() and not (folder / "job.json").is_file() and any(folder.iterdir()):
        raise ComparisonError(f"{folder}: holds other files; give a new or empty folder for the report")


def chosen_methods(names: Sequence[str]) -> list[str]:
    """Names in the bench's order; all of them for none. Raises ComparisonError for an unknown one."""
    known = all_methods()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ComparisonError(f"{unknown[0]}: no such method; one of {', '.join(known)}")
    return [name for name in known if not names or name in names]


def run_all(
    job: ComparisonJob,
    methods: Sequence[str],
    show: Show,
    finished: Callable[[Result, bool], None] = lambda result, again: None,
    failed: Callable[[str, str], None] = lambda method, sentence: None,
    do: DoMethods | None = None,
) -> Comparison:
    """Run what is not finished yet and rank all. `finished` gets each result, and whether it was there before.

    `do` does the methods, in the place of one after the other on this machine.

    A method that cannot be done is one sentence for `failed`, and the others go on. KeyboardInterrupt ends the method
    under way, which lays down what it has; the same call goes on there.
    """
    results: list[Result] = []
    left_out: dict[str, str] = {}

    def ended(name: str, found: Result | str, before: bool) -> None:
        if isinstance(found, str):
            left_out[name] = found
            failed(name, found)
        else:
            results.append(found)
            finished(found, before)

    known = all_methods()
    for last in (False, True):  # what begins with the others' models looks for them when these have ended
        there = {name: known[name].result(job) for name in methods if known[name].last == last}
        for name, before in there.items():
            if before is not None:
                ended(name, before, True)
        todo = [name for name, before in there.items() if before is None]
        for name, found in (do or one_by_one)(job, todo, show):
            ended(name, found, False)
    return Comparison(job, ranked(results), left_out)


def one_by_one(job: ComparisonJob, methods: Sequence[str], show: Show) -> Iterator[tuple[str, Result | str]]:
    """Methods done one after the other on this machine, so that each has all of it."""
    for name in methods:
        try:
            yield name, run_apart(job, name, show)
        except RetailSegError as error:
            yield name, str(error)


def run_apart(job: ComparisonJob, name: str, show: Show) -> Result:
    """One method in a process of its own. Raises ComparisonError with one sentence where it does not come to an end."""
    folder = job.method_folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    said = ""
    words = command("retail_seg.bench.comparison.worker", str(job.folder / "job.json"), name)
    with (folder / LOG).open("w", encoding="utf-8") as log, lines_of(process := start(words, log)) as lines:
        for values in lines:
            said = values.get("error", said)
            if "share" in values:
                show(name, values["share"], values["text"])
    result = all_methods()[name].result(job) if process.returncode == 0 else None
    if result is None:
        raise ComparisonError(said or _why(process.returncode, folder / LOG))
    return result


def _why(code: int, log: Path) -> str:
    if code < 0:
        return f"was ended by signal {-code} (9: probably for want of memory); see {log}"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"failed ({lines[-1] if lines else f'exit code {code}'}); see {log}"

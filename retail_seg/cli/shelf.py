"""The commands `plan` and `check`: what should stand on a fixture, and what photos show of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retail_seg.cli.common import (
    boxes_option,
    expand,
    json_option,
    model_option,
    only_option,
    output,
    progress,
    say,
    segmenter_of,
    side_option,
    store_option,
    write_json_line,
)
from retail_seg.cli.rows import by_option, list_rows

if TYPE_CHECKING:
    from catalogue.plan_records import Position
    from catalogue.plans import KeptPlan
    from catalogue.shelf_history import ShelfChange
    from retail_seg.shelf.checking import CheckOutcome
    from retail_seg.shelf.results import CheckResult
    from retail_seg.shelf.straightening import FixtureCorners

version_option = click.option("--version", type=click.IntRange(1), help="An older version; the newest without it.")


@click.group()
def plan() -> None:
    """Keep plans of fixtures: what should stand where, or what must be seen."""


@plan.command("import")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@store_option
@click.option("--name", default="", help="Name of the plan.  [default: the file's]")
@click.option("--scan", type=int, help="In a file's place: number of a kept scan of the full shelf.")
@click.option("--fixture", default="", help="With --scan: name of the fixture.  [default: the plan's]")
@click.option("--from", "starts", default="", metavar="DAY", help="First day in force, as 2026-03-31.")
@click.option("--until", "ends", default="", metavar="DAY", help="Last day in force.")
@by_option
def import_(
    file: Path | None, store: Path, name: str, scan: int | None, fixture: str, starts: str, ends: str, by: str
) -> int:
    """Keep the plan in FILE as the next version under its name.

    FILE is a planogram (CSV: fixture,shelf,position,sku,facings,min_facings, optionally x,y,width in mm; shelf 1 is
    the top, position 1 the left), a list of what must be seen (CSV: sku,min_facings), or Azure's planogram as JSON.
    Bad lines are said one by one, the rest goes on.
    """
    from retail_seg.matcher import Matcher
    from retail_seg.shelf import planning

    if (file is None) == (scan is None):
        raise click.UsageError("give a FILE, or the number of a kept scan with --scan")
    with Matcher.open(store) as matcher:
        if file is None:
            assert scan is not None
            made, version, notes = planning.plan_from_scan(matcher, scan, name or f"scan-{scan}", fixture, by=by)
            problems: tuple[str, ...] = ()
        else:
            found, version = planning.import_plan(matcher, file, name, starts=starts, ends=ends, by=by)
            made, notes, problems = found.plan, found.notes, found.problems
    _say_all(problems, notes)
    facings = sum(one.facings for one in made.positions)
    say(f"Plan {made.name}, version {version}: {len(made.positions)} positions, {facings} facings of "
        f"{len(made.skus)} products on {', '.join(made.fixtures)}")  # fmt: skip
    return int(bool(problems))


@plan.command("list")
@store_option
@json_option
def list_(store: Path, json_file: Path | None) -> None:
    """List the plans that are kept, the newest version of each."""
    from retail_seg.matcher import Matcher
    from retail_seg.shelf import planning

    with Matcher.open(store) as matcher:
        count = sum(1 for _ in list_rows(planning.list_plans(matcher), json_file, to_dict=asdict, text=_plan_text))
    say(f"{count} plans")


@plan.command()
@click.argument("name")
@store_option
@version_option
@json_option
def show(name: str, store: Path, version: int | None, json_file: Path | None) -> None:
    """Show the positions of the plan NAME, in reading order."""
    from retail_seg.matcher import Matcher
    from retail_seg.shelf import planning

    with Matcher.open(store) as matcher:
        kept, found = planning.load_plan(matcher, name, version)
        for _ in list_rows(found.positions, json_file, to_dict=asdict, text=_position_text):
            pass
    say(next(_plan_text(kept)))


@plan.command()
@click.argument("name")
@store_option
@version_option
@click.option("--format", "form", default="csv", show_default=True, type=click.Choice(["csv", "azure"]))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write here, not to stdout.")
def export(name: str, store: Path, version: int | None, form: str, out: Path | None) -> None:
    """Write the plan NAME as a file that imports again: CSV, or Azure's planogram as JSON."""
    from retail_seg.matcher import Matcher
    from retail_seg.shelf import planning

    with Matcher.open(store) as matcher:
        text = planning.export_plan(matcher, name, form, version)
    with output(out) as file:
        file.write(text)


@plan.command()
@click.argument("name")
@store_option
@by_option
def remove(name: str, store: Path, by: str) -> None:
    """Take the plan NAME out with all its versions; `plan undo` brings it back."""
    from retail_seg.matcher import Matcher
    from retail_seg.shelf import planning

    with Matcher.open(store) as matcher:
        number = planning.remove_plan(matcher, name, by=by)
    say(f"Plan {name} is taken out; `retail-seg plan undo {number}` brings it back")


@plan.command()
@store_option
@click.option("--last", default=50, show_default=True, type=click.IntRange(1), help="How many changes to show.")
@json_option
def log(store: Path, last: int, json_file: Path | None) -> None:
    """Show who changed which plan, check or task, the latest change first."""
    from retail_seg.matcher import Matcher
    from retail_seg.shelf import planning

    with Matcher.open(store) as matcher:
        for _ in list_rows(planning.changes(matcher, limit=last), json_file, to_dict=asdict, text=_change_text):
            pass


@plan.command()
@click.argument("number", type=int)
@store_option
@by_option
def undo(number: int, store: Path, by: str) -> None:
    """Take back the change NUMBER of `plan log`."""
    from retail_seg.matcher import Matcher
    from retail_seg.shelf import planning

    with Matcher.open(store) as matcher:
        change = planning.undo(matcher, number, by=by)
    say(f"Change {number} ({change.action}, {change.subject}) is taken back")


@click.command()
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--plan", "wanted", default="", metavar="NAME|FILE", help="A kept plan, or a file of one.")
@store_option
@model_option
@json_option
@click.option("--csv", "csv_file", type=click.Path(path_type=Path, dir_okay=False), help="Write a row per place here.")
@click.option("--overlay", type=click.Path(path_type=Path, file_okay=False), help="Write photos with the places here.")
@click.option(
    "--stock",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV or JSON (sku, on_hand, backroom, due, listed, sold_since, price, rate, hours): findings get their likely "
    "cause, what to do and what they cost; may be given several times.",
)
@click.option(
    "--corners",
    multiple=True,
    metavar="X,Y,…",
    help="Corners of the fixture in a photo taken from the side, in pixels: upper left, upper right, lower right, "
    "lower left. The first of several is of the first photo, and so on; - for one that is straight.",
)
@click.option(
    "--labels",
    is_flag=True,
    help="Find and read price labels, too: labels above which nothing stands, products without one, and prices that "
    "are not those of --stock (sku, price). No plan is needed then.",
)
@click.option(
    "--keep", is_flag=True, help="Keep the check in the store: findings become tasks, what is mended is done."
)
@side_option
@boxes_option
@only_option
@by_option
def check(
    photos: tuple[Path, ...],
    wanted: str,
    store: Path,
    model: Path | None,
    json_file: Path | None,
    csv_file: Path | None,
    overlay: Path | None,
    side: int | None,
    boxes: Path | None,
    only: tuple[str, ...],
    stock: tuple[Path, ...],
    corners: tuple[str, ...],
    labels: bool,
    keep: bool,
    by: str,
) -> int:
    """Hold PHOTOS of one fixture (files, or folders of photos) against a plan: one JSON line.

    It says of each place of the plan whether it is ok, low, empty, misplaced, wrong, unknown or unseen, how sure that
    is and which instances stand there; and lists what calls for somebody (findings) and sums it up.
    """
    from retail_seg.matcher import Matcher
    from retail_seg.shelf import causes, checking, keeping, planning
    from retail_seg.shelf.results import write_checks_csv

    if not wanted and (keep or not labels):
        raise click.UsageError("name a plan with --plan" + (": only checks against one are kept" if keep else ""))
    known = causes.read_stock(stock)
    with Matcher.open(store, segmenter=segmenter_of(model, boxes)) as matcher, output(json_file) as out:
        found = planning.find_plan(matcher, wanted) if wanted else None
        problems = (*(found.problems if found else ()), *known.problems)
        _say_all(problems, found.notes if found else ())
        paths = expand(photos)
        done = checking.check(
            matcher, progress(paths, total=len(paths)), found.plan if found else None, labels=labels,
            stock=known.products, side=side, among=matcher.only(only), corners=_corners_of(paths, corners),
        )  # fmt: skip
        for error in done.failed:
            say(f"Error: {error}")
        kept: dict[str, Any] = {}
        if keep:
            saved = keeping.keep_check(matcher, done.result, by=by)
            kept = {"check": saved.id, "tasks_opened": list(saved.opened), "tasks_mended": list(saved.mended)}
        write_json_line(out, {**done.result.to_dict(), **kept})
    if csv_file:
        with output(csv_file) as file:
            write_checks_csv([done.result], file)
    if overlay:
        _write_overlays(overlay, done)
    _say_result(done.result)
    return int(bool(done.failed or problems))


def _corners_of(paths: Sequence[Path], given: tuple[str, ...]) -> dict[str, FixtureCorners]:
    """Corners by photo, in the order of both."""
    from retail_seg.shelf.straightening import FixtureCorners

    if len(given) > len(paths):
        raise click.UsageError(f"corners are given {len(given)} times for {len(paths)} photos; give them once for each")
    return {
        str(path): FixtureCorners.read(text) for path, text in zip(paths, given, strict=False) if text.strip() != "-"
    }


def _write_overlays(folder: Path, done: CheckOutcome) -> None:
    from retail_seg.photos.load import save_png
    from retail_seg.shelf.drawing import draw_check

    folder.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    for n, one in enumerate(done.scanned):
        stem, k = Path(one.report.image).stem, 2
        while stem in taken:
            stem, k = f"{Path(one.report.image).stem}-{k}", k + 1
        taken.add(stem)
        save_png(folder / f"{stem}.png", draw_check(one.seen.picture, done.result, n))


def _say_all(problems: tuple[str, ...], notes: tuple[str, ...]) -> None:
    for problem in problems:
        say(f"Error: {problem}")
    for note in notes:
        say(f"Note: {note}")


def _say_result(result: CheckResult) -> None:
    for note in result.notes:
        say(f"Note: {note}")
    for finding in result.findings:
        say(f"  {finding.probability:4.0%}  {finding.text}" + (f": {finding.action}" if finding.action else ""))
    if result.labels is not None:
        priced = sum(label.price is not None for label in result.labels)
        say(f"{len(result.labels)} price labels, the prices of {priced} read")
    if result.plan:
        told = ", ".join(f"{number} {status}" for status, number in result.statuses.items() if number)
        say(f"{result.plan}: {len(result.positions)} places: {told}")


def _plan_text(kept: KeptPlan) -> Iterator[str]:
    days = f", from {kept.starts or 'ever'} to {kept.ends or 'further notice'}" if kept.starts or kept.ends else ""
    yield (f"{kept.name}  version {kept.version} ({kept.kind} of {kept.source or 'a script'}, {kept.at[:10]} {kept.by})"
           f"{days}: {kept.positions} positions, {kept.facings} facings on {', '.join(kept.fixtures)}")  # fmt: skip


def _position_text(one: Position) -> Iterator[str]:
    yield f"{one.fixture:12} {one.shelf:3} {one.position:4}  {one.sku:24} {one.facings:3} (at least {one.min_facings})"


def _change_text(change: ShelfChange) -> Iterator[str]:
    undone = f" (taken back by {change.undone_by or 'somebody'})" if change.undone_at else ""
    yield f"{change.id:6} {change.at[:19]} {change.by or '-'}: {change.action}, {change.subject}{undone}"

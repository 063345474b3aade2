"""Whatever changes a store or costs it time asks for a role itself: all public calls are walked, as a viewer."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

import retail_seg.chain
import retail_seg.fleet
import retail_seg.people.tokens
import retail_seg.people.users
import retail_seg.products
import retail_seg.scans
import retail_seg.shelf
import retail_seg.store
import retail_seg.teaching
from retail_seg.matcher import Matcher
from retail_seg.people.roles import NotAllowed, Person, acting_as
from retail_seg.system.jobs import Job
from retail_seg.system.progress import CANCELLED
from retail_seg.teaching import Teaching
from retail_seg.teaching.editor import Editor
from retail_seg.teaching.trainings import Trainings
from retail_seg.web.shared import jobs as jobs_of_the_app

VIEWER, STAFF, OTHER, MANAGER = (
    Person("vera", "viewer"), Person("stan", "staff"), Person("olga", "staff"), Person("mara", "manager")
)  # fmt: skip

#: What a call is about when its first parameter is of one of these, or a folder with one of these names.
STORES = ("Matcher", "Catalogue", "Teaching", "Trainings")
FOLDERS = ("store", "store_folder")
PACKAGES = (
    retail_seg.chain, retail_seg.fleet, retail_seg.products, retail_seg.scans, retail_seg.shelf, retail_seg.store,
    retail_seg.teaching,
)  # fmt: skip
OBJECTS = (Matcher, Teaching, Trainings, Editor)

#: Looks only: nothing is written that anybody could miss, and a viewer's page may ask for it.
READS = {
    # an open store: opening and closing it, levelling its index, and answers about arrays that the caller holds
    "Matcher.open", "Matcher.close", "Matcher.refresh", "Matcher.versions", "Matcher.nearest", "Matcher.match",
    "Matcher.report", "Matcher.embedded", "Matcher.restate", "Matcher.only", "Matcher.learned",
    "opening.own_references", "among.among_of", "among.choice_again",
    # what answers are learned from, and the end of a switch that broke off: a store heals while it is read
    "asked.checked_facings", "asked.photographed", "active_model.settle",
    "opening.stored_embedder", "opening.embedder_source", "settings.overview", "policy.policy_of",
    "policy.measured_strangers", "active_model.model_in_use",
    "active_model.own_model", "active_model.previous_model", "active_model.stamp", "active_model.load_in_use",
    "following.followed_by", "following.followed_model", "switching.model_folder",
    "contributions.find", "contributions.open_contributions", "contributions.count_open", "publishing.published_at",
    "publishing.own_keys", "rotation.keys_of", "following.alone",
    "centre.centre_of", "centre.count_waiting", "centre.waiting",
    # products
    "browsing.is_empty", "browsing.find", "browsing.count", "browsing.count_references", "browsing.brands",
    "browsing.categories", "browsing.product", "browsing.existing", "browsing.entry", "browsing.picture",
    "browsing.count_products", "browsing.references", "browsing.names", "browsing.owner",
    "browsing.thumbnail", "browsing.last_changes", "barcodes.remark", "barcodes.gtins_on", "editing.rivals",
    "settings.stated_policy", "health.neighbours", "uploads.read",
    "health_report.last", "health_report.stamp", "health_report.changes_since", "health_report.holding",
    "health_report.as_of_now", "health_report.count_accepted",
    "from_shelves.count_unnamed", "from_shelves.open_groups", "from_shelves.later_groups", "from_shelves.small_crop",
    "from_shelves.where", "from_shelves.nearest_groups", "from_shelves.proposal", "from_shelves.typed_product",
    "from_shelves.new_product", "from_shelves.last_step", "discovery.proposed",
    "listed_names.count_names", "listed_names.count_unread", "listed_names.names_of_groups",
    "listed_names.names_of_store",
    # scans
    "corrections.find_products", "corrections.uploads", "corrections.parts_at", "corrections.words_on",
    "review.crop_of", "review.list_scans",
    "review.count_scans", "review.photo_file",
    "review.open_review", "review.open_reviews", "review.overlay_jpeg", "review.photo_of", "review.reference_picture",
    # plans, checks and tasks of shelves
    "planning.find_plan", "planning.known_skus", "planning.list_plans", "planning.load_plan", "planning.export_plan",
    "planning.list_fixtures", "planning.changes", "checking.check_reports",
    "checking.check_scanned", "labelled.with_labels", "second_look.looked_again", "keeping.list_checks",
    "keeping.checks_between", "keeping.load_check", "keeping.findings_of", "keeping.list_tasks", "keeping.load_task",
    "alerts.list_targets", "alerts.dead_letters", "figures.figures", "photographed.open_check",
    "photographed.count_checks", "photographed.overlay_jpeg", "photographed.plan_versions",
    "privacy.privacy", "privacy.count_photos",
    # the annotation set and its trainings
    "Editor.pick", "Teaching.can_redo", "Teaching.can_undo", "Teaching.labels",
    "Teaching.labels_path", "Teaching.numbers", "Teaching.path", "Teaching.photo", "Teaching.photos",
    "Teaching.picture", "Trainings.all", "Trainings.get", "Trainings.held_back", "Trainings.model", "Trainings.path",
    "Trainings.progress", "Trainings.running", "judging.kept_comparison", "judging.known_suggestions",
    "judging.overlay", "automatic.is_on", "automatic.corrected", "automatic.waiting",
    "scanning.made_by", "index_server.server_of", "index_server.kind_of", "index_server.refuse_too_many",
    "index_server.empty_index",
    # the door itself
    "users.check_password", "users.find_user", "users.has_logins", "users.read_users",
    "tokens.find_token", "tokens.last_uses", "tokens.read_tokens",
}  # fmt: skip


def calls() -> Iterator[tuple[str, Callable[..., Any]]]:
    for package in PACKAGES:
        for info in pkgutil.iter_modules(package.__path__):
            yield from functions(importlib.import_module(f"{package.__name__}.{info.name}"))
    yield from functions(retail_seg.people.users)
    yield from functions(retail_seg.people.tokens)
    for kind in OBJECTS:
        for name, member in vars(kind).items():
            if not name.startswith("_") and callable(getattr(kind, name)) and not isinstance(member, property):
                yield f"{kind.__name__}.{name}", method(kind, name, member)


def functions(module: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, found in vars(module).items():
        if name.startswith("_") or not inspect.isfunction(found) or found.__module__ != module.__name__:
            continue
        given = inspect.signature(found).parameters.values()
        if any(str(one.annotation).strip("'") in STORES or one.name in FOLDERS for one in given):
            yield f"{module.__name__.rsplit('.', 1)[-1]}.{name}", found


class Untouched:
    """Stands for an argument: it may be handed on, but whatever is asked of it comes before the role is asked."""

    def __getattr__(self, name: str) -> Untouched:
        if name.startswith("__"):
            raise AttributeError(name)
        return Untouched()

    def __call__(self, *values: Any, **named: Any) -> Any:
        raise AssertionError("something is done before the role is asked")


def method(kind: type, name: str, member: Any) -> Callable[..., Any]:
    """The method of an object that was never opened."""
    bare = type(kind.__name__, (kind,), {"__getattr__": lambda self, name: Untouched()})
    return getattr(kind if isinstance(member, classmethod) else bare.__new__(bare), name)


def stand_in(one: inspect.Parameter) -> Any:
    if one.annotation == "str":
        return "x"
    return Path("nowhere") if one.annotation in ("Path", "str | Path") else Untouched()


ALL = dict(calls())


def tried(found: Callable[..., Any]) -> Any:
    """What comes of a call with stand-ins for all that has to be given; a generator is asked for its first value, what
    holds for a block is entered."""
    values: list[Any] = []
    named: dict[str, Any] = {}
    for one in inspect.signature(found).parameters.values():
        if one.default is one.empty and one.kind is one.KEYWORD_ONLY:
            named[one.name] = stand_in(one)
        elif one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD:
            values.append(stand_in(one))
    answer = found(*values, **named)
    if isinstance(answer, AbstractContextManager):
        return answer.__enter__()
    return next(answer, None) if inspect.isgenerator(answer) else answer


@pytest.mark.parametrize("name", sorted(set(ALL) - READS))
def test_a_viewer_may_not(name: str) -> None:
    with acting_as(VIEWER), pytest.raises(NotAllowed):
        tried(ALL[name])


def test_the_list_of_what_only_looks_names_nothing_that_is_gone() -> None:
    assert set(ALL) >= READS


def waiting(job: Job) -> None:
    """Work that goes on until somebody ends it."""
    while True:
        threading.Event().wait(0.01)
        job.report(0.5)


@pytest.mark.parametrize(("who", "may"), [(STAFF, True), (MANAGER, True), (OTHER, False), (VIEWER, False)])
def test_a_job_is_cancelled_by_its_owner_or_a_manager(who: Person, may: bool) -> None:
    jobs = jobs_of_the_app.__wrapped__()
    with acting_as(STAFF):
        job = jobs.start("scan", "Scan", waiting)
    with acting_as(who):
        assert job.may_cancel == may
        if may:
            job.cancel()
            assert job.wait(30) and job.state == CANCELLED
        else:
            with pytest.raises(NotAllowed, match="manager"):
                job.cancel()
            assert job.running and not job.cancelling
    jobs.leave()
    assert job.state == CANCELLED


def test_a_training_is_cancelled_by_who_started_it_or_a_manager() -> None:
    trainings = MagicMock()
    trainings.get.return_value.by = "stan"
    with acting_as(OTHER), pytest.raises(NotAllowed, match="manager"):
        Trainings.cancel(trainings, "20260101-000000")
    with acting_as(STAFF):
        Trainings.cancel(trainings, "20260101-000000")

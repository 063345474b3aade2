"""Who may do what: roles, who is acting in threads and outside of any block, and that the joins refuse."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogue import Product
from catalogue.history import log
from retail_seg.matcher import Matcher
from retail_seg.people import roles
from retail_seg.people.roles import NotAllowed, Person, acting, acting_as, context_of_acting, require, sign
from retail_seg.rendering.assortment import articles, references
from retail_seg.system.jobs import Job, Jobs

VIEWER, STAFF, MANAGER = Person("vera", "viewer"), Person("stan", "staff"), Person("mara", "manager")


def test_roles_contain_one_another() -> None:
    may = {person.name: [role for role in roles.ROLES if person.may(role)] for person in (VIEWER, STAFF, MANAGER)}
    assert may == {"vera": ["viewer"], "stan": ["viewer", "staff"], "mara": ["viewer", "staff", "manager"]}


def test_a_role_that_is_none_is_refused() -> None:
    with pytest.raises(roles.AccountError, match="boss"):
        Person("x", "boss")


def test_scripts_run_as_the_local_manager_who_may_sign_with_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIL_SEG_USER", "lou")
    assert acting() == Person("lou", "manager", local=True)
    assert require("manager") == "lou" and sign("manager", "") == "lou" and sign("manager", "ben") == "ben"


def test_a_visitor_signs_with_their_own_name_only() -> None:
    with acting_as(STAFF):
        assert sign("staff", "somebody else") == "stan"
        with pytest.raises(NotAllowed, match="stan is staff, this needs the role manager"):
            require("manager")
    assert acting().local


@pytest.fixture
def rule() -> Iterator[None]:
    roles.otherwise(lambda: VIEWER)
    yield
    roles.otherwise(roles.local_person)


def test_the_rule_holds_where_nobody_was_named(rule: None) -> None:
    assert acting() == VIEWER
    with acting_as(MANAGER):
        assert acting() == MANAGER


def test_a_job_acts_for_whom_started_it(rule: None) -> None:
    def work(job: Job) -> str:
        return acting().name

    jobs = Jobs(context=context_of_acting)
    with acting_as(STAFF):
        named = jobs.start("test", "named", work)
    by_rule = jobs.start("test", "by rule", work)
    assert named.wait(10) and by_rule.wait(10)
    assert (named.result, by_rule.result) == ("stan", "vera")


@pytest.fixture(scope="module")
def matcher(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matcher]:
    store = shutil.copytree(demo_folder / "store", tmp_path_factory.mktemp("accounts") / "store")
    with Matcher.open(store) as found:
        yield found


def test_staff_change_no_products(matcher: Matcher) -> None:
    sku = matcher.catalogue.products(limit=1)[0].sku
    revision = matcher.revision
    changes = (
        lambda: matcher.enrol(Product("new"), []),
        lambda: matcher.enrol_all([(Product("new"), [])]),
        lambda: matcher.remove(sku),
        lambda: matcher.undo(1),
        lambda: matcher.undelete(sku),
        lambda: matcher.reindex(),
        lambda: Matcher.reindex_store(matcher.folder),
    )
    with acting_as(STAFF):
        for change in changes:
            with pytest.raises(NotAllowed):
                change()
    assert matcher.revision == revision


def test_a_change_is_logged_under_the_name_of_who_acted(matcher: Matcher) -> None:
    with acting_as(MANAGER):
        matcher.enrol(Product("made-by-mara", "Made"), [], by="not mara")
        matcher.remove("made-by-mara")
        matcher.undelete("made-by-mara")
    assert [change.by for change in log(matcher.catalogue, sku="made-by-mara")] == ["mara"] * 3


def test_staff_may_keep_a_corrected_crop_as_a_reference_and_nothing_of_the_product_changes(matcher: Matcher) -> None:
    product = matcher.catalogue.products(limit=1)[0]
    picture = next(iter(references(articles()[-1])))[0]
    with acting_as(VIEWER), pytest.raises(NotAllowed):
        matcher.learn(product.sku, [picture])
    with acting_as(STAFF):
        (new,) = matcher.learn(product.sku, [picture])
    assert new in {reference.id for reference in matcher.catalogue.references(product.sku)}
    assert matcher.catalogue.product(product.sku) == product
    assert log(matcher.catalogue, sku=product.sku)[0].by == "stan"

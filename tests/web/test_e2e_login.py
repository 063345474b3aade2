"""Logging in through an identity provider (OIDC), in a real browser, against a provider of the tests' own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser import chromium, new_page, no_traceback, running_app, settle
from oidc_provider import CLIENT, SECRET, Provider, running_provider
from people_helpers import add_user, set_role

from retail_seg import Matcher
from retail_seg.people.roles import acting_as, local_person

if TYPE_CHECKING:
    from playwright.sync_api import Page

ANN = {"email": "ann@shop.example", "email_verified": True}
LOG_IN = "Log in with your account"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as found:
        yield found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("login") / "store"
    Matcher.create(found).close()
    with acting_as(local_person()):
        add_user(found, "mara@shop.example", "manager", None)
        add_user(found, "ann@shop.example", "staff", None)
    return found


@pytest.fixture(scope="module")
def page(provider: Provider, store: Path) -> Iterator[Page]:
    """A browser at the login page of the app."""
    secrets = store.parent / "secrets.toml"
    secrets.write_text(
        f'[auth]\nredirect_uri = "http://localhost:{{port}}/oauth2callback"\ncookie_secret = "{"a" * 40}"\n'
        f'client_id = "{CLIENT}"\nclient_secret = "{SECRET}"\n'
        f'server_metadata_url = "{provider.address}/.well-known/openid-configuration"\n'
    )
    with chromium() as browser, running_app(store, log=store.parent / "app.log", secrets=secrets) as address:
        found = new_page(browser)
        found.goto(address)
        yield found
        no_traceback(found)


def log_in(page: Page, provider: Provider, **claims: object) -> None:
    provider.seen.clear()
    provider.claims = claims
    with page.expect_navigation():  # to the provider, back with its code, and to the app, in one chain
        page.get_by_role("button", name=LOG_IN).click()
    page.get_by_role("button", name=LOG_IN).or_(page.get_by_role("button", name="Log out")).wait_for()
    settle(page)
    assert "/authorize" in provider.seen and "/token" in provider.seen


@pytest.fixture
def outside(page: Page, provider: Provider) -> Page:
    """The page of somebody who is not let in, with an honest provider."""
    provider.honest, provider.seconds = True, 600
    if page.get_by_role("button", name="Log out").count():
        page.get_by_role("button", name="Log out").click()
    page.get_by_role("button", name=LOG_IN).wait_for()
    return page


def refused(page: Page) -> bool:
    """Whether nothing of the app is to be seen but the way in."""
    return page.get_by_role("link", name="Products").count() == 0 and page.locator("input[type=file]").count() == 0


def test_who_has_a_role_gets_in_with_it_and_out_again(outside: Page, provider: Provider, store: Path) -> None:
    assert refused(outside)
    log_in(outside, provider, **ANN)
    outside.get_by_text("ann@shop.example · staff").wait_for()
    outside.locator("input[type=file]").first.wait_for(state="attached")
    outside.get_by_role("link", name="Import").click()
    outside.get_by_text("This page is for the role manager").wait_for()
    with acting_as(local_person()):
        set_role(store, "ann@shop.example", "manager")
    outside.reload()  # the cookie holds; the new role counts at once
    outside.get_by_text("ann@shop.example · manager").wait_for()
    outside.get_by_role("button", name="Log out").click()
    outside.get_by_role("button", name=LOG_IN).wait_for()
    outside.reload()
    outside.get_by_role("button", name=LOG_IN).wait_for()
    assert refused(outside)


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"email": "eve@shop.example", "email_verified": True}, "eve@shop.example has no role in this store"),
        ({"email": "ann@shop.example", "email_verified": False}, "names no e-mail address that it has checked"),
        ({}, "names no e-mail address that it has checked"),
    ],
)
def test_whom_the_store_does_not_know_stays_outside(
    outside: Page, provider: Provider, claims: dict[str, object], words: str
) -> None:
    log_in(outside, provider, **claims)
    outside.get_by_text(words).wait_for()
    assert refused(outside)


def test_a_token_that_has_expired_lets_nobody_in(outside: Page, provider: Provider) -> None:
    """Streamlit takes a token until two minutes after its end, and keeps its own cookie for thirty days."""
    provider.seconds = -20
    log_in(outside, provider, **ANN)
    outside.get_by_text("Your login has expired").wait_for()
    assert refused(outside)


def test_a_token_of_another_key_lets_nobody_in(outside: Page, provider: Provider) -> None:
    provider.honest = False
    outside.context.clear_cookies()
    log_in(outside, provider, **ANN)
    outside.get_by_role("button", name=LOG_IN).wait_for()
    assert refused(outside)

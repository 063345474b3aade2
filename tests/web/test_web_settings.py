"""The Settings page, the gate before every page, and the theme's contrast."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import people_helpers
import pytest
import streamlit as st
from people_helpers import add_user
from streamlit.testing.v1 import AppTest

from catalogue.history import log
from index.calibration import Policy, stated_threshold
from retail_seg.cli.app import packaged_settings
from retail_seg.matcher import Matcher
from retail_seg.people import users
from retail_seg.people.roles import NotAllowed, Person, acting, acting_as, local_person, otherwise
from retail_seg.people.users import read_users
from retail_seg.photos.load import encode_picture
from retail_seg.rendering.assortment import demo_photos
from retail_seg.store.opening import open_catalogue
from retail_seg.store.policy import policy_of
from retail_seg.store.settings import state_policy, timed_scan
from retail_seg.web import identity

ROOT = Path(__file__).parents[2]
GOOD = "correct horse"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    st.cache_resource.clear()
    monkeypatch.setattr(users, "SCRYPT", {"n": 16, "r": 1, "p": 1})
    users._nobody.cache_clear()
    otherwise(identity.at_the_app)
    yield
    otherwise(local_person)


@pytest.fixture(scope="module")
def demo_store(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(demo_folder / "store", tmp_path_factory.mktemp("settings") / "store")


@pytest.fixture
def store(demo_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = shutil.copytree(demo_store, tmp_path / "store")
    monkeypatch.setenv("RETAIL_SEG_STORE", str(found))
    monkeypatch.setattr(st.context, "_headers", None, raising=False)
    return found


def let_in(store: Path, name: str, role: str, password: str | None = GOOD) -> None:
    """Add a user as who sits at this computer; the app's own threads may not."""
    with acting_as(local_person()):
        add_user(store, name, role, password)


def opened(page: str = "settings") -> AppTest:
    script = f"""
import streamlit as st
from retail_seg.people.roles import acting_as
from retail_seg.web import login, {page}
visitor = login.visitor()
if visitor is None:
    login.ask()
login.signed_in(visitor)
with acting_as(visitor):
    {page}.page()
"""
    return AppTest.from_string(script, default_timeout=120)


def logged_in(name: str) -> AppTest:
    app = opened().run()
    app.text_input[0].set_value(name)
    app.text_input[1].set_value(GOOD)
    return app.button[0].click().run()


def tables(app: AppTest) -> str:
    return "\n".join(str(table.value) for table in (*app.table, *app.dataframe))


def test_the_store_its_parts_and_versions_are_told(store: Path) -> None:
    app = opened().run()
    assert not app.exception and not app.error
    assert [title.value for title in app.title] == ["Settings"]
    told = tables(app)
    for word in ("Products", "Embedder", "retail-vgg", "flat", "Thresholds", "Python", "faiss-cpu", "catalogue.db"):
        assert word in told
    assert "Nobody logs in" in app.info[0].value


def test_a_manager_states_a_precision_and_the_log_says_so(store: Path) -> None:
    app = opened().run()
    app.number_input[0].set_value(99.0)
    app.button[0].click().run()
    assert not app.exception and "99 of 100" in app.success[0].value
    with Matcher.open(store) as matcher:
        calibration = matcher._gallery.current().ranker.calibration
        assert calibration.policy == Policy(precision=0.99)
        assert calibration.threshold > stated_threshold(0.95)
        assert log(matcher.catalogue, limit=1)[0].action == "certainty stated: precision 0.99"


def test_a_ceiling_is_stated_and_taken_back_and_staff_may_not(store: Path) -> None:
    with Matcher.open(store) as matcher:
        with acting_as(Person("stan", "staff")), pytest.raises(NotAllowed):
            state_policy(matcher, Policy(precision=0.9))
        state_policy(matcher, Policy(ceiling=0.02))
        assert policy_of(matcher.catalogue).ceiling == pytest.approx(0.02)
        state_policy(matcher, Policy())
        assert policy_of(matcher.catalogue) == Policy()


def test_a_test_photo_is_timed_and_not_kept(store: Path) -> None:
    photo = encode_picture(demo_photos(1)[0].scene.photo)
    app = opened().run()
    app.file_uploader[0].set_value(("shelf.jpg", photo, "image/jpeg")).run()
    assert not app.exception and not app.error
    stages = [metric.label for metric in app.metric]
    assert stages[:2] == ["Read the photo", "Take things apart"] and stages[2].startswith("Name ")
    with open_catalogue(store) as catalogue:
        assert catalogue.db["scans"].count == 0
    app.file_uploader[0].set_value(("bad.jpg", b"no picture", "image/jpeg")).run()
    assert not app.exception and "bad\\.jpg" in app.error[0].value


def test_every_stage_takes_time(store: Path) -> None:
    with Matcher.open(store) as matcher:
        timed = timed_scan(matcher, encode_picture(demo_photos(1)[0].scene.photo), "shelf.jpg")
    assert all(seconds > 0 for _, seconds in timed.stages) and timed.overlay.shape[2] == 3


# -- the gate


@pytest.fixture
def shared_store(store: Path) -> Path:
    for name, role in (("mara", "manager"), ("vera", "viewer"), ("stan", "staff")):
        let_in(store, name, role)
    return store


def test_nobody_passes_the_gate_without_the_password(shared_store: Path) -> None:
    app = opened().run()
    assert [title.value for title in app.title] == ["Log in"] and not app.table
    app.text_input[0].set_value("mara")
    app.text_input[1].set_value("wrong horse")
    app.button[0].click().run()
    assert "do not fit" in app.error[0].value and not app.table


def test_a_viewer_looks_and_changes_nothing(shared_store: Path) -> None:
    app = logged_in("vera")
    assert [title.value for title in app.title] == ["Settings"] and "Products" in tables(app)
    assert not app.number_input and not app.selectbox
    assert any("vera · viewer" in caption.value for caption in app.caption)


def test_a_role_taken_counts_at_the_next_click(shared_store: Path) -> None:
    app = logged_in("mara")
    assert app.number_input
    with acting_as(local_person()):
        people_helpers.set_role(shared_store, "stan", "manager")
        people_helpers.set_role(shared_store, "mara", "viewer")
    assert not app.run().number_input
    with acting_as(local_person()):
        people_helpers.remove_user(shared_store, "mara")
    assert [title.value for title in app.run().title] == ["Log in"]


def test_a_manager_gives_a_role(shared_store: Path) -> None:
    app = logged_in("mara")
    person, wanted = app.selectbox
    person.set_value("stan")
    wanted.set_value("viewer")
    next(button for button in app.button if button.label == "Change").click()
    assert "stan is viewer now" in app.run().success[0].value
    assert {user.name: user.role for user in read_users(shared_store)}["stan"] == "viewer"


def test_one_s_own_password_and_then_the_login_again(shared_store: Path) -> None:
    app = logged_in("vera")
    for box in app.text_input:
        box.set_value("a new horse")
    next(button for button in app.button if button.label.startswith("Change it")).click()
    assert "do not fit" in app.run().error[0].value  # the old password was wrong
    old, *new = app.text_input
    old.set_value(GOOD)
    for box in new:
        box.set_value("a new horse")
    next(button for button in app.button if button.label.startswith("Change it")).click()
    assert [title.value for title in app.run().title] == ["Log in"]
    assert users.check_password(shared_store, "vera", "a new horse") is not None


def test_logging_out_ends_the_session(shared_store: Path) -> None:
    app = logged_in("mara")
    next(button for button in app.button if button.label == "Log out").click()
    assert [title.value for title in app.run().title] == ["Log in"]


def test_open_to_others_without_a_login_shows_nothing(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = st.get_option
    monkeypatch.setattr(st, "get_option", lambda name: None if name == "server.address" else real(name))
    app = opened().run()
    assert "nobody has to log in" in app.error[0].value and "retail-seg user add" in app.error[0].value
    assert not app.title and not app.table


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Host": "shop.example:8501"}, "to shop.example"),
        ({"Host": "localhost:8501", "X-Forwarded-For": "10.0.0.9"}, "through a proxy"),
    ],
)
def test_a_visit_from_elsewhere_without_a_login_shows_nothing(
    store: Path, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], words: str
) -> None:
    monkeypatch.setattr(type(st.context), "headers", headers)
    with pytest.raises(identity.Closed, match=words):
        identity.way()


@pytest.mark.parametrize("host", ["localhost", "localhost:8501", "127.0.0.1:80", "[::1]:8501", "[::1]"])
def test_this_computer_is_let_in(store: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setattr(type(st.context), "headers", {"Host": host})
    assert identity.way() == "local"


def test_a_thread_of_the_app_that_acts_for_nobody_may_change_nothing(shared_store: Path) -> None:
    assert acting() == identity.NOBODY
    (shared_store / users.FILE).write_text("damaged")
    assert acting() == identity.NOBODY


# -- an identity provider


@pytest.fixture
def provider(store: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The claims that the provider makes, to be changed by the test."""
    claims: dict[str, Any] = {
        "is_logged_in": True, "email": "Ann@shop.example", "email_verified": True, "exp": time.time() + 60
    }  # fmt: skip
    monkeypatch.setattr(identity, "_has_provider", lambda: True)
    monkeypatch.setattr(type(st.user), "to_dict", lambda self: claims)
    let_in(store, "mara@shop.example", "manager", None)
    let_in(store, "ann@shop.example", "staff", None)
    return claims


def test_a_provider_s_person_has_the_role_of_their_address(provider: dict[str, Any]) -> None:
    assert identity.current() == Person("ann@shop.example", "staff")


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"exp": 1}, "expired"),
        ({"exp": None}, "expired"),
        ({"email": "stranger@shop.example"}, "no role in this store"),
        ({"email": ""}, "no e-mail address"),
        ({"email_verified": False}, "no e-mail address"),
        ({"is_logged_in": False}, ""),
    ],
)
def test_a_provider_s_person_who_is_not_let_in_is_told_why(
    provider: dict[str, Any], claims: Mapping[str, Any], words: str
) -> None:
    provider.update(claims)
    assert identity.current() is None
    assert words in identity.provider_trouble() and bool(words) == bool(identity.provider_trouble())


def test_a_password_s_name_is_no_provider_s_address(provider: dict[str, Any], store: Path) -> None:
    let_in(store, "both@shop.example", "manager")
    provider["email"] = "both@shop.example"
    assert identity.current() is None


def test_secrets_that_cannot_be_read_let_nobody_in(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "secrets.toml"
    broken.write_text("[auth")
    real = st.get_option
    monkeypatch.setattr(st, "get_option", lambda name: [str(broken)] if name == "secrets.files" else real(name))
    monkeypatch.setattr(type(st.secrets), "load_if_toml_exists", lambda self: False)
    with pytest.raises(identity.Closed, match="cannot be read"):
        identity.way()


# -- the theme


def luminance(colour: tuple[float, ...]) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.2)."""
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: tuple[float, ...], two: tuple[float, ...]) -> float:
    """Contrast ratio of two colours (WCAG 2.2), 1 to 21."""
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


def rgb(text: str) -> tuple[float, ...]:
    return tuple(int(text[i : i + 2], 16) / 255 for i in (1, 3, 5))


def test_contrast_of_known_colours() -> None:
    assert contrast(rgb("#000000"), rgb("#ffffff")) == pytest.approx(21)
    assert contrast(rgb("#777777"), rgb("#ffffff")) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["backgroundColor", "secondaryBackgroundColor"])
def test_words_can_be_read(theme: str, ground: str) -> None:
    settings = packaged_settings()
    colour = {name.split(".")[-1]: rgb(v) for name, v in settings.items() if name.startswith(f"theme.{theme}.")}
    behind = colour[ground]
    # Streamlit shows captions and what is less important in the text's colour at 60 %.
    for words in ("textColor", "linkColor"):
        faded = tuple(0.6 * a + 0.4 * b for a, b in zip(colour[words], behind, strict=True))
        assert contrast(colour[words], behind) >= 7
        assert contrast(faded, behind) >= 4.5
    assert contrast(colour["codeTextColor"], behind) >= 4.5
    assert contrast(colour["primaryColor"], behind) >= 3  # marks and borders (WCAG 1.4.11)
    assert contrast(colour["primaryColor"], rgb("#ffffff")) >= 4.5  # the words on a primary button


def test_a_manager_says_how_long_photos_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from page_helpers import fill, opened, press, quick_store

    from retail_seg.scans import privacy

    folder = quick_store(tmp_path / "store", monkeypatch)
    app = opened("settings")
    next(one for one in app.number_input if one.label.startswith("Days")).set_value(30)
    press(app, "Save the days")
    assert "for 30 days" in app.success[0].value or "30 days now" in app.success[0].value
    with fill(folder) as matcher:
        assert privacy.privacy(matcher).days == 30
    app = opened("settings", "staff", monkeypatch)
    assert not [one for one in app.number_input if one.label.startswith("Days")]

"""Who is behind a visit of the app: the local user, somebody logged in, or nobody yet.

Three ways, the first that is set up: an identity provider (`[auth]` in Streamlit's secrets.toml, `st.login`), the users
of the store (`retail-seg user add`), or none for a single user, which only this computer may reach.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from retail_seg.people.roles import AccountError, Person, local_person
from retail_seg.people.sessions import Sessions
from retail_seg.people.users import find_user, is_loopback, read_users
from retail_seg.system.settings import settings

#: Entry of the session state that holds the number of a login session; the cookie is for the next visit.
TOKEN = "login_token"
NOBODY = Person("", "viewer")
#: What a proxy in front of the app adds to a request.
_PROXIED = ("X-Forwarded-For", "X-Real-Ip", "Forwarded", "Via")


class Closed(AccountError):
    """The app can be reached from other computers though nobody has to log in."""


def store_folder() -> Path:
    """The store that this app shows: RETAIL_SEG_STORE, or `store` in the working directory."""
    return settings().store


@st.cache_resource(show_spinner=False)
def sessions(store: Path) -> Sessions:
    """The login sessions of this process."""
    return Sessions(store)


def cookie_name() -> str:
    """A cookie of its own for each store: browsers do not tell apps on other ports of one computer apart."""
    return f"retail_seg_{hashlib.sha256(str(store_folder().absolute()).encode()).hexdigest()[:12]}"


def way() -> str:
    """How this app knows who visits: "provider", "users" or "local".

    Raises Closed where nothing is set up and the app is not for this computer alone, AccountError for a damaged file.
    """
    if _has_provider():
        return "provider"
    if any(user.password for user in read_users(store_folder())):
        return "users"
    address = st.get_option("server.address")
    if not is_loopback(address or ""):
        raise Closed(
            f"This app listens on {address or 'every address of this computer'} and nobody has to log in. Add users"
            " with `retail-seg user add NAME --role manager`, or start it for this computer only: `retail-seg app`"
        )
    if stranger := _stranger():
        raise Closed(
            f"This visit comes {stranger}, and nobody has to log in. Add users with"
            " `retail-seg user add NAME --role manager`, or open the app at http://localhost"
        )
    return "local"


def current() -> Person | None:
    """Who is at work in this session, None where they must log in first; raises as `way` does."""
    how = way()
    if how == "provider":
        return _from_provider()
    if how == "users":
        found = map(sessions(store_folder()).who, tokens())
        return next((user.person for user in found if user), None)
    return local_person()


def tokens() -> list[str]:
    """The numbers of login sessions that this visit brings: of its own login, and of an earlier visit's."""
    return [t for t in (st.session_state.get(TOKEN), st.context.cookies.get(cookie_name())) if isinstance(t, str)]


def provider_trouble() -> str:
    """Why somebody whom the identity provider knows is not let in; empty where nobody has logged in there."""
    user = st.user.to_dict()
    if not user.get("is_logged_in"):
        return ""
    email = str(user.get("email") or "")
    if not email or user.get("email_verified") is not True:
        return "The identity provider names no e-mail address that it has checked; log in with another account."
    if not _unexpired(user):
        return "Your login has expired; log in again."
    return f"{email} has no role in this store; a manager gives one with `retail-seg user add {email} --oidc --role …`."


def _from_provider() -> Person | None:
    user = st.user.to_dict()
    email = str(user.get("email") or "")
    verified = user.get("email_verified") is True  # a provider that says nothing has checked nothing
    if not (user.get("is_logged_in") and email and verified and _unexpired(user)):
        return None
    found = find_user(store_folder(), email)
    return found.person if found and not found.password else None


def _unexpired(user: Mapping[str, object]) -> bool:
    """Whether the identity token still holds; Streamlit keeps its cookie for 30 days, whatever the token says."""
    ends = user.get("exp")
    return isinstance(ends, (int, float)) and ends > time.time()


def _has_provider() -> bool:
    if st.secrets.load_if_toml_exists():
        return "auth" in st.secrets
    if broken := [path for path in st.get_option("secrets.files") if Path(path).exists()]:
        raise Closed(f"{', '.join(broken)}: cannot be read, so nobody can log in; mend it, and start the app again")
    return False


def _stranger() -> str:
    """Says whence a visit comes that is not from this computer; empty where it is, or where there is no request."""
    headers = st.context.headers
    if any(headers.get(name) for name in _PROXIED):
        return "through a proxy"
    host = headers.get("Host") or "localhost"
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    # A page of another site could reach this app under its own name (DNS rebinding).
    return "" if is_loopback(name) else f"to {name}"


def at_the_app() -> Person:
    """Who acts in callbacks and fragments, and, with nobody's rights where people log in, in any other thread."""
    if get_script_run_ctx(suppress_warning=True) is not None:
        return current() or NOBODY
    try:
        return local_person() if way() == "local" else NOBODY
    except AccountError:
        return NOBODY

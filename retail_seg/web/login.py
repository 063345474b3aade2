"""The gate of the app: nobody sees a page before they are known; who logged in finds the way out in the sidebar.

After a login the browser keeps the session's number in a cookie of this site (SameSite=Strict), so that a reload asks
for nothing. Streamlit gives pages no way to set a cookie with a response, so a line of script sets it. That script
could read it too, which is why the number opens nothing but this store's app, and only until its session ends.
"""

from __future__ import annotations

import streamlit as st

from retail_seg.people.roles import Person, otherwise
from retail_seg.people.sessions import SESSION_SECONDS
from retail_seg.web.identity import (
    TOKEN,
    at_the_app,
    cookie_name,
    current,
    provider_trouble,
    sessions,
    store_folder,
    tokens,
    way,
)
from retail_seg.web.shared import errors_as_sentences
from retail_seg.web.text import plain, sentence

#: Entry of the session state: what the browser's cookie is to be, until it was told.
_NEWS = "login_cookie"


def guard() -> None:
    """Let the app say who is at work in this process; called when it starts, an import changes nothing."""
    otherwise(at_the_app)


def visitor() -> Person | None:
    """Who is at work, None where they must log in; where nobody may be let in, the run ends with a sentence."""
    with errors_as_sentences():
        found = current()
    _tell_browser()
    return found


def ask() -> None:
    """The login page, in the place of any other; ends the script run."""
    st.title("Log in")
    if way() == "provider":
        _ask_provider()
    else:
        _ask_password()
    st.stop()


def signed_in(person: Person) -> None:
    """Name, role and the way out, in the sidebar; nothing for the single user of this computer."""
    if person.local:
        return
    with st.sidebar:
        st.caption(f"{plain(person.name)} · {plain(person.role)}")
        if st.button("Log out", icon=":material/logout:", width="stretch"):
            _log_out()


def _ask_password() -> None:
    with st.form("login_form", width=420):
        name = st.text_input("Name", autocomplete="username", max_chars=100)
        password = st.text_input("Password", type="password", autocomplete="current-password", max_chars=1024)
        sent = st.form_submit_button("Log in", type="primary", width="stretch")
    if not sent:
        st.caption("A manager of this store can give you a login: `retail-seg user add NAME --role staff`.")
        return
    with errors_as_sentences():
        token = sessions(store_folder()).log_in(name, password, st.context.ip_address or "")
    st.session_state[TOKEN] = st.session_state[_NEWS] = token
    st.rerun()


def _ask_provider() -> None:
    if trouble := provider_trouble():
        st.warning(sentence(trouble), icon=":material/lock:")
    parts = st.secrets["auth"].items()
    providers = [str(name) for name, value in parts if hasattr(value, "items") and name != "client_kwargs"]
    for name in providers:
        if st.button(f"Log in with {plain(name)}", type="primary"):
            st.login(name)
    if not providers and st.button("Log in with your account", type="primary"):
        st.login()


def _log_out() -> None:
    if way() == "provider":
        st.logout()
        return
    for token in tokens():
        sessions(store_folder()).log_out(token)
    st.session_state.clear()
    st.session_state[_NEWS] = ""
    st.rerun()


def _tell_browser() -> None:
    news = st.session_state.pop(_NEWS, None)
    if news is None:
        return
    seconds = SESSION_SECONDS if news else 0
    cookie = f"{cookie_name()}={news}; path=/; max-age={seconds}; SameSite=Strict"
    st.html(
        f"<script>document.cookie = '{cookie}' + (location.protocol === 'https:' ? '; Secure' : '')</script>",
        unsafe_allow_javascript=True,
    )

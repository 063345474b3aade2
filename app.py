"""The web app: `retail-seg app`, or `streamlit run app.py`."""

from functools import partial
from importlib import import_module
from importlib.util import find_spec

import streamlit as st

from retail_seg.accounts import acting_as
from retail_seg.web import login
from retail_seg.web.shared import nothing_unsaid

PAGES = (
    ("scan", "scan", "Scan", "photo_camera"),
    ("scans", "scans", "Scans", "history"),
    ("products", "products", "Products", "inventory_2"),
    ("imports", "import", "Import", "upload_file"),
    ("health", "health", "Health", "monitor_heart"),
    ("teach", "teach", "Teach", "school"),
    ("settings", "settings", "Settings", "settings"),
)


def shown(module: str) -> None:
    """Show a page; its module is imported when it is first asked for."""
    import_module(f"retail_seg.web.{module}").page()


st.set_page_config(page_icon="🛒", layout="wide")
visitor = login.visitor()
page = st.navigation([
    st.Page(partial(shown, module), title=title, icon=f":material/{icon}:", url_path=address,
            default=module == "scan")
    for module, address, title, icon in PAGES
    if find_spec(f"retail_seg.web.{module}")
], position="sidebar" if visitor else "hidden")  # fmt: skip
st.set_page_config(page_title=f"{page.title if visitor else 'Log in'} · retail-seg")
if visitor is None:
    login.ask()
else:
    login.signed_in(visitor)
    with acting_as(visitor), nothing_unsaid():
        page.run()

"""The web app: `retail-seg app`, or `streamlit run app.py`."""

import streamlit as st

from retail_seg.people.roles import acting_as
from retail_seg.web import (
    centre,
    from_shelves,
    health,
    imports,
    login,
    products,
    scan,
    scans,
    settings,
    shelves,
    start,
    style,
    teach,
)
from retail_seg.web.shared import nothing_unsaid

PAGES = (
    (start, "start", "Start", "flag"),
    (scan, "scan", "Scan", "photo_camera"),
    (scans, "scans", "Scans", "history"),
    (shelves, "shelves", "Shelves", "shelves"),
    (products, "products", "Products", "inventory_2"),
    (from_shelves, "from-shelves", "From shelves", "category"),
    (imports, "import", "Import", "upload_file"),
    (health, "health", "Health", "monitor_heart"),
    (centre, "chain", "Chain", "hub"),
    (teach, "teach", "Teach", "school"),
    (settings, "settings", "Settings", "settings"),
)

st.set_page_config(page_title="retail-seg", page_icon="🛒", layout="wide")
login.guard()
visitor = login.visitor()
style.apply()
first = start if visitor and start.wanted() else scan
pages = [
    st.Page(module.page, title=title, icon=f":material/{icon}:", url_path=address, default=module is first)
    for module, address, title, icon in PAGES
    if module is not start or first is start
]
page = st.navigation(pages, position="sidebar" if visitor else "hidden")
st.set_page_config(page_title=f"{page.title if visitor else 'Log in'} · retail-seg")
if visitor is None:
    login.ask()
else:
    login.signed_in(visitor)
    with acting_as(visitor), nothing_unsaid():
        page.run()

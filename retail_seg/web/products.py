"""Products: search, filter and leaf through them; one product with its pictures stands in `product.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from catalogue import Product
from catalogue.listing import Entry, Filter
from retail_seg.products import browsing, editing
from retail_seg.web import barcode, product, widgets
from retail_seg.web.shared import errors_as_sentences, matcher, may, store_folder
from retail_seg.web.text import plain

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

#: Products on one page of the list.
SIZE = 25
SHOW = {
    "All products": Filter(),
    "Without pictures": Filter(pictures="none"),
    "With one picture": Filter(pictures="one"),
    "Removed": Filter(removed=True),
}


def page() -> None:
    """The list, or the product that the address names (`?sku=`)."""
    sku = st.query_params.get("sku")
    if not sku:
        st.title("Products")
    with errors_as_sentences():
        found = matcher(store_folder())
        if sku:
            product.show(found, sku)
        else:
            _list(found)


def _list(found: Matcher) -> None:
    for key in (product.ADDRESS, widgets.EDITING):
        st.session_state.pop(key, None)
    widgets.show_notices()
    if browsing.is_empty(found, removed=True):
        st.info(
            "This store has no products yet. Name what stands on your shelves on the page From shelves, import a table "
            "or a zip of pictures on the page Import, or add the first product here.",
            icon=":material/inventory_2:",
        )
        _new(found)
        return
    wanted = _wanted(found)
    total = browsing.count(found, wanted)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{total:,}** {'product' if total == 1 else 'products'}", width="content")
        _new(found)
    if not total:
        st.info("No product fits. Take a filter away, or type less.", icon=":material/search_off:")
        return
    rows = st.container(gap="xsmall")
    start = widgets.pages(total, SIZE, f"products_page_{hash(wanted)}")
    with rows:
        for entry in browsing.find(found, wanted, offset=start, limit=SIZE):
            _row(found, entry)


def _wanted(found: Matcher) -> Filter:
    """What is searched and filtered for; kept while a product's page is open."""
    text = st.text_input(
        "Search",
        placeholder="Name, brand, SKU or GTIN; the beginnings of words are enough",
        key="products_text",
        icon=":material/search:",
        persist_state="session",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        barcode.scan_into("products_text")
        brand = _choice("Brand", browsing.brands(found))
        category = _choice("Category", browsing.categories(found))
        show = st.selectbox("Show", list(SHOW), key="products_show", persist_state="session", width=160)
    shown = SHOW[show]
    return Filter(text or "", brand or "", category or "", shown.pictures, shown.removed)


def _choice(label: str, options: list[str]) -> str | None:
    """One of the values that products have; a value that no product has any more is let go."""
    key = f"products_{label.lower()}"
    if st.session_state.get(key) not in options:
        st.session_state[key] = None
    return st.selectbox(label, options, index=None, placeholder="Any", key=key, persist_state="session", width=160)


def _row(found: Matcher, entry: Entry) -> None:
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        with st.container(width=72):
            widgets.picture(found, entry.cover, entry.product.name or entry.product.sku, box=64)
        with st.container(gap=None):
            widgets.product_link(entry.product.sku, entry.product.name or entry.product.sku)
            st.caption(plain(_about(entry)))


def _about(entry: Entry) -> str:
    pictures = {0: "no picture", 1: "1 picture"}.get(entry.references, f"{entry.references} pictures")
    about = (entry.product.sku, entry.product.brand, entry.product.category, pictures)
    return " · ".join(part for part in about if part)


def _new(found: Matcher) -> None:
    if not may("manager"):
        return
    with st.popover("New product", icon=":material/add:"), st.form("new_product", border=False):
        sku = st.text_input("SKU", help="Your own number of the product; it cannot be changed later.")
        fields = product.text_fields(Product(""), "new")
        if st.form_submit_button("Add", type="primary", icon=":material/add:"):
            with errors_as_sentences():
                added = editing.add_product(found, Product(sku).with_fields(fields))
            change = browsing.last_changes(found, added.sku, limit=1)[0]
            widgets.say(f"{added.name or added.sku} was added. Give it pictures, so that it is found.", [change.id])
            st.query_params["sku"] = added.sku
            st.rerun()

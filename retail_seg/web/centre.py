"""Chain: the figures of all shops by week, and what shops have added, for a manager at the centre to take or leave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from retail_seg.chain import centre, rollup
from retail_seg.chain.centre import Centre
from retail_seg.chain.contributions import Contribution
from retail_seg.chain.rollup import ChainFigures
from retail_seg.products import browsing
from retail_seg.system.user_errors import USER_ERRORS
from retail_seg.web import widgets
from retail_seg.web.shared import errors_as_sentences, matcher, may, store_folder
from retail_seg.web.text import counted, plain, sentence

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

#: Contributions on one page, and seconds for which figures are kept before reports are read again.
SIZE, KEPT = 6, 600


def page() -> None:
    """Figures first, contributions below; where neither is there, what to do for them."""
    st.title("Chain")
    with errors_as_sentences():
        found = matcher(store_folder())
        of = centre.centre_of(found)
    widgets.show_notices()
    if of.follows:
        st.info(
            f"This store is a shop's: it follows {plain(of.follows)}. Contributions are decided at the centre.",
            icon=":material/storefront:",
        )
    st.subheader("Figures")
    _figures(found, of)
    if not of.follows:
        st.subheader("Contributions")
        _contributions(found, of)


# -- figures of shops


def _figures(found: Matcher, of: Centre) -> None:
    if of.reports is None:
        st.info(
            sentence(
                "No reports of shops are known yet. Lay what `retail-seg scan` writes down as shop=NAME/day=YYYY-MM-DD "
                "in one folder, as JSON Lines or Parquet, then say below which folder that is."
            ),
            icon=":material/monitoring:",
        )
        _ask_folder(found, of)
        return
    try:
        _shown(found, of.reports)
    except USER_ERRORS as error:  # another folder can be given all the same
        st.error(sentence(error), icon=":material/error:")
    with st.expander("Where the reports lie", icon=":material/folder:"):
        _ask_folder(found, of)


def _ask_folder(found: Matcher, of: Centre) -> None:
    if not may("manager"):
        st.caption("A manager can set the folder of the reports.")
        return
    with st.form("reports", width=560, border=False):
        folder = st.text_input(
            "Folder of the shops' reports", str(of.reports or ""), help="On the machine on which this app runs."
        )
        sent = st.form_submit_button("Use this folder", type="primary" if of.reports is None else "secondary")
    if sent:
        with errors_as_sentences(), st.spinner("Looking …"):
            centre.state_reports(found, folder)
        _read.clear()
        widgets.say("The reports of this folder are summed up now." if folder.strip() else "No reports are shown now.")
        st.rerun()


@st.cache_data(ttl=KEPT, max_entries=50, show_spinner="Summing up the reports …")
def _read(folder: str, shop: str, week: str) -> ChainFigures:
    return rollup.overview(Path(folder), shop=shop, week=week)


@st.cache_data(ttl=KEPT, max_entries=5, show_spinner=False)
def _shops(folder: str) -> list[str]:
    return rollup.shops(Path(folder))


def _shown(found: Matcher, folder: Path) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = _shops(str(folder))
        shop = st.selectbox("Shop", names, index=None, placeholder="All shops", key="chain_shop", width=220) or ""
        weeks = [row["week"] for row in reversed(_read(str(folder), shop, "").weeks)]
        week = st.selectbox("Week from", weeks, key="chain_week", width=160) or ""
        if st.button("Read again", icon=":material/refresh:", help="Figures are kept for ten minutes."):
            _read.clear()
            _shops.clear()
            st.rerun()
    made = _read(str(folder), shop, week)
    _metrics(made)
    _by_week(made)
    if not shop:
        _by_shop(made)
    _products(found, made)
    _strangers(found, made)


def _metrics(made: ChainFigures) -> None:
    row = next(row for row in made.weeks if row["week"] == made.week)
    with st.container(horizontal=True, gap="medium"):
        st.metric("Availability", _words(row["availability"]), width="content")
        st.metric("Unknown", _words(_unknown(row)), width="content", help="Facings that are neither sure nor likely")
        st.metric("Facings", f"{row['facings']:,}", width="content")
        st.metric("Photos", f"{row['photos']:,}", width="content")
        st.metric("Shops", f"{row['shops']:,}", width="content")
    st.caption(
        "Availability: of what a shop has shown in this week or in the four weeks before, the share that was seen on a "
        "day with photos, on average."
    )


def _unknown(row: dict[str, Any]) -> float | None:
    return row["unknown"] / row["facings"] if row["facings"] else None


def _words(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)


def _by_week(made: ChainFigures) -> None:
    if len(made.weeks) < 2:
        return
    rows = {
        "Week": [row["week"][2:] for row in made.weeks],
        "Availability (%)": [_percent(row["availability"]) for row in made.weeks],
        "Unknown (%)": [_percent(_unknown(row)) for row in made.weeks],
    }
    st.line_chart(rows, x="Week", y=["Availability (%)", "Unknown (%)"], color=["#0072b2", "#d55e00"], height=320)


def _by_shop(made: ChainFigures) -> None:
    st.markdown("**Shops**, the least available first")
    rows = [
        {
            "Shop": row["shop"],
            "Available": _percent(row["availability"]),
            "Unknown": _percent(_unknown(row)),
            "Facings": row["facings"],
            "Photos": row["photos"],
            "Days": row["days"],
        }
        for row in made.shops
    ]
    _table(rows, "Shops in this week")


def _products(found: Matcher, made: ChainFigures) -> None:
    if not made.products:
        st.caption("No product was recognised in this week.")
        return
    st.markdown("**Share of shelf**")
    names = browsing.names(found, [row["sku"] for row in made.products])
    rows = [
        {
            "Product": names.get(row["sku"]) or row["sku"],
            "Share": _percent(row["share"]),
            "Available": _percent(row["availability"]),
            "Facings": row["facings"],
            "Shops": row["shops"],
            "SKU": row["sku"],
        }
        for row in made.products
    ]
    _table(rows, "Products in this week")


def _strangers(found: Matcher, made: ChainFigures) -> None:
    if not made.strangers:
        return
    st.markdown("**Unknown**, in clusters by the product that they are nearest to")
    names = browsing.names(found, [row["nearest"] for row in made.strangers])
    rows = [
        {
            "Nearest to": names.get(row["nearest"]) or row["nearest"] or "nothing",
            "Facings": row["facings"],
            "Shops": row["shops"],
            "Days": row["days"],
            "SKU": row["nearest"],
        }
        for row in made.strangers
    ]
    _table(rows, "Unknown facings in this week")
    st.caption(
        "A large cluster in many shops is a product that the catalogue has not, or a new look of the one named: give "
        "it pictures, then publish."
    )


def _table(rows: list[dict[str, Any]], name: str) -> None:
    share = st.column_config.ProgressColumn(format="%.1f %%", min_value=0.0, max_value=100.0)
    shares = dict.fromkeys(("Available", "Unknown", "Share"), share)
    height = 35 * min(len(rows) + 1, 9) + 3
    st.dataframe(rows, hide_index=True, width="stretch", height=height, column_config=shares, alt=name)


# -- what shops have added


def _contributions(found: Matcher, of: Centre) -> None:
    if not of.published:
        st.info(
            sentence(
                "Shops cannot send anything yet, because this store was never published. Make a key with `retail-seg "
                "key new` and publish with `retail-seg publish DEST`; shops then follow, and send what they add with "
                "`retail-seg contributions send`."
            ),
            icon=":material/hub:",
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        address = of.published[0]
        if len(of.published) > 1:
            address = st.selectbox("Address", of.published, key="chain_address", width=420) or address
        left = st.toggle("Show what was left", key="chain_left")
    with errors_as_sentences():
        total = centre.count_waiting(found, address, left=left)
    if not total:
        what = "Nothing was left." if left else "Nothing waits for a decision. Shops send what they add with "
        st.info(what if left else f"{what}`retail-seg contributions send`.", icon=":material/inbox:")
        return
    rows = st.container(gap="small")
    start = widgets.pages(total, SIZE, "chain_contributions")
    with rows, errors_as_sentences():
        for one in centre.waiting(found, address, left=left, start=start, most=SIZE):
            if isinstance(one, Contribution):
                _one(found, one, left)
            else:
                st.warning(sentence(one), icon=":material/broken_image:")


def _one(found: Matcher, one: Contribution, left: bool) -> None:
    product = one.product
    with st.container(border=True):
        new = " · :orange-badge[new product]" if one.new else ""
        st.markdown(f"**{plain(product.name or product.sku)}** · {plain(product.sku)}{new}")
        with st.container(horizontal=True, gap="small"):
            for number, data in enumerate(_pictures(one.name, one), 1):
                st.image(data, width="content", alt=f"Picture {number} of {product.name or product.sku}")
        facts = " · ".join(plain(text) for text in (product.brand, product.category, product.gtin) if text)
        st.caption(f"{counted(len(one.pictures), 'picture')} from {plain(one.shop)}{' · ' if facts else ''}{facts}")
        if not may("manager"):
            return
        with st.container(horizontal=True):
            short = one.name[:12]
            if st.button("Take", type="primary", icon=":material/check:", key=f"take_{short}"):
                _take(found, one)
            if not left and st.button("Leave", icon=":material/close:", key=f"leave_{short}"):
                _leave(found, one)


@st.cache_data(max_entries=200, show_spinner=False)
def _pictures(name: str, _one: Contribution) -> list[bytes]:
    """Small pictures of a contribution; what lies under a name never changes."""
    return centre.pictures(_one)


def _take(found: Matcher, one: Contribution) -> None:
    with errors_as_sentences(), st.spinner("Taking the pictures …"):
        refused = centre.take(found, one)
    for bad in refused:
        widgets.say(f"{bad.name}: {bad.reason}", ok=False, once=True)
    taken = len(one.pictures) - len(refused)
    widgets.say(f"{one.product.sku}: {counted(taken, 'picture')} of {one.shop} taken; publish to bring them to shops.")
    st.rerun()


def _leave(found: Matcher, one: Contribution) -> None:
    with errors_as_sentences():
        centre.leave(found, one)
    widgets.say(f"{one.product.sku} of {one.shop} was left; it can still be taken.")
    st.rerun()

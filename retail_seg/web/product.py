"""One product of the page Products: its pictures and fields, what it is confused with, its history."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from zlib import crc32

import streamlit as st

from catalogue import Product
from catalogue.history import Change
from catalogue.records import TEXT_FIELDS
from retail_seg.photos.load import SUFFIXES
from retail_seg.products import barcodes, browsing, editing
from retail_seg.products.editing import MAX_PICTURES, AddedPicture, Rival
from retail_seg.system.jobs import Job
from retail_seg.system.progress import DONE
from retail_seg.web import widgets
from retail_seg.web.shared import errors_as_sentences, jobs, matcher, may, store_folder
from retail_seg.web.text import plain

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

#: The key under which a session remembers which product its address names.
ADDRESS = "product_address"
#: The kind of the jobs that add pictures.
PICTURES = "pictures"
LABELS = {"name": "Name", "brand": "Brand", "category": "Category", "gtin": "GTIN (barcode number)"}
#: Pictures of one product that are shown at once.
SIZE = 24


def show(found: Matcher, sku: str) -> None:
    """The page of the product with this SKU."""
    _into_address(sku)
    if st.button("All products", icon=":material/arrow_back:", type="tertiary"):
        st.session_state.pop(widgets.NOTICE, None)
        st.session_state.pop(ADDRESS, None)
        st.query_params.clear()
        st.rerun()
    product = browsing.product(found, sku)
    if product is None:
        _gone(found, sku)
        return
    st.title(plain(product.name or product.sku))
    widgets.show_notices()
    _facts(product)
    _pictures(found, product)
    if may("manager"):
        _add(found, product)
    _rivals(found, product)
    _history(found, product)
    if may("manager"):
        _edit(found, product)


def _into_address(sku: str) -> None:
    """A link within one page tells this run its product, but not the browser's address, which a reload goes by."""
    if st.session_state.get(ADDRESS) != sku:
        st.session_state[ADDRESS] = sku
        st.query_params["sku"] = sku


def text_fields(product: Product, key: str) -> dict[str, str]:
    """Inputs for the fields that every product has, with their values."""
    return {
        name: st.text_input(LABELS[name], getattr(product, name), key=f"{key}_{name}_{_mark(product)}")
        for name in TEXT_FIELDS
    }


def _gone(found: Matcher, sku: str) -> None:
    changes = browsing.last_changes(found, sku, limit=1)
    st.title(plain(sku))
    widgets.show_notices()
    if not changes:
        st.error(f"No product has SKU {plain(sku)}. Search for it in the list.", icon=":material/search_off:")
        return
    who = f" by {plain(changes[0].by)}" if changes[0].by else ""
    st.warning(f"This product was removed{who} on {_day(changes[0])}.", icon=":material/delete:")
    if may("manager") and st.button("Bring it back", icon=":material/restore_from_trash:", type="primary"):
        widgets.act(partial(editing.bring_back, found, sku), f"{sku} is back with its pictures.")
    _log(found, sku)


def _facts(product: Product) -> None:
    facts = [("SKU", product.sku)] + [(LABELS[name], getattr(product, name)) for name in TEXT_FIELDS[1:]]
    facts += list(product.attributes.items())
    told = [f"{plain(label)}: **{plain(value)}**" for label, value in facts if value]
    st.markdown("  \n".join(told) if len(told) > 6 else " · ".join(told))


# -- pictures


def _pictures(found: Matcher, product: Product) -> None:
    references = browsing.references(found, product.sku)
    st.subheader(f"Pictures ({len(references)})")
    if not references:
        st.info(
            "Without a picture this product cannot be found in photos. Add some: front, back, and how it stands on "
            "the shelf.",
            icon=":material/add_a_photo:",
        )
        return
    grid = st.container(horizontal=True)
    start = widgets.pages(len(references), SIZE, f"pictures_page_{product.sku}")
    for number, reference in enumerate(references[start : start + SIZE], start=start + 1):
        with grid.container(width=160, border=True):
            widgets.picture(found, reference.id, f"Picture {number} of {product.name or product.sku}")
            if not may("manager"):
                continue
            if st.button("Remove", key=f"remove_{reference.id}", icon=":material/delete:", help=f"Picture {number}"):
                widgets.act(partial(editing.remove, found, product.sku, [reference.id]), "Picture removed.")


def _add(found: Matcher, product: Product) -> None:
    job = widgets.asked_job(PICTURES)
    if job is not None and job.running:
        widgets.watch(job)
        return
    if job is not None:
        _added(job)
    _barcode(found, product, job)
    with st.expander("Add pictures", icon=":material/add_a_photo:", expanded=job is None):
        limit = st.get_option("server.maxUploadSize")
        uploads: list[Any] = st.file_uploader(
            "Pictures of this product alone, cut close; several views are best",
            type=[suffix.removeprefix(".") for suffix in SUFFIXES],
            accept_multiple_files=True,
            key=f"uploads_{product.sku}_{job.id if job else ''}",
            help=f"JPEG, PNG, WebP, TIFF, BMP or HEIC; at most {MAX_PICTURES} at once, {limit} MB each.",
        )
        if st.toggle("Use the camera", key="camera"):
            mine = f"camera_{product.sku}_{job.id if job else ''}"
            taken = st.camera_input("Take a picture", key=mine, resolution="1080p")
            uploads = [*uploads, taken] if taken else uploads
        label = "Add this picture" if len(uploads) == 1 else f"Add {len(uploads)} pictures"
        if uploads and st.button(label, type="primary", icon=":material/add:"):
            _start(found, product.sku, [(upload.name, upload.getvalue()) for upload in uploads])


def _start(found: Matcher, sku: str, uploads: list[tuple[str, bytes]]) -> None:
    with errors_as_sentences():
        editing.check_addition(found, sku, len(uploads))
        job = jobs().start(PICTURES, "Add pictures", lambda job: editing.add_pictures(found, sku, uploads, job.report))
    # A few pictures take a moment only: then the page comes back with the result at once.
    job.wait(1.5)
    st.session_state.pop(widgets.NOTICE, None)
    widgets.open_job(job)


def _added(job: Job) -> None:
    widgets.failure(job)
    if job.state != DONE:
        return
    results: list[AddedPicture] = job.result
    count = sum(one.reference_id is not None for one in results)
    if count:
        st.success(f"{count} new {'picture' if count == 1 else 'pictures'}.", icon=":material/check_circle:")
    for one in results:
        if one.reference_id is None:
            st.warning(f"{plain(one.name)}: {plain(one.reason)}", icon=":material/warning:")


def _barcode(found: Matcher, product: Product, job: Job | None) -> None:
    """What the pictures' barcodes say about the product's GTIN, and a button that gives it the one proposed."""
    added: list[AddedPicture] = job.result if job is not None and job.state == DONE else []
    kept = browsing.references(found, product.sku)[-SIZE:]
    shown = [one.gtins for one in added] + [_gtins_on(found.identity, reference.id) for reference in kept]
    remark = barcodes.remark(found, product.sku, shown)
    if remark is None:
        return
    if not remark.proposed:
        st.warning(plain(f"A picture {remark.text}."), icon=":material/barcode_scanner:")
        return
    st.info(plain(f"A picture {remark.text}."), icon=":material/barcode_scanner:")
    if st.button("Take it as its GTIN", icon=":material/check:", key="take_gtin"):
        wanted = replace(product, gtin=remark.proposed)
        widgets.act(partial(editing.change_product, found, product, wanted), "It has its GTIN.")


@st.cache_data(max_entries=3000, show_spinner=False)
def _gtins_on(store: str, reference_id: int) -> tuple[str, ...]:
    """The GTINs that a reference shows; its picture never changes."""
    return barcodes.gtins_on(matcher(store_folder()), reference_id)


# -- what it is confused with


def _rivals(found: Matcher, product: Product) -> None:
    st.subheader("Easily confused with")
    rivals = editing.rivals(found, product.sku, limit=4)
    if not rivals:
        st.caption("Nothing: it has no pictures, or it is the only product that has some.")
        return
    st.caption("The other products whose pictures are most like this one's; 1.00 is the same picture.")
    with st.container(horizontal=True):
        for rival in rivals:
            _rival(found, product, rival)


def _rival(found: Matcher, product: Product, rival: Rival) -> None:
    with st.container(width=336, border=True):
        with st.container(horizontal=True, wrap=False):
            widgets.picture(found, rival.reference_id, f"This product, {product.name or product.sku}", box=140)
            widgets.picture(found, rival.other_id, f"The other, {rival.name or rival.sku}", box=140)
        widgets.product_link(rival.sku, rival.name or rival.sku)
        st.caption(f"{plain(rival.sku)} · likeness {rival.score:.2f}")


# -- history


def _history(found: Matcher, product: Product) -> None:
    with st.expander("History", icon=":material/history:"):
        _log(found, product.sku)


def _log(found: Matcher, sku: str) -> None:
    for change in browsing.last_changes(found, sku):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(plain(_told(change)))
            if (
                may("manager")
                and editing.undoable(change)
                and st.button("Undo", key=f"undo_{change.id}", icon=":material/undo:", type="tertiary")
            ):
                widgets.act(partial(editing.undo, found, [change.id]), f"Change {change.id} is taken back.")


def _told(change: Change) -> str:
    told = [f"{name}: {old or '(empty)'} → {new or '(empty)'}" for name, old, new in change.fields()]
    for ids, verb in ((change.added, "added"), (change.removed, "removed")):
        if ids:
            told.append(f"{len(ids)} {'picture' if len(ids) == 1 else 'pictures'} {verb}")
    action = f"undo of {change.undoes}" if change.undoes else change.action
    back = f" (taken back by {change.undone_by})" if change.undone_by else ""
    return f"{change.id} · {_day(change)} {change.by or 'unnamed'}: {action}{back}. {'; '.join(told)}"


def _day(change: Change) -> str:
    return change.at[:16].replace("T", " ")


# -- changes


def _seen(product: Product) -> Product:
    """The product as this session's form shows it, which may be older than what others have made of it since."""
    seen: Product = st.session_state.setdefault(widgets.EDITING, product)
    if seen.sku != product.sku:
        seen = st.session_state[widgets.EDITING] = product
    if seen != product:
        st.warning("Somebody has changed this product since you opened it.", icon=":material/sync_problem:")
        if st.button("Show the new values", icon=":material/refresh:"):
            st.session_state.pop(widgets.EDITING)
            st.rerun()
    return seen


def _mark(product: Product) -> str:
    """A short name of a product's state: inputs for another state are other inputs."""
    return f"{crc32(product.as_json().encode()):08x}"


def _edit(found: Matcher, product: Product) -> None:
    with st.expander("Edit", icon=":material/edit:"):
        seen = _seen(product)
        with st.form("edit", border=False):
            fields = text_fields(seen, "edit")
            st.markdown("Other facts; an empty value takes one away")
            rows = [{"Fact": key, "Value": value} for key, value in seen.attributes.items()]
            table = st.data_editor(
                rows or [{"Fact": "", "Value": ""}], num_rows="dynamic", hide_index=True, key=f"facts_{_mark(seen)}"
            )
            attributes = {str(row["Fact"]): str(row["Value"]) for row in table if row.get("Fact") and row.get("Value")}
            if st.form_submit_button("Save", type="primary", icon=":material/save:"):
                wanted = Product(product.sku, **fields, attributes=attributes)
                widgets.act(partial(editing.change_product, found, seen, wanted), "Saved.")
    with st.popover("Remove this product", icon=":material/delete:"):
        st.markdown("It goes with its pictures and is no longer found in photos. It can be brought back.")
        if st.button("Remove it", type="primary", icon=":material/delete:"):
            widgets.act(partial(editing.remove, found, product.sku), f"{product.name or product.sku} was removed.")

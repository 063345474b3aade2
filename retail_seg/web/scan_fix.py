"""What can be mended in a scan: what an instance is, here and in its look-alikes; split, delete, undo."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import streamlit as st
from streamlit_image_coordinates import streamlit_image_coordinates

from catalogue import Product
from retail_seg.matcher import Matcher
from retail_seg.report import ReportLine
from retail_seg.scans import corrections
from retail_seg.scans.review import Review, crop_of, reference_picture
from retail_seg.scans.view import draw_parts, squared
from retail_seg.web import barcode
from retail_seg.web.shared import errors_as_sentences, matcher, may, store_folder
from retail_seg.web.text import plain

OTHER, NEW, NONE = "other", "new", "none"
#: Width, in pixels, of a picture among others: three stand side by side on a phone.
CARD = 92


def panel(found: Matcher, review: Review, number: int) -> None:
    """All about one instance: its crop beside its candidates, and what a person may say about it."""
    line = review.line(number)
    assert line is not None
    with st.container(border=True):
        question = " ?" if line.proposed else ""
        st.markdown(f"### Number {number}: {plain(line.best_name) or 'unknown'}{question}")
        st.caption(_why(review, line))
        _candidates(found, review, line)
        if not may("staff"):
            st.caption(":material/lock: Only staff can correct scans.")
            return
        _fix(found, review, line)
        _split(found, review, line)
        if st.button("Delete: this is no product", icon=":material/delete:", key=f"delete {number}"):
            with errors_as_sentences():
                corrections.delete(found, review.scan.id, [number])
            st.rerun()


def _why(review: Review, line: ReportLine) -> str:
    decided = review.decided.get(line.id)
    if decided:
        by, at, decision = decided
        return f"{decision} by {plain(by) or 'somebody'}, {at[:16].replace('T', ' ')} UTC"
    lead = f"lead over the next {line.identification.margin:.2f}" if len(line.matches) > 1 else "no other candidate"
    merged = " · its outline looks like several products in one: see *Split*" if line.merged else ""
    odd = " · those beside it that look the same say another product" if line.identification.odd else ""
    return f"{review.certainty[line.id]} · probability {line.probability:.0%} · {lead}{merged}{odd}"


def _candidates(found: Matcher, review: Review, line: ReportLine) -> None:
    """The crop, and beside it the best reference of each candidate with its score."""
    with st.container(horizontal=True, gap="small"):
        with st.container(width=CARD):
            st.image(squared(crop_of(found, review.scan.id, line.id)[0]), width=CARD, alt=f"Crop of number {line.id}")
            st.caption(f"**In the photo: {line.id}**")
        for rank, match in enumerate(line.matches[:5], 1):
            with st.container(width=CARD):
                picture = reference_picture(found, match.reference_id, 200)
                if picture is not None:
                    st.image(squared(picture), width=CARD, alt=f"Best reference of {match.name or match.sku}")
                st.caption(f"{rank} · {plain(match.name or match.sku)} · score {match.score:.2f}")


def _fix(found: Matcher, review: Review, line: ReportLine) -> None:
    """Say what it is, for this one and for those that look alike."""
    choice = _choice(review, line)
    product = _product(found, review, choice, line)
    numbers = _ticked(found, review, line)
    remember = choice not in (NONE, NEW) and st.checkbox(
        f"Keep the picture of number {line.id} as a reference: later scans will know it by it",
        key=f"remember {review.scan.id} {line.id}",
    )
    count = f" (number {line.id} alone)" if len(numbers) == 1 else f" to {len(numbers)} products"
    label = "Make the product and apply it" if choice == NEW else "Apply"
    if st.button(
        label + count, type="primary", icon=":material/check:", disabled=product is None, key=f"apply {line.id}"
    ):
        assert product is not None
        with errors_as_sentences():
            if choice == NEW:
                corrections.new_product(found, review.scan.id, numbers, product)
            else:
                kept = [line.id] if remember else []
                corrections.decide(found, review.scan.id, numbers, product.sku, remember=kept)
        st.rerun()


def _choice(review: Review, line: ReportLine) -> str:
    """A candidate's SKU, or one of OTHER, NEW, NONE."""
    names = {match.sku: plain(f"{match.name or match.sku} ({match.sku})") for match in line.matches[:5]}
    if line.best_sku:
        names = {line.best_sku: plain(f"{line.best_name} ({line.best_sku})")} | names
    names |= {OTHER: "Another product: search …", NONE: "None of the catalogue: unknown"}
    if may("manager"):
        names[NEW] = "A new product …"
    first = list(names).index(line.best_sku or (NONE if line.id in review.decided else next(iter(names))))
    return st.radio(
        "What is it?", list(names), first, format_func=names.__getitem__, key=f"what {review.scan.id} {line.id}"
    )


def _product(found: Matcher, review: Review, choice: str, line: ReportLine) -> Product | None:
    """The product that was chosen or typed; None while there is none. An empty SKU stands for unknown."""
    if choice == NEW:
        return _typed(found, review, line)
    if choice != OTHER:
        return Product("" if choice == NONE else choice)
    text = st.text_input(
        "Name, SKU or GTIN", key=f"search {line.id}", placeholder="for example cola, or the barcode's digits"
    )
    barcode.scan_into(f"search {line.id}")
    hits = corrections.find_products(found, text)
    if text.strip() and not hits:
        st.caption("No product has that. Try fewer letters, or make a new product.")
    if not hits:
        return None
    names = {p.sku: plain(f"{p.name or p.sku} ({p.sku}{', ' + p.brand if p.brand else ''})") for p in hits}
    sku = st.radio("Found", list(names), format_func=names.__getitem__, key=f"found {line.id} {text}")
    return Product(sku)


def _typed(found: Matcher, review: Review, line: ReportLine) -> Product | None:
    if read := _words_on(found.identity, review.scan.id, line.id):
        st.caption(f":material/text_fields: Read on it: {plain(read)}")
    with st.container(horizontal=True):
        sku = st.text_input("SKU", key=f"new sku {line.id}")
        name = st.text_input("Name", key=f"new name {line.id}")
    with st.container(horizontal=True):
        brand = st.text_input("Brand", key=f"new brand {line.id}")
        category = st.text_input("Category", key=f"new category {line.id}")
        gtin = st.text_input("GTIN", key=f"new gtin {line.id}")
    st.caption(f"The crops that are ticked (at most {corrections.MAX_REFERENCES}) become its reference pictures.")
    return Product(sku, name, brand, category, gtin) if sku.strip() and name.strip() else None


@st.cache_data(max_entries=300, show_spinner=False)
def _words_on(store: str, scan: int, number: int) -> str:
    """What stands on an instance; its crop never changes."""
    return corrections.words_on(matcher(store_folder()), scan, number)


def _ticked(found: Matcher, review: Review, line: ReportLine) -> list[int]:
    """This instance and those of its look-alikes that stay ticked."""
    alike = corrections.look_alikes(found, review, line.id)
    if not alike:
        return [line.id]
    st.markdown(f"**Apply it to look-alikes, too?** {sum(one.proposed for one in alike)} of {len(alike)} are ticked.")
    numbers = [line.id]
    with st.container(horizontal=True):
        for one in alike:
            with st.container(width=CARD):
                st.image(
                    squared(crop_of(found, review.scan.id, one.number)[0]),
                    width=CARD,
                    alt=f"Crop of number {one.number}",
                )
                tick = st.checkbox(
                    f"{one.number} ({one.score:.2f})", one.proposed,
                    key=f"alike {review.scan.id} {line.id} {one.number}",
                    help=f"Number {one.number}: {title_of(review, one.number)}",
                )  # fmt: skip
                numbers += [one.number] if tick else []
    return numbers


def title_of(review: Review, number: int) -> str:
    """What an instance is taken for."""
    line = review.line(number)
    return plain(line.best_name) if line is not None and line.best_sku else "unknown"


def _split(found: Matcher, review: Review, line: ReportLine) -> None:
    """Several products in one outline: marked by points on the crop, or proposed."""
    with st.expander("Split: several products in one", expanded=line.merged):
        id_ = f"{review.scan.id} {line.id}"
        points: list[tuple[float, float]] = st.session_state.setdefault(f"points {id_}", [])
        crop, mask = crop_of(found, review.scan.id, line.id)
        parts = _parts(found, review, line, points)
        st.caption("Tap once on each of the products, or let the program propose where they part.")
        with st.container(width=380):
            click = streamlit_image_coordinates(
                draw_parts(crop, mask, parts, points),
                key=f"crop {id_}", width="stretch", image_format="JPEG", cursor="crosshair",
            )  # fmt: skip
        if click and click["unix_time"] != st.session_state.get(f"crop click {id_}"):
            st.session_state[f"crop click {id_}"] = click["unix_time"]
            st.session_state.pop(f"proposal {id_}", None)
            points.append((click["x"] / click["width"], click["y"] / click["height"]))
            st.rerun()
        with st.container(horizontal=True):
            if st.button("Propose parts", icon=":material/auto_awesome:", key=f"propose {id_}"):
                with errors_as_sentences():
                    st.session_state[f"proposal {id_}"] = corrections.propose_parts(found, review, line.id)
                st.rerun()
            if (points or parts is not None) and st.button(
                "Start again", icon=":material/restart_alt:", key=f"clear {id_}"
            ):
                points.clear()
                st.session_state.pop(f"proposal {id_}", None)
                st.rerun()
            if parts is not None and st.button(f"Split into {int(parts.max())}", type="primary", key=f"split {id_}"):
                with errors_as_sentences():
                    corrections.split(found, review, line.id, parts)
                st.rerun()


def _parts(found: Matcher, review: Review, line: ReportLine, points: list[tuple[float, float]]) -> np.ndarray | None:
    """The proposal, or what the marked points make, None before either."""
    proposal: np.ndarray | None = st.session_state.get(f"proposal {review.scan.id} {line.id}")
    if proposal is not None or len(points) < 2:
        return proposal
    with errors_as_sentences():
        return corrections.parts_at(found, review.scan.id, line.id, points)
    return None


def last_change(found: Matcher, review: Review) -> None:
    """The latest change that stands, with a button that takes it back."""
    standing = [change for change in review.changes if not change.undone_at]
    if standing:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f":material/edit: {_told(review, standing[0].id)}")
            _undo(found, standing[0].id, "last")


def history(found: Matcher, review: Review) -> None:
    """Every change of this scan, newest first."""
    if not review.changes:
        return
    with st.expander(f"Changes of this scan ({len(review.changes)})"):
        for change in review.changes:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(_told(review, change.id))
                if change.undone_at:
                    st.caption(f"taken back by {plain(change.undone_by) or 'somebody'}")
                else:
                    _undo(found, change.id, "list")


def _told(review: Review, change_id: int) -> str:
    change = next(change for change in review.changes if change.id == change_id)
    name = review.report.names.get(change.sku, change.sku)
    what = f" as **{plain(name)}**" if change.sku else ""
    kept = f", {len(change.references)} kept as references" if change.references else ""
    went = _numbers(change.removed or [row[0] for row in change.before])
    came = f" into {_numbers(change.added)}" if change.added else ""
    return f"{plain(change.by) or 'Somebody'}: {change.action} {went}{came}{what}{kept}, {change.at[11:16]} UTC"


def _numbers(numbers: Iterable[int]) -> str:
    return ", ".join(str(n) for n in numbers)


def _undo(found: Matcher, change: int, place: str) -> None:
    if may("staff") and st.button("Undo", icon=":material/undo:", key=f"undo {place} {change}"):
        with errors_as_sentences():
            corrections.undo(found, change)
        st.rerun()

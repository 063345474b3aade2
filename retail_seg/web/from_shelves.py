"""From shelves: what came out unknown in photos, in groups of look-alikes; each is named once, for all scans."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from catalogue import Product
from retail_seg.photos.load import SUFFIXES
from retail_seg.products import from_shelves
from retail_seg.products.from_shelves import Named
from retail_seg.scans.review import MAX_PHOTO_MB, MAX_PHOTOS, ScanBatch, scan_photos
from retail_seg.system.jobs import Job
from retail_seg.system.progress import OnProgress
from retail_seg.web import barcode, shelf_names, widgets
from retail_seg.web.shared import errors_as_sentences, jobs, matcher, may, page_guard, person, store_folder
from retail_seg.web.text import counted, plain, sentence

if TYPE_CHECKING:
    from catalogue.groups import FacingPlace, Group, GroupChange
    from retail_seg.matcher import Matcher
    from retail_seg.products.listed_names import GroupNames

#: Groups on one page, facings of a group that are shown, and those of groups that may be the same.
PER_PAGE, SHOWN, SHOWN_ALIKE = 8, 12, 4
#: Height, in pixels, of the facings in a strip.
TALL = 120
KIND = "shelves"
#: Two facings stand side by side on a phone, whole ones.
_FACING = "height:96px;max-width:150px;object-fit:contain;border-radius:4px"
_SAID, _TYPED, _CHANGING, _ALL = "shelves said", "shelves typed", "shelves changing", "shelves whole groups"


def page() -> None:
    """The page: new photos, work under way, the last step with its undo, and the groups."""
    st.title("From shelves")
    page_guard("staff")
    with errors_as_sentences():
        found = matcher(store_folder())
    st.caption("Photograph the shelf, name what you see. Each group is named once; every photo is corrected by it.")
    photos(found)
    running(found)
    groups(found)


# -- photos


def photos(found: Matcher) -> None:
    """Where new photos are given; they are scanned and grouped in the background."""
    uploads = st.file_uploader(
        "Photos of shelves",
        type=[suffix.removeprefix(".") for suffix in SUFFIXES],
        accept_multiple_files=True,
        max_upload_size=MAX_PHOTO_MB,
        key="shelf photos",
        help=f"JPEG, PNG, WebP, TIFF, BMP or HEIC; up to {MAX_PHOTOS} at once, each up to {MAX_PHOTO_MB} MB.",
    )
    seen: set[str] = st.session_state.setdefault("seen shelves", set())
    fresh = [one for one in uploads or [] if one.file_id not in seen]
    seen.update(one.file_id for one in fresh)
    if fresh:
        start(found, [(one.name, one.getvalue()) for one in fresh])


def start(found: Matcher, given: list[tuple[str, bytes]]) -> None:
    """Scan photos, keep them, and group what nobody has named."""
    start_with(found, lambda tell: scan_photos(found, given, tell, force=True))


def start_with(found: Matcher, make: Callable[[OnProgress], ScanBatch]) -> None:
    """Make scans and group what nobody has named, in the background; the address names the job."""

    def work(job: Job) -> ScanBatch:
        done = make(lambda share, text: job.report(0.7 * share, text))
        from_shelves.group_unknown(found, _told(job))
        return done

    widgets.open_job(jobs().start(KIND, "Photos", work, by=person().name))


def regroup(found: Matcher) -> None:
    """Group what nobody has named, in the background."""

    def work(job: Job) -> ScanBatch:
        from_shelves.group_unknown(found, _told(job))
        return ScanBatch()

    widgets.open_job(jobs().start(KIND, "Grouping", work, by=person().name))


def _told(job: Job) -> Callable[[Any, int], Any]:
    """The OnPairs that tells a job how far the comparing is."""

    def told(items: Any, total: int) -> Any:
        for done, item in enumerate(items):
            if done % 200 == 0:
                job.report(0.7 + 0.3 * done / max(total, 1), "comparing what looks alike")
            yield item

    return told


def running(found: Matcher) -> None:
    """Progress while photos are scanned; what failed when that has ended."""
    job = widgets.asked_job(KIND)
    if job is None:
        return
    if job.running:
        widgets.watch(job)
        return
    widgets.failure(job)
    for problem in job.result.failed if isinstance(job.result, ScanBatch) else ():
        st.error(sentence(problem), icon=":material/broken_image:")


# -- groups


def groups(found: Matcher) -> None:
    """The last step with its undo, and a page of the groups."""
    unnamed, fresh = from_shelves.count_unnamed(found)
    waiting, later = from_shelves.open_groups(found), from_shelves.later_groups(found)
    widgets.show_notices()
    _last_step(found)
    if fresh and not jobs().running(KIND):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{counted(fresh, 'facing')} of kept scans are unknown and in no group yet.", width="content")
            if st.button("Group them", icon=":material/category:", type="primary"):
                regroup(found)
    if not unnamed and not jobs().running(KIND):
        st.info(
            "Nothing is unknown. Give photos of a shelf above, or scan some under **Scan**: what the catalogue does "
            "not know comes here.",
            icon=":material/check_circle:",
        )
    if waiting:
        shelf_names.reading(found)
    rows = st.container()
    first = widgets.pages(len(waiting), PER_PAGE, "shelves_page")
    names = shelf_names.of_groups(found, tuple((one.id, len(one.places)) for one in waiting))
    with rows:
        if waiting:
            _head(found, waiting, later)
        for one in waiting[first : first + PER_PAGE]:
            _group(found, one, waiting, names.get(one.id))
    if later and st.button(f"Take up {counted(len(later), 'group')} put off for later", icon=":material/undo:"):
        _step(lambda: from_shelves.take_up(found, [one.id for one in later]), "Taken up again.")


def _head(found: Matcher, waiting: list[Group], later: list[Group]) -> None:
    facings = sum(len(one.places) for one in waiting)
    with st.container(horizontal=True, vertical_alignment="center"):
        after = f", {len(later)} put off" if later else ""
        st.markdown(f"**{counted(len(waiting), 'group')}** of {counted(facings, 'facing')}{after}", width="content")
        if st.button("All the rest later", icon=":material/schedule:", help="Puts all groups off; none is lost."):
            _step(lambda: from_shelves.put_off(found, [one.id for one in waiting]), "Put off.")


def _group(found: Matcher, one: Group, waiting: list[Group], names: GroupNames | None) -> None:
    with st.container(border=True):
        shown = _shown(one)
        st.html(_facings(str(found.folder), found.identity, shown))
        shots = len({scan for scan, _ in one.places})
        with st.container(horizontal=True, vertical_alignment="center"):
            read = shelf_names.evidence(names)
            st.caption(f"{counted(len(one.places), 'facing')} in {counted(shots, 'photo')}{read}", width="content")
            _all_or_some(one)
        _naming(found, one, names)
        if st.session_state.get(_CHANGING) == one.id:
            _changing(found, one, waiting)


def _shown(one: Group) -> tuple[FacingPlace, ...]:
    """The facings of a group that are shown: the first, or all where that was asked for."""
    return one.places if one.id in st.session_state.get(_ALL, ()) else one.places[:SHOWN]


def _all_or_some(one: Group) -> None:
    """The button that shows all facings of a group, or the first of them again."""
    if len(one.places) <= SHOWN:
        return
    wanted: set[int] = st.session_state.setdefault(_ALL, set())
    text = f"Show {SHOWN}" if one.id in wanted else f"Show all {len(one.places)}"
    st.button(text, key=f"all {one.id}", type="tertiary", on_click=lambda: wanted.symmetric_difference_update([one.id]))


def _naming(found: Matcher, one: Group, names: GroupNames | None) -> None:
    """Where a group is named: what it may be, a field for a name, and what came near what was typed."""
    _offered(found, one, names)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        form = st.form(f"name {one.id}", border=False, width="stretch")
        with form, st.container(horizontal=True, vertical_alignment="bottom"):
            text = st.text_input("Name, SKU or GTIN", key=f"typed {one.id}", max_chars=200)
            sent = st.form_submit_button("Save", type="primary", icon=":material/check:")
        barcode.scan_into(f"typed {one.id}")
        if st.button("Later", key=f"later {one.id}", icon=":material/schedule:"):
            _step(lambda: from_shelves.put_off(found, [one.id]), "Put off.")
        if st.button(
            "Change", key=f"change {one.id}", icon=":material/edit:", help="Take facings out, or merge groups"
        ):
            st.session_state[_CHANGING] = None if st.session_state.get(_CHANGING) == one.id else one.id
            st.rerun()
    if sent:
        _typed(found, one, text)
    if st.session_state.get(_TYPED, (None,))[0] == one.id:
        _choose(found, one, st.session_state[_TYPED][1])


def _offered(found: Matcher, one: Group, names: GroupNames | None) -> None:
    """What a group may be, a button each: the product that it looks like first, then names of the list."""
    proposal = _proposal(str(found.folder), found.identity, found.revision, one.places)
    if proposal is None and not (names and names.offers):
        return
    with st.container(horizontal=True):
        if proposal is not None:
            sku, name, probability = proposal
            if st.button(f"{plain(name or sku)} ({probability:.0%})", key=f"is {one.id}", icon=":material/lightbulb:"):
                _named(found, one, Product(sku, name))
        if (listed := shelf_names.offered(names, f"listed {one.id}")) is not None:
            _named(found, one, listed)


def _typed(found: Matcher, one: Group, text: str) -> None:
    """A name was typed: the product that has it, a new one, or a question."""
    if not text.strip():
        st.warning("Type a name, a SKU or a GTIN first.", icon=":material/edit:")
        return
    with errors_as_sentences():
        product, hits = from_shelves.typed_product(found, text)
        if product is not None:
            _named(found, one, product)
        if not hits and may("manager"):
            _named(found, one, from_shelves.new_product(found, text))
    st.session_state[_TYPED] = (one.id, text)


def _choose(found: Matcher, one: Group, text: str) -> None:
    """Products that come near what was typed, and the new one that it may be."""
    _, hits = from_shelves.typed_product(found, text)
    st.markdown(f"**Which is it?** “{plain(text)}” is no product's whole name.")
    with st.container(horizontal=True):
        for hit in hits:
            if st.button(f"{plain(hit.name or hit.sku)} ({plain(hit.sku)})", key=f"hit {one.id} {hit.sku}"):
                _named(found, one, hit)
        if may("manager"):
            if st.button(f"A new product: {plain(text)}", key=f"new {one.id}", icon=":material/add:"):
                _named(found, one, from_shelves.new_product(found, text))
        elif not hits:
            st.caption(":material/lock: Only a manager can add products.")


def _named(found: Matcher, one: Group, product: Product) -> None:
    with errors_as_sentences(), st.spinner("Saving …"):
        done: Named = from_shelves.name_group(found, one.id, product)
    st.session_state.pop(_TYPED, None)
    name = done.product.name or done.product.sku
    st.session_state[_SAID] = (
        f"{name} ({done.product.sku}): {counted(done.facings, 'facing')} in {counted(done.scans, 'photo')} counted."
    )
    st.rerun()


def _changing(found: Matcher, one: Group, waiting: list[Group]) -> None:
    """Facings that are another product, and groups that are the same."""
    shown = _shown(one)
    if len(one.places) > 1:
        ticked = st.pills(
            "Facings that are another product, counted from the left", range(1, len(shown) + 1),
            selection_mode="multi", key=f"ticked {one.id}",
        )  # fmt: skip
        chosen = [shown[number - 1] for number in ticked or ()]
        with st.container(horizontal=True):
            if st.button("Split off as one group", key=f"split {one.id}", disabled=not chosen):
                _step(partial(from_shelves.take_out, found, one.id, chosen), "Split.")
            if st.button("Take out, each alone", key=f"out {one.id}", disabled=not chosen):
                _step(partial(from_shelves.take_out, found, one.id, chosen, together=False), "Taken out.")
    st.markdown("**The same product as …**")
    for other in from_shelves.nearest_groups(found, one, waiting):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.html(_facings(str(found.folder), found.identity, other.places[:SHOWN_ALIKE]), width="content")
            if st.button(f"Merge ({counted(len(other.places), 'facing')})", key=f"merge {one.id} {other.id}"):
                _step(partial(from_shelves.merge, found, one.id, [other.id]), "Merged.")
    for number, image, at in from_shelves.where(found, one)[:10]:
        label = f"scan {number} · {plain(image)} · {at[:16].replace('T', ' ')} UTC"
        page, address = st.Page(_scans, url_path="scans"), {"scan": str(number)}
        st.page_link(page, label=label, icon=":material/image_search:", query_params=address)


def _scans() -> None:
    """Stands for the page Scans in a link."""


# -- steps


def _step(change: Callable[[], GroupChange], text: str) -> None:
    with errors_as_sentences():
        change()
    st.session_state[_SAID] = text
    st.rerun()


def _last_step(found: Matcher) -> None:
    """What was just done, and the button that takes the newest step back."""
    said = st.session_state.pop(_SAID, None)
    last = from_shelves.last_step(found)
    if last is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if said:
            st.success(plain(said), icon=":material/check_circle:")
        about = f"{last.action}{f' {last.sku}' if last.sku else ''}"
        if st.button(f"Undo: {plain(about)}", icon=":material/undo:", key="undo step"):
            _step(lambda: from_shelves.undo(found, last.id), "Taken back.")


@st.cache_data(max_entries=500, show_spinner=False)
def _facings(store: str, identity: str, places: tuple[tuple[int, int], ...]) -> str:
    """Facings side by side as HTML, as many a row as there is room for; a facing's crop never changes."""
    found = matcher(store_folder())
    cards = []
    for number, place in enumerate(places, 1):
        data = b64encode(from_shelves.small_crop(found, place, TALL)).decode()
        image = f'<img src="data:image/jpeg;base64,{data}" alt="facing {number}" style="{_FACING}">'
        cards.append(f'<figure style="margin:0;text-align:center;font-size:12px">{image}<br>{number}</figure>')
    return f'<div style="display:flex;flex-wrap:wrap;gap:6px">{"".join(cards)}</div>'


@st.cache_data(max_entries=500, show_spinner=False)
def _proposal(
    store: str, identity: str, revision: int, places: tuple[tuple[int, int], ...]
) -> tuple[str, str, float] | None:
    """What a group may be, at a revision of the catalogue."""
    one = from_shelves.proposal(matcher(store_folder()), places)
    return None if one is None else (one.sku, one.name, one.probability)

"""Import: a file is looked through first, then written in the background, and told line by line."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from catalogue.errors import UnknownColumns
from catalogue.mapping import FIELDS
from retail_seg.products import uploads
from retail_seg.products.uploads import ENDINGS, MAX_BYTES, ImportRun, ImportUpload, UploadLine
from retail_seg.system.jobs import Job
from retail_seg.system.progress import DONE
from retail_seg.web import widgets
from retail_seg.web.shared import errors_as_sentences, jobs, matcher, page_guard, store_folder
from retail_seg.web.text import age, plain

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

#: Kinds of jobs; each begins with the same word, by which the page knows its own.
CHECK, WRITE, UNDO = "import-check", "import-write", "import-undo"
#: What each of our columns is, for who says which of a table's it is.
OUR_COLUMNS = {
    "sku": "SKU: your own number of the product", "name": "Name", "brand": "Brand", "category": "Category",
    "gtin": "GTIN: the number under the barcode", "image": "Pictures: names of files, split by |",
}  # fmt: skip
#: Lines of the table on one page.
SIZE = 100
SIGNS = {"added": "+ added", "changed": "~ changed", "unchanged": "= unchanged", "refused": "✕ refused"}
HELP = """
- A table (CSV, TSV or JSON Lines) with the columns `sku, name, brand, category, gtin`; any other column becomes a fact
  of the product. Where columns are called otherwise, you are asked which is which. Exports of Google Merchant, Google
  Product Search and Open Food Facts are understood as they are.
- A zip brings pictures along: a table whose column `image` names them (`front.jpg|back.jpg`), pictures whose file names
  begin with a row's SKU, GTIN or name, or one folder of pictures per product, named like its SKU.
- At most {size} MB a file; a picture at most 64 MB; a zip with at most 200,000 files.
"""


def page() -> None:
    """The upload, or the work that the address names (`?job=`): a check, an import, or its taking back."""
    st.title("Import")
    page_guard("manager")
    with errors_as_sentences():
        found = matcher(store_folder())
    widgets.show_notices()
    job = widgets.asked_job("import")
    if job is None:
        _ask(found)
        return
    _start_anew()
    if job.running:
        widgets.watch(job)
    widgets.failure(job)
    if isinstance(job.result, ImportUpload):
        _checked(found, job, job.result)
    elif isinstance(job.result, ImportRun):
        _imported(found, job, job.result)


def _ask(found: Matcher) -> None:
    st.markdown("Choose a file. It is looked through first, and nothing is written before you say so.")
    fetch = st.toggle(
        "Fetch pictures that the file names by web address",
        help="At most 20 MB and 20 seconds each, and never from a private network.",
    )
    content = st.file_uploader(
        "Table or zip of products",
        type=[ending.removeprefix(".") for ending in ENDINGS],
        max_upload_size=MAX_BYTES >> 20,
        key="import_file",
    )
    st.markdown(HELP.format(size=MAX_BYTES >> 20))
    _latest()
    if content is None:
        return
    with errors_as_sentences():
        upload = uploads.receive(content.name, content, fetch=fetch)
    job = jobs().start(CHECK, f"Check {upload.name}", partial(_check, found, upload))
    job.wait(1.0)
    widgets.open_job(job)


def _check(found: Matcher, upload: ImportUpload, job: Job) -> ImportUpload:
    job.result = upload
    return uploads.check(found, upload, job.report)


def _latest() -> None:
    """A way back to the import of this process that was started last."""
    job = jobs().latest(WRITE)
    if job is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{plain(job.title)}: {job.state}, {age(job.ended or job.started)} ago", width="content")
        if st.button("Show it", icon=":material/history:", type="tertiary"):
            widgets.open_job(job)


def _start_anew() -> None:
    if st.button("Another file", icon=":material/arrow_back:", type="tertiary"):
        st.query_params.clear()
        st.rerun()


# -- what an import would do


def _checked(found: Matcher, job: Job, upload: ImportUpload) -> None:
    st.subheader(plain(upload.name))
    if upload.question is not None and not job.running:
        _ask_columns(found, upload, upload.question)
    if upload.file is None:
        return
    notes = "".join(f"; {note}" for note in upload.file.notes)
    st.caption(plain(f"{upload.file.title}, {len(upload.file.wanted):,} products, "
                           f"{upload.file.pictures:,} pictures{notes}"))  # fmt: skip
    replace = _options(upload)
    _table(upload.lines, job.id, replace=replace, file_name="check.csv")
    if job.state != DONE:
        return
    if not upload.file.wanted:
        st.error("No line of this file can be imported. Mend it as the table says, then choose it again.")
        return
    if not upload.kept:
        st.info("This file has been imported, or is no longer kept here. To import it again, choose it again.")
        return
    writing = sum(line.writes(replace=replace) for line in upload.lines)
    if not writing:
        st.success("Nothing to import: the catalogue holds all of this already.", icon=":material/check:")
        return
    what = f"Import {writing:,} {'product' if writing == 1 else 'products'}"
    if st.button(what, type="primary", icon=":material/download_done:"):
        _start(found, upload, replace)


def _ask_columns(found: Matcher, upload: ImportUpload, question: UnknownColumns) -> None:
    """Which of the table's columns are ours: proposed, shown with what stands in them, and remembered."""
    st.info("Its columns are called otherwise. Say which is which; it is asked once for tables like this one.")
    chosen: dict[str, str] = {}
    with st.form("columns"):
        for field in FIELDS:
            proposed = question.proposed.get(field)
            column = st.selectbox(
                OUR_COLUMNS[field], question.columns, key=f"column {field}", placeholder="None of them",
                index=question.columns.index(proposed) if proposed else None,
                format_func=lambda one: " – ".join([one, ", ".join(question.samples[one])[:60]]),
            )  # fmt: skip
            if column is not None:
                chosen[field] = column
        sent = st.form_submit_button("Use these columns", type="primary", icon=":material/check:")
    if not sent:
        return
    if "sku" not in chosen:
        st.warning("Choose the column of the SKU: the number by which a product is known.", icon=":material/edit:")
        return
    upload.columns = chosen
    job = jobs().start(CHECK, f"Check {upload.name}", partial(_check, found, upload))
    job.wait(1.0)
    widgets.open_job(job)


def _options(upload: ImportUpload) -> bool:
    """Whether fields that differ are to be overwritten; and hints about what the table cannot say."""
    if not upload.packed and any("no such file" in problem for line in upload.lines for problem in line.problems):
        st.info(
            "A table alone brings no pictures along: pack it together with its pictures into one zip.",
            icon=":material/folder_zip:",
        )
    if not any(line.status == "changed" and line.changes for line in upload.lines):
        return False
    return st.toggle(
        "Overwrite what differs",
        key=f"replace_{id(upload)}",
        help="Fields of products that are there already get the file's values; an empty cell says nothing.",
    )


def _start(found: Matcher, upload: ImportUpload, replace: bool) -> None:
    run = ImportRun(upload.name, replace)
    with errors_as_sentences():
        job = jobs().start(WRITE, f"Import {upload.name}", partial(_write, found, upload, run), alone=True)
    job.wait(1.0)
    widgets.open_job(job)


def _write(found: Matcher, upload: ImportUpload, run: ImportRun, job: Job) -> ImportRun:
    job.result = run
    return uploads.run(found, upload, run, job.report)


# -- what it has done


def _imported(found: Matcher, job: Job, run: ImportRun) -> None:
    st.subheader(plain(run.name))
    written = len(run.changes)
    if job.kind == UNDO:
        _taken_back(job, run)
    elif job.state == DONE:
        st.success(f"Imported: {written:,} products were added or changed.", icon=":material/check_circle:")
    elif not job.running:
        st.info(
            f"{written:,} products were written, each of them whole; the others were left alone. Choose the file again "
            "to go on: what is there already is passed over.",
            icon=":material/info:",
        )
    _table(run.lines, job.id, replace=run.replace, file_name="import.csv")
    if not job.running and written and not run.taken_back:
        with st.popover("Take this import back", icon=":material/undo:"):
            st.markdown(f"Undoes all {written:,} changes, but none that somebody has changed again since.")
            if st.button("Take it back", type="primary", icon=":material/undo:"):
                _undo(found, run)


def _undo(found: Matcher, run: ImportRun) -> None:
    with errors_as_sentences():
        job = jobs().start(UNDO, f"Take back {run.name}", partial(_take_back, found, run), alone=True)
    job.wait(1.0)
    widgets.open_job(job)


def _take_back(found: Matcher, run: ImportRun, job: Job) -> ImportRun:
    job.result = run
    return uploads.take_back(found, run, job.report)


def _taken_back(job: Job, run: ImportRun) -> None:
    if job.state == DONE:
        st.success(f"{run.taken_back:,} changes were taken back.", icon=":material/undo:")
    for problem in run.left:
        st.warning(plain(problem), icon=":material/warning:")


# -- the table


def _table(lines: list[UploadLine], key: str, *, replace: bool, file_name: str) -> None:
    """The lines of a file with what becomes of each, by status, a page at a time, and all of them to download."""
    number = uploads.counts(lines)
    choices = {"": f"All ({len(lines):,})"}
    choices |= {status: f"{plain(SIGNS[status])} ({number[status]:,})" for status in SIGNS if number[status]}
    if number["remarks"]:
        choices["remarks"] = f"▥ with barcodes that differ ({number['remarks']:,})"
    if number["problems"]:
        choices["problems"] = f"⚠ with problems ({number['problems']:,})"
    status = st.segmented_control(
        "Lines", list(choices), default="", format_func=choices.__getitem__, key=f"status_{key}", required=True
    )
    rows = st.container()
    start = widgets.pages(uploads.portion(lines, status or "", 0, 0)[1], SIZE, f"lines_{key}_{status}")
    shown, _ = uploads.portion(lines, status or "", start, SIZE)
    rows.dataframe(
        [_row(line, replace) for line in shown], hide_index=True, width="stretch", alt="What becomes of each line"
    )
    st.download_button(
        "All lines (CSV)",
        partial(uploads.to_csv, list(lines), replace=replace),
        file_name,
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _row(line: UploadLine, replace: bool) -> dict[str, object]:
    return {
        "Line": line.line or None,
        "Result": SIGNS[line.status],
        "SKU": line.sku,
        "Product": line.name,
        "Problems": "; ".join(line.problems),
        "Barcodes": line.remark,
        "New pictures": line.pictures,
        "Changes": line.text(replace=replace),
    }

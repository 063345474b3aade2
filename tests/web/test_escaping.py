"""Nothing that people or files call something is read as Markdown: every text that a page shows is looked at."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from retail_seg.web.text import plain, sentence

WEB = Path(__file__).parents[2] / "retail_seg/web"
#: What of Streamlit reads its text as Markdown, and the keywords under which it takes one.
SHOWS = {
    "error", "warning", "info", "success", "caption", "markdown", "write", "title", "header", "subheader", "progress",
    "button", "toggle", "checkbox", "popover", "expander", "form_submit_button", "download_button", "file_uploader",
}  # fmt: skip
TEXTS = ("text", "label", "caption", "help")
#: Functions that escape, or whose result is a number or words of the program's own.
SAFE_CALLS = {
    "plain", "sentence", "len", "sum", "int", "counted", "age", "count_accepted", "_numbers", "title", "next",
}  # fmt: skip
#: Variables that hold numbers, dates, or words of the program's own, wherever the pages use them.
SAFE_NAMES = {"number", "count", "rank", "limit", "at", "decision", "fingerprint", "short"}
#: The same, by the name of the field that holds them.
SAFE_FIELDS = {
    "at", "state", "certainty", "id", "number", "known", "unknown", "action", "started", "width", "height", "short",
    "true", "format",
}  # fmt: skip
#: Texts of the program's own that come as arguments or out of a table.
LITERAL = {
    "scan_result.py": {"label"}, "teach_annotate.py": {"text"}, "shelf_check.py": {"label"},
    "shelf_plans.py": {"label"}, "shelf_figures.py": {"label"}, "shelf_tasks.py": {"label"},
}  # fmt: skip


class Module:
    """A module of the pages: its functions and constants, which say what a text is made of."""

    def __init__(self, path: Path) -> None:
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.functions = {node.name: node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef)}

    def shown(self) -> Iterator[tuple[ast.FunctionDef, ast.expr]]:
        """Every text that is given to Streamlit, with the function that it stands in."""
        for function in self.functions.values():
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and _is_streamlit(node.func):
                    yield from ((function, text) for text in _texts(node))

    def safe(self, node: ast.expr, function: ast.FunctionDef) -> bool:
        """Whether a text holds nothing but words of the program, numbers, and what is escaped."""
        match node:
            case ast.Constant() | ast.Compare():
                return True
            case ast.FormattedValue(format_spec=ast.JoinedStr()):
                return True  # a format is a number's
            case ast.FormattedValue(value=value) | ast.keyword(value=value) | ast.Starred(value=value):
                return self.safe(value, function)
            case ast.JoinedStr(values=parts) | ast.BoolOp(values=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts):
                return all(self.safe(part, function) for part in parts)
            case ast.BinOp(left=one, right=two) | ast.IfExp(body=one, orelse=two):
                return self.safe(one, function) and self.safe(two, function)
            case ast.GeneratorExp(elt=one) | ast.ListComp(elt=one):
                return self.safe(one, function)
            case ast.Subscript(value=ast.Subscript() | ast.Attribute() | ast.Name() as value):
                return self.safe(value, function)
            case ast.Attribute(attr=name):
                return name in SAFE_FIELDS or name.isupper()
            case ast.Name(id=name):
                return name.isupper() or name in SAFE_NAMES or self._local(name, function)
            case ast.Call():
                return self._call(node, function)
        return False

    def _local(self, name: str, function: ast.FunctionDef) -> bool:
        """A variable of the function is as safe as all that it is ever given."""
        given = [
            node.value
            for node in ast.walk(function)
            if isinstance(node, (ast.Assign, ast.AugAssign, ast.NamedExpr, ast.AnnAssign)) and node.value is not None
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if name in [inner.id for inner in ast.walk(target) if isinstance(inner, ast.Name)]
        ]
        return bool(given) and all(self.safe(value, function) for value in given)

    def _call(self, call: ast.Call, function: ast.FunctionDef) -> bool:
        name = call.func.id if isinstance(call.func, ast.Name) else call.func.attr  # type: ignore[attr-defined]
        if name in SAFE_CALLS:
            return True
        if name in ("join", "format", "replace", "capitalize") and isinstance(call.func, ast.Attribute):
            return self.safe(call.func.value, function) and all(self.safe(arg, function) for arg in call.args)
        home = self if name in self.functions else next((m for m in MODULES.values() if name in m.functions), None)
        return home is not None and home.returns_safe(home.functions[name])

    def returns_safe(self, function: ast.FunctionDef) -> bool:
        """Whether all that a function returns is safe."""
        found = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
        return bool(found) and all(value is not None and self.safe(value, function) for value in found)


def _is_streamlit(called: ast.expr) -> bool:
    """`st.error`, `(st.warning if … else st.info)`, or a container's method of such a name."""
    if isinstance(called, ast.IfExp):
        return _is_streamlit(called.body)
    return isinstance(called, ast.Attribute) and called.attr in SHOWS


def _texts(call: ast.Call) -> Iterator[ast.expr]:
    if call.args and not (isinstance(call.func, ast.Attribute) and call.func.attr == "progress"):
        yield call.args[0]
    yield from (keyword.value for keyword in call.keywords if keyword.arg in TEXTS)


MODULES = {path.name: Module(path) for path in sorted(WEB.glob("*.py"))}


def unescaped(module: Module) -> list[ast.expr]:
    return [text for function, text in module.shown() if not module.safe(text, function)]


@pytest.mark.parametrize("name", MODULES)
def test_every_text_of_a_page_is_escaped(name: str) -> None:
    found = [(text.lineno, ast.unparse(text)) for text in unescaped(MODULES[name])]
    assert not [(line, text) for line, text in found if text not in LITERAL.get(name, ())]


def test_the_walk_finds_texts_and_what_is_not_escaped(tmp_path: Path) -> None:
    assert sum(len(list(module.shown())) for module in MODULES.values()) > 150
    page = tmp_path / "page.py"
    page.write_text(
        "def page(name, count):\n"
        "    st.error(str(name))\n    st.info(name)\n    st.caption(f'{count} of {plain(name)}')\n"
        "    word = name\n    st.button(f'Go {word}')\n    st.progress(1.0, text=f'{name}')\n"
        "    st.write(sentence(name))\n"
    )
    assert [text.lineno for text in unescaped(Module(page))] == [2, 3, 6, 7]


def test_commands_in_a_sentence_stay_code_and_all_else_is_plain() -> None:
    assert sentence("a*b*: run `retail-seg init`.") == r"a\*b\*: run `retail-seg init`\."
    assert plain("[x](y) :red[z] `a`") == "\\[x\\]\\(y\\) :\u2060red\\[z\\] \\`a\\`"

"""The one-way flow: which package may import which, and what must not be imported before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: The rooms of retail_seg from the lowest up: a room may import rooms above its line in this list, never below.
#: The front door stands among them as single modules.
ROOMS = (
    "errors", "__init__", "system", "people", "report", "photos", "rendering", "segmentation", "store", "matcher",
    "scans", "products", "chain", "fleet", "shelf", "evaluation", "runs", "teaching", "bench", "demo", "api", "web",
    "cli", "__main__",
)  # fmt: skip
#: Rooms, and single modules, that hold the three packages together.
JOINS = (
    "retail_seg/store/", "retail_seg/scans/", "retail_seg/products/", "retail_seg/shelf/", "retail_seg/evaluation/",
    "retail_seg/bench/", "retail_seg/cli/", "retail_seg/web/", "retail_seg/api/", "retail_seg/matcher.py",
    "retail_seg/chain/", "retail_seg/fleet/", "retail_seg/demo/", "retail_seg/system/user_errors.py",
    "retail_seg/teaching/imports.py",
)  # fmt: skip
#: Joins that are still to come.
COMING: tuple[str, ...] = ()
#: The front door: all that may lie loose in retail_seg.
LOOSE = {"__init__.py", "__main__.py", "errors.py", "matcher.py", "report.py"}
#: What takes long to import, or is not needed to answer `--help`.
HEAVY = ("torch", "torchvision", "faiss", "streamlit", "openvino", "cv2", "skimage", "scipy", "pandas", "PIL")


def modules(package: str) -> list[Path]:
    """The package's source files, relative to the root."""
    return sorted(path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py"))


def imported(path: Path, *, typing: bool = True) -> Iterator[str]:
    """Every module that a source file imports anywhere in it; with `typing` also those for type checkers alone."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types and not typing:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports relatively; write the full name"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages(path: Path) -> set[str]:
    """The top-level packages that a source file imports."""
    return {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [("index", {"catalogue", "retail_seg", "app"}), ("catalogue", {"index", "retail_seg", "app"})],
)
def test_the_lower_packages_know_nothing_of_the_others(package: str, forbidden: set[str]) -> None:
    found = modules(package)
    assert len(found) >= 4
    wrong = {str(path): packages(path) & forbidden for path in found if packages(path) & forbidden}
    assert not wrong


def test_catalogue_knows_no_arrays_networks_or_faiss() -> None:
    strangers = {"torch", "torchvision", "faiss", "numpy", "cv2", "PIL", "streamlit"}
    wrong = {str(path): packages(path) & strangers for path in modules("catalogue") if packages(path) & strangers}
    assert not wrong


def test_index_knows_no_sql() -> None:
    wrong = [str(path) for path in modules("index") if packages(path) & {"sqlite3", "sqlite_utils"}]
    assert not wrong


def attributes(path: Path) -> Iterator[ast.Attribute]:
    """Every `x.name` of a source file."""
    nodes = ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    yield from (node for node in nodes if isinstance(node, ast.Attribute))


def test_no_sql_stands_outside_the_catalogue() -> None:
    paths = [*modules("retail_seg"), *modules("index"), Path("app.py")]
    wrong = [f"{path}:{one.lineno}" for path in paths for one in attributes(path) if one.attr in ("db", "conn")]
    assert not wrong


@pytest.mark.parametrize("room", ["web", "cli", "api", "bench", "demo"])
def test_the_faces_leave_a_matchers_catalogue_to_the_rooms_below(room: str) -> None:
    found = modules(f"retail_seg/{room}")
    assert found or f"retail_seg/{room}/" in COMING
    theirs = [(path, one) for path in found for one in attributes(path) if one.attr == "catalogue"]
    wrong = [f"{path}:{one.lineno}" for path, one in theirs if ast.unparse(one.value) != "self"]
    assert not wrong


def test_only_the_joins_hold_the_packages_together() -> None:
    found = [str(path) for path in modules("retail_seg")]
    assert all(any(path.startswith(join) for path in found) for join in JOINS if join not in COMING)
    wrong = [
        path
        for path in found
        if packages(Path(path)) & {"index", "catalogue"} and not path.startswith(JOINS) and not _only_typing(Path(path))
    ]
    assert not wrong


def test_only_the_front_door_lies_loose() -> None:
    assert {path.name for path in modules("retail_seg") if len(path.parts) == 2} == LOOSE


def test_the_environment_is_read_in_one_place_a_package() -> None:
    places = {"index/settings.py", "retail_seg/system/settings.py", "retail_seg/system/processes.py"}
    reads = ("os.environ.get", "os.environ[", "os.getenv")
    found = [path for package in ("retail_seg", "index", "catalogue") for path in modules(package)]
    assert {str(path) for path in found if any(read in (ROOT / path).read_text() for read in reads)} == places


def arrows(package: str) -> dict[str, set[str]]:
    """The modules of a package and what each imports of it when the program runs, also inside functions."""
    names = {_dotted(path): path for path in modules(package)}
    found: dict[str, set[str]] = {}
    for name, path in names.items():
        wanted = {w for w in imported(path, typing=False) if w in names}
        # `from a import b` names both a and a.b: where b is a module, a itself is only its folder.
        found[name] = {w for w in wanted if not any(other.startswith(f"{w}.") for other in wanted)} - {name}
    return found


def _dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("package", ["retail_seg", "index", "catalogue"])
def test_no_imports_run_in_a_circle(package: str) -> None:
    try:
        tuple(TopologicalSorter(arrows(package)).static_order())
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_rooms_import_only_rooms_below_them() -> None:
    level = {room: at for at, room in enumerate(ROOMS)}
    up = [
        f"{name} imports {other}"
        for name, others in arrows("retail_seg").items()
        for other in others
        if level[_room(other)] > level[_room(name)]
    ]
    assert not up


def _room(module: str) -> str:
    return f"{module}.__init__".split(".")[1]


def test_the_program_does_not_import_the_recipes_or_the_tests() -> None:
    wrong = [
        str(path)
        for package in ("retail_seg", "index", "catalogue")
        for path in modules(package)
        if packages(path) & {"recipes", "tests"}
    ]
    assert not wrong


def _only_typing(path: Path) -> bool:
    """Whether index and catalogue are imported for type checkers alone (the public names in `__init__`)."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            if any(name.split(".")[0] in ("index", "catalogue") for name in names):
                return False
    return path.name == "__init__.py"


def loaded_by(code: str) -> set[str]:
    """The top-level packages in a fresh interpreter after running `code`."""
    script = f"import sys\n{code}\nprint(' '.join(sorted({{name.split('.')[0] for name in sys.modules}})))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(run.stdout.splitlines()[-1].split())


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    assert not loaded_by("import retail_seg.cli") & set(HEAVY)


def test_importing_the_public_package_loads_nothing_heavy() -> None:
    assert not loaded_by("import retail_seg; dir(retail_seg)") & set(HEAVY)


def test_the_client_of_the_server_needs_no_numpy_and_no_framework() -> None:
    strangers = {*HEAVY, "numpy", "fastapi", "starlette", "pydantic", "httpx", "sqlite_utils"}
    assert not loaded_by("from retail_seg import Client; Client('http://localhost:8000', 'x')") & strangers


def test_help_works_where_the_heavy_packages_cannot_be_imported() -> None:
    script = f"""
import sys
for name in {HEAVY!r}:
    sys.modules[name] = None  # an import of it now raises ImportError
from retail_seg.cli import main
sys.argv = ["retail-seg", "--help"]
main()
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stderr
    assert "scan" in run.stdout and "demo" in run.stdout


def test_every_name_that_is_promised_can_be_imported() -> None:
    import retail_seg

    assert retail_seg.__all__ == sorted(retail_seg.__all__)
    for name in retail_seg.__all__:
        assert getattr(retail_seg, name) is not None


def test_opening_the_models_and_the_matcher_loads_neither_pytorch_nor_pandas() -> None:
    code = """
import retail_seg.matcher
from index.retail_vgg import RetailVGG
from retail_seg.segmentation.segmenter import Segmenter
RetailVGG.load(), Segmenter.load().fingerprint
"""
    assert not loaded_by(code) & {"torch", "torchvision", "pandas", "streamlit"}

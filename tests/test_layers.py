"""The one-way flow: which package may import which, and what must not be imported before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: Modules of retail_seg that hold the three packages together; a folder stands for all its modules.
JOINS = (
    "retail_seg/matcher.py", "retail_seg/gallery.py", "retail_seg/enrolment.py", "retail_seg/embedding.py",
    "retail_seg/labelled_crops.py",
    "retail_seg/bulk.py", "retail_seg/upkeep.py", "retail_seg/jobs.py", "retail_seg/acceleration.py",
    "retail_seg/products.py", "retail_seg/uploads.py", "retail_seg/checkup.py",
    "retail_seg/evaluate.py", "retail_seg/evaluate_retrieval.py", "retail_seg/model_switch.py",
    "retail_seg/benchmark/", "retail_seg/scanning.py",
    "retail_seg/stock.py", "retail_seg/api.py", "retail_seg/demo.py", "retail_seg/cli/",
    "retail_seg/web/", "retail_seg/user_errors.py", "retail_seg/store_settings.py",
    "retail_seg/review.py", "retail_seg/corrections.py", "retail_seg/backups.py",
    "retail_seg/teaching/imports.py",
)  # fmt: skip
#: Rooms that must stay free of index and catalogue whatever joins come later.
ROOMS = ("retail_seg/segmentation/", "retail_seg/rendering/", "retail_seg/photos.py", "retail_seg/report.py",
         "retail_seg/errors.py", "retail_seg/overlay.py", "retail_seg/files.py", "retail_seg/advice.py",
         "retail_seg/scan_view.py")  # fmt: skip
#: What takes long to import, or is not needed to answer `--help`.
HEAVY = ("torch", "torchvision", "faiss", "streamlit", "openvino", "cv2", "skimage", "scipy", "pandas", "PIL")


def modules(package: str) -> list[Path]:
    """The package's source files, relative to the root."""
    return sorted(path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Every module that a source file imports anywhere in it, by its full dotted name."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
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


def test_only_the_joins_hold_the_packages_together() -> None:
    found = [str(path) for path in modules("retail_seg")]
    assert any(path.startswith(ROOMS[0]) for path in found)
    wrong = [
        path
        for path in found
        if packages(Path(path)) & {"index", "catalogue"} and not path.startswith(JOINS) and not _only_typing(Path(path))
    ]
    assert not wrong


def test_the_rooms_import_neither_index_nor_catalogue_nor_a_join() -> None:
    joins = {join.removesuffix(".py").rstrip("/").replace("/", ".") for join in JOINS}
    wrong = []
    for path in modules("retail_seg"):
        if not str(path).startswith(ROOMS):
            continue
        runs_up = [name for name in imported(path) if any(f"{name}.".startswith(f"{join}.") for join in joins)]
        if packages(path) & {"index", "catalogue"} or runs_up:
            wrong.append((str(path), runs_up))
    assert not wrong


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

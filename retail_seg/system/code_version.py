"""Which code is running: the package's version and, in a git checkout, the commit."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from retail_seg import __version__


@cache
def code_version() -> str:
    """`0.1.0`, or `0.1.0+1a2b3c4d5e6f` from a git checkout, with `-dirty` where its files were changed."""
    package = Path(__file__).resolve().parent
    # An environment inside somebody's repository is not a checkout of this program.
    if _git(package, "ls-files", "--error-unmatch", Path(__file__).name) is None:
        return __version__
    commit = _git(package, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    return f"{__version__}+{commit}" if commit else __version__


def _git(folder: Path, *arguments: str) -> str | None:
    """What git answers, None where it is missing or says no."""
    try:
        run = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout.strip() if run.returncode == 0 else None

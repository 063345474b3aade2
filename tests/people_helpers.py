"""Users of a store changed as the command line changes them: with the log of the store."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from retail_seg.people import users
from retail_seg.store.opening import log_of


def _logged(change: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(change)
    def changed(store: Path, *values: Any, **named: Any) -> Any:
        return change(store, *values, logged=log_of(store), **named)

    return changed


add_user, remove_user, set_role, set_password = map(
    _logged, (users.add_user, users.remove_user, users.set_role, users.set_password)
)

"""sqlite-utils' Database, imported without pandas: it would load pandas for types that no catalogue holds.

For its `execute` and `conn` alone: its `insert` and `get` look the table up anew for each row and take 58 and 43 µs
where the statements take 2.5 and 3 (4.2.1, in memory), and of the statements here few would be shorter.
"""

from __future__ import annotations

import sys

# Where pandas is loaded already nothing is gained by hiding it; otherwise half a second of every start is.
if "pandas" in sys.modules:
    from sqlite_utils import Database
else:
    sys.modules["pandas"] = None  # type: ignore[assignment]  # makes sqlite-utils' own try/except skip it
    try:
        from sqlite_utils import Database
    finally:
        del sys.modules["pandas"]

__all__ = ["Database"]

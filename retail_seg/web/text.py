"""Texts for Streamlit, which reads nearly all of them as Markdown: what people and files call things is escaped."""

from __future__ import annotations

import re
import time

#: What the program's own sentences write in backticks: a command to type.
_COMMAND = re.compile(r"(`[^`\n]+`)")


def plain(text: object) -> str:
    """Text as it is, where Streamlit would read Markdown."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+\-.!|~$<>&^=])", r"\\\1", str(text))
    return re.sub(r":(?=[A-Za-z_])", ":\u2060", escaped)  # else it begins an icon, an emoji or a colour


def sentence(text: object) -> str:
    """A sentence of the program, such as an error's, as it is but for the commands in it, which look like code."""
    parts = _COMMAND.split(str(text))
    return "".join(part if number % 2 else plain(part) for number, part in enumerate(parts))


def counted(number: float, word: str) -> str:
    """A number with its word, which is regular: "1 photo", "2 photos", "0.5 minutes"."""
    shown = int(number) if number == int(number) else number
    return f"{shown} {word}{'' if number == 1 else 's'}"


def age(moment: float) -> str:
    """How long ago a moment (seconds since the epoch) is, in words."""
    seconds = max(0, round(time.time() - moment))
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size or size == 1:
            return counted(seconds // size, unit)
    raise AssertionError(seconds)

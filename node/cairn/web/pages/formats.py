"""How values are written on pages: the filters of the templates."""

import time
from datetime import UTC, datetime

from markupsafe import Markup, escape


def utc(timestamp: int) -> str:
    """Date and time; a sender may claim a time that no calendar has."""
    try:
        return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return f"{timestamp} s"


def ago(timestamp: int) -> str:
    """How long ago, in one unit."""
    seconds = max(0, int(time.time()) - timestamp)
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {name} ago"
    return f"{seconds} s ago"


def as_text(data: str) -> str | None:
    """The text that bytes (hex) are, when every character of it can be shown; else None."""
    try:
        text = bytes.fromhex(data).decode("utf-8")
    except ValueError:
        return None
    return text if all(each.isprintable() or each == "\n" for each in text) else None


def iso(timestamp: int) -> str:
    """For `<time datetime>`; empty for a time that no calendar has."""
    try:
        return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return ""


SHORT_ENDS = 8
"""Characters shown at either end of a shortened text."""


def shorten(text: str) -> str:
    """A hash, key or address by its ends; short ones whole."""
    if len(text) <= 2 * SHORT_ENDS + 1:
        return text
    return f"{text[:SHORT_ENDS]}…{text[-SHORT_ENDS:]}"


def code_spans(text: str) -> Markup:
    """Text of ours in which `backticks` mark what is to be typed; all of it is escaped."""
    parts = [escape(part) for part in text.split("`")]
    marked = [Markup("<code>{}</code>").format(part) for part in parts]
    return Markup("").join(marked[at] if at % 2 else plain for at, plain in enumerate(parts))


def lasting(seconds: int) -> str:
    """How long, in its two largest units."""
    words = []
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            words.append(f"{seconds // size} {name}")
            seconds %= size
    return " ".join(words[:2]) or "0 s"

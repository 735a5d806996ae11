"""What people see: tables, boxes and progress on a terminal, plain lines elsewhere; and JSON.

Text that came from a node, a file or a peer passes `plain` first: it cannot move the cursor,
change colours or hide what follows.
"""

import json
import sys
import time
import unicodedata
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from cairn.cli.failures import Failure

_PIPED_COLUMNS = 200
"""Width of tables that no terminal bounds: wide enough for whole hashes."""
_FORMAT_CHARACTERS = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def out() -> Console:
    """The console on stdout."""
    return _console(stderr=False)


def err() -> Console:
    """The console on stderr: progress, prompts, errors."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PIPED_COLUMNS
    return Console(stderr=stderr, width=width, markup=False, highlight=False, emoji=False)


def print_json(document: object) -> None:
    """The one document a command prints for programs."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=True) + "\n")


def print_failure(failure: Failure, *, as_json: bool) -> None:
    """Tells a failure: to programs on stdout, to people on stderr."""
    if as_json:
        print_json(failure.document())
        return
    console = err()
    named = failure.code not in ("found", "usage", "wallet", "file", "configuration")
    title = f"Error ({failure.code}): " if named else "Error: "
    console.print(Text(title, "bold red"), Text(plain(failure.problem)), sep="", soft_wrap=True)
    if failure.fix:
        fix = Text(plain(failure.fix), "bold")
        console.print(Text("Fix: ", "bold green"), fix, sep="", soft_wrap=True)


def plain(text: str) -> str:
    """`text` without control and formatting characters; line breaks and tabs stay."""
    return "".join(
        character
        if character in "\n\t" or unicodedata.category(character) not in _FORMAT_CHARACTERS
        else "�"
        for character in text
    )


def one_line(text: str, limit: int = 60) -> str:
    """`plain` text on one line, cut to `limit` characters."""
    flat = " ".join(plain(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def table(*columns: str | tuple[str, str], title: str = "") -> Table:
    """An empty table. A column is its heading, or heading and `left` or `right`."""
    made = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for column in columns:
        heading, side = (column, "left") if isinstance(column, str) else column
        made.add_column(
            heading,
            justify="right" if side == "right" else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
    return made


def facts(rows: Iterable[tuple[str, str | Text]]) -> Table:
    """Names and values under each other, without lines around them."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, value if isinstance(value, Text) else Text(plain(value)))
    return grid


def progress(unit: str) -> Progress:
    """A progress bar on stderr; nothing where stderr is no terminal. `unit` as in `blocks`."""
    console = err()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


# -- figures ----------------------------------------------------------------------------------


def short(hash_hex: str) -> str:
    """The two ends of a long hash."""
    return hash_hex if len(hash_hex) <= 16 else f"{hash_hex[:8]}…{hash_hex[-6:]}"


def age(timestamp: int, now: float | None = None) -> str:
    """How long ago a time (seconds since the epoch) was, in its largest unit."""
    seconds = int((time.time() if now is None else now) - timestamp)
    if seconds < 0:
        return f"in {duration(-seconds)}"
    return f"{duration(seconds)} ago" if seconds else "now"


def duration(seconds: int) -> str:
    """A length of time in its largest unit, rounded down."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def moment(timestamp: int) -> str:
    """A time as UTC date and clock; the bare number when it lies outside any calendar."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(timestamp))
    except (OverflowError, OSError, ValueError):
        return f"{timestamp} s since 1970"


def scaled(value: float, unit: str, names: Sequence[str] = ("", "k", "M", "G", "T", "P")) -> str:
    """A figure with three digits and a decimal prefix, as in `1.23 MB`."""
    step = 0
    while value >= 1_000 and step < len(names) - 1:
        value /= 1_000
        step += 1
    digits = f"{value:.0f}" if value >= 100 or step == 0 else f"{value:.3g}"
    return f"{digits} {names[step]}{unit}"


def bytes_size(count: int) -> str:
    """A size, as in `1.23 kB`."""
    return scaled(count, "B")


def counted(count: int, noun: str, plural: str = "") -> str:
    """A count with its noun, as in `1 block` or `2,000 blocks`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def hashes(work: int) -> str:
    """Expected hashes, as a power of two once they are many."""
    return f"{work:,} hashes" if work < 10**6 else f"2^{work.bit_length() - 1} hashes"

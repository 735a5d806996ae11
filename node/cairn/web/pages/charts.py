"""Bar charts of the last blocks: the geometry, in the units of the drawing's own view box."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cairn.consensus.proof_of_work import work_of
from cairn.storage.answers import BlockSummary

WIDTH = 600
HEIGHT = 120
_GAP = 0.25
"""Of a bar's room, between it and the next."""
_LEAST = 1.5
"""Height of a bar whose value is not zero."""
_SECONDS = "\N{NO-BREAK SPACE}s"


@dataclass(frozen=True, slots=True)
class Bar:
    """One block's bar."""

    x: float
    y: float
    width: float
    height: float
    block: int
    """The block's height."""
    value: int
    label: str
    """What it says, for people: `block 17: 12 s`."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Values of consecutive blocks, oldest first."""

    name: str
    """For the page's ids."""
    title: str
    summary: str
    """The whole in one sentence, for those who do not see it."""
    bars: tuple[Bar, ...]
    top: str
    """What the upper edge stands for."""
    line: float | None = None
    """Where to draw the line of what is aimed at; None: there is none."""
    line_label: str = ""


def interval_chart(blocks: Sequence[BlockSummary], target_seconds: int) -> Chart:
    """Seconds from each block to the next; `blocks` are consecutive, oldest first.

    The genesis block's time is only written down, so the first interval counts from block 1.
    """
    pairs = [(a, b) for a, b in pairwise(blocks) if a.height > 0]
    values = [(b.height, b.header.timestamp - a.header.timestamp) for a, b in pairs]
    mean = sum(value for _, value in values) / len(values) if values else 0
    mean_text, aim = f"{mean:,.1f}{_SECONDS}", f"{target_seconds:,}{_SECONDS}"
    summary = f"Mean {mean_text} over {len(values)} intervals; aimed at: {aim}."
    return _chart(
        "intervals", "Time between blocks", summary, values, seconds, target_seconds, "target"
    )


def work_chart(blocks: Sequence[BlockSummary]) -> Chart:
    """Hashes expected for each block."""
    values = [(each.height, work_of(each.header.bits)) for each in blocks if each.height > 0]
    now = hashes(values[-1][1]) if values else "none"
    change = f"; {hashes(values[0][1])} at block {values[0][0]:,}" if len(values) > 1 else ""
    return _chart("work", "Difficulty", f"{now} expected for a block{change}.", values, hashes)


def transaction_chart(blocks: Sequence[BlockSummary]) -> Chart:
    """Transactions in each block."""
    values = [(each.height, each.transaction_count) for each in blocks if each.height > 0]
    total = sum(value for _, value in values)
    summary = f"{total:,} in the last {len(values)} blocks."
    return _chart("counts", "Transactions in a block", summary, values, lambda count: f"{count:,}")


def _chart(
    name: str,
    title: str,
    summary: str,
    values: Sequence[tuple[int, int]],
    write: Callable[[int], str],
    aim: int | None = None,
    aim_label: str = "",
) -> Chart:
    top = max([value for _, value in values] + ([aim] if aim else []) + [1])
    room = WIDTH / max(len(values), 1)
    bars = []
    for place, (block, value) in enumerate(values):
        height = max(_LEAST, HEIGHT * value / top) if value > 0 else 0.0
        bars.append(
            Bar(
                x=round(place * room, 2),
                y=round(HEIGHT - height, 2),
                width=round(room * (1 - _GAP), 2),
                height=round(height, 2),
                block=block,
                value=value,
                label=f"block {block:,}: {write(value)}",
            )
        )
    line = round(HEIGHT * (1 - aim / top), 2) if aim else None
    label = f"{aim_label} {write(aim)}" if aim else ""
    return Chart(name, title, summary, tuple(bars), write(top), line, label)


def seconds(value: int) -> str:
    """A number of seconds."""
    return f"{value:,}{_SECONDS}"


def hashes(value: int) -> str:
    """A number of hashes, three digits of it."""
    for power, unit in ((18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if value >= 10**power:
            return f"{value / 10**power:,.3g} {unit}H"
    return f"{value} H"

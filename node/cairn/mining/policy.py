"""When a miner should mine. Pure: the time is passed in."""

from dataclasses import dataclass

from cairn.consensus.params import NetworkParams

DEVELOPMENT_HEARTBEAT_SECONDS = 600
LEAST_SPREAD_SECONDS = 1.0
MOST_SPREAD_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class MiningPolicy:
    """The modes: `always`, `off`, and `auto`, which mines what has waited enough."""

    mode: str
    min_transactions: int
    """`auto`: mine when so many wait …"""
    max_wait_seconds: int
    """… or the oldest has waited so long …"""
    heartbeat_seconds: int
    """… or the tip is so old (0: never)."""

    def due_at(self, view: "ChainView", now: float) -> float | None:
        """From when on to mine (seconds since the epoch; up to `now`: at once). None: never."""
        if self.mode == "always":
            return now
        if self.mode == "off":
            return None
        moments: list[float] = []
        if view.waiting >= self.min_transactions:
            moments.append(now)
        if view.waiting > 0:
            moments.append(view.oldest_waiting_since + self.max_wait_seconds)
        if self.heartbeat_seconds > 0:
            moments.append(view.tip_timestamp + self.heartbeat_seconds)
        return min(moments, default=None)


@dataclass(frozen=True, slots=True)
class ChainView:
    """What a miner knows of the chain and the pool."""

    waiting: int
    """Transactions that could be mined now."""
    oldest_waiting_since: float
    """Seconds since the epoch; without meaning when none waits."""
    tip_timestamp: int

    def with_pool(self, waiting: int, now: float) -> "ChainView":
        """The view after transactions arrived and `waiting` are in the pool."""
        oldest = self.oldest_waiting_since if self.waiting else now
        return ChainView(waiting, oldest, self.tip_timestamp)

    def misses(self, pool_transactions: int) -> bool:
        """Whether the pool has some and this view none: their announcement did not come."""
        return pool_transactions > 0 and self.waiting == 0


def default_heartbeat_seconds(params: NetworkParams) -> int:
    """How old a tip becomes before `auto` mines an empty block, where nobody says.

    Half the target interval: blocks then come when they are due, and the difficulty settles
    where the other half takes the network's hash rate. Waiting for the whole interval would
    make every block late, and the difficulty fall until it can fall no more.
    """
    if params.is_development:
        return DEVELOPMENT_HEARTBEAT_SECONDS
    return max(params.target_interval_seconds // 2, 1)


def spread_seconds(target_interval_seconds: int) -> float:
    """Within how long the miners of a network should start on what all of them saw come due.

    Starting together, at an easy target, all would find a block in the same instant: a fork
    each time. Each waits a random part of this instead, and most see the first one's block.
    """
    return min(max(target_interval_seconds / 4, LEAST_SPREAD_SECONDS), MOST_SPREAD_SECONDS)

"""What the operator should know of, and since when."""

import logging
from collections.abc import Callable

from cairn.consensus.block import decode_header
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof_of_work import work_of
from cairn.consensus.validation import MAX_FUTURE_SECONDS
from cairn.ipc.messages import Alert
from cairn.services.logs import log_event

_logger = logging.getLogger(__name__)


class AlertBook:
    """Alerts that are on now, by code."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._alerts: dict[str, Alert] = {}

    def set(self, code: str, detail: str | None) -> None:
        """Turns the alert on (or rewords it) with a detail, off with None."""
        known = self._alerts.get(code)
        if detail is None:
            if known is not None:
                del self._alerts[code]
                log_event(_logger, "alert over", code=code)
        elif known is None:
            self._alerts[code] = Alert(code, detail, self._clock())
            log_event(_logger, "alert", level=logging.ERROR, code=code, detail=detail)
        elif known.detail != detail:
            self._alerts[code] = Alert(code, detail, known.since)

    def current(self) -> list[Alert]:
        """The alerts that are on, oldest first."""
        return list(self._alerts.values())


def difficulty_problem(tip_header: bytes, params: NetworkParams) -> str | None:
    """Why the chain is cheap to rewrite, after a tip (96 bytes) at the easiest target."""
    bits = decode_header(tip_header).bits
    if params.is_development or bits != params.target_limit:
        return None
    return (
        f"blocks are as easy as this network allows, {work_of(bits):,} hashes each: too little is "
        'mined, and the chain is cheap to rewrite; let more nodes mine, with miner.mode = "always"'
    )


def clock_problem(seconds_ahead: int) -> str | None:
    """What is wrong when most peers' tips are so far ahead of this node's clock."""
    if seconds_ahead <= MAX_FUTURE_SECONDS:
        return None
    return (
        f"most peers are at blocks {seconds_ahead} s or more ahead of this node's clock, which "
        "therefore refuses them; set the clock, for example with: timedatectl set-ntp true"
    )

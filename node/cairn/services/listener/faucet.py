"""The faucet: a little of its account for whoever asks, within limits.

The listener signs, so the web tier holds no key. It has no more rights than any client: what it
makes goes the way of every transaction.
"""

import asyncio
import logging
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from cairn.config import Config, FaucetSection
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.transaction import MINIMUM_TRANSACTION_BYTES, Transaction
from cairn.ipc import messages as m
from cairn.services.listener.writer import LedgerWriter
from cairn.services.logs import log_event
from cairn.wallet import AccountKey, build_transaction

MAX_ADDRESSES = 10_000
"""Remembered as paid; the oldest is forgotten first."""
MINUTE_SECONDS = 60.0
BUSY_SECONDS = 5
"""Until some of the faucet's own waiting transactions should be in a block."""
FEE_FACTOR = 10
"""Times the least fee that this node takes: other nodes may ask for more."""

_logger = logging.getLogger(__name__)


class FaucetLimits:
    """Who was paid lately. `monotonic` gives seconds that never go back."""

    def __init__(self, settings: FaucetSection, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._paid_at: OrderedDict[bytes, float] = OrderedDict()
        self._recent: deque[float] = deque(maxlen=settings.per_minute)

    def wait_seconds(self, address: bytes) -> int:
        """How long this address has to wait, rounded up; 0: it may be paid now."""
        now = self._monotonic()
        waits = [0.0]
        if (paid_at := self._paid_at.get(address)) is not None:
            waits.append(paid_at + self._settings.seconds_per_address - now)
        if len(self._recent) == self._settings.per_minute:
            waits.append(self._recent[0] + MINUTE_SECONDS - now)
        return math.ceil(max(waits))

    def note(self, address: bytes) -> None:
        """The address is being paid now."""
        now = self._monotonic()
        self._recent.append(now)
        self._paid_at[address] = now
        self._paid_at.move_to_end(address)
        if len(self._paid_at) > MAX_ADDRESSES:
            self._paid_at.popitem(last=False)


class Faucet:
    """Pays one after the other, so that each payment finds its sequence."""

    def __init__(
        self,
        config: Config,
        key: AccountKey,
        writer: LedgerWriter,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = key
        self._writer = writer
        self._amount = config.faucet.amount
        self._network_id = config.params.network_id()
        least = max(1, config.pool.min_fee_per_byte) * MINIMUM_TRANSACTION_BYTES
        self._fee = FEE_FACTOR * least
        self._limits = FaucetLimits(config.faucet, monotonic)
        self._one_at_a_time = asyncio.Lock()

    async def drip(self, recipient: bytes) -> m.Reply:
        """Pays 20 bytes of address, or refuses. What the database refuses is raised."""
        async with self._one_at_a_time:
            wait = self._limits.wait_seconds(recipient)
            if wait > 0:
                return _wait("this address, or enough others, were paid a moment ago", wait)
            transaction = await self._build(recipient)
            (admission,) = await self._writer.admit([transaction.raw])
            if admission.problem is not None:
                return _refusal(admission.problem)
            self._limits.note(recipient)
        log_event(_logger, "faucet paid", id=transaction.id, recipient=recipient)
        return m.Dripped(transaction.id, self._amount)

    async def _build(self, recipient: bytes) -> Transaction:
        return build_transaction(
            self._key,
            self._network_id,
            await self._writer.next_sequence(self._key.address),
            recipient,
            self._amount,
            self._fee,
            int(time.time()),
        )


def _refusal(problem: RuleError) -> m.Refused:
    """What a broken rule means to somebody who only asked for coins."""
    if problem.rule is Rule.BALANCE_INSUFFICIENT:
        return m.Refused(m.Problem("faucet-empty", "the faucet's account has too little left"))
    if problem.rule is Rule.POOL_SENDER_FULL:
        return _wait("the faucet's payments wait for a block", BUSY_SECONDS)
    return m.Refused(m.Problem(problem.rule.value, problem.detail, dict(problem.numbers)))


def _wait(why: str, seconds: int) -> m.Refused:
    detail = f"{why}; ask again in {seconds} s"
    return m.Refused(m.Problem("too-many-requests", detail, {"retry_after_seconds": seconds}))

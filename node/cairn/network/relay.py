"""Transactions from peers: what arrives is offered at once, many together; losses are pulled."""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from hashlib import sha256

from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.transaction import decode_transaction
from cairn.network.bodies import Punish
from cairn.network.budget import Budgets
from cairn.network.link import PeerLink, PeerRefused, PeerSilent
from cairn.network.messages import (
    MAX_TRANSACTIONS,
    MAX_TRANSACTIONS_BYTES,
    GetTransactions,
    TransactionIds,
    Transactions,
    TransactionsBroadcast,
    malformed,
    split_transactions,
)
from cairn.network.port import LedgerPort
from cairn.network.scoring import message_points, transaction_points
from cairn.network.tasks import Tasks

_logger = logging.getLogger(__name__)

MAX_WAITING = 20_000
MAX_WAITING_BYTES = 32 * 1024 * 1024
SEEN_SECONDS = 30.0
MAX_SEEN = 100_000
PULL_SECONDS = 2.0
"""At least between two pulls of one peer's pool."""
REFUSED_PER_SECOND = 100.0
REFUSED_AT_ONCE = 2_000.0
"""Of one peer's transactions: policies differ and no honest peer is blamed, but each refusal is
work. Beyond it the peer is not listened to until the time has passed."""


class RecentlySeen:
    """Digests of bytes seen in the last seconds: each peer sends what all others sent."""

    def __init__(self, seconds: float = SEEN_SECONDS, limit: int = MAX_SEEN) -> None:
        self._seconds = seconds
        self._limit = limit
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def add(self, raw: bytes, now: float) -> bool:
        """Remembers the bytes; True when they are new."""
        while self._until:
            digest, until = next(iter(self._until.items()))
            if until > now and len(self._until) < self._limit:
                break
            del self._until[digest]
        digest = sha256(raw).digest()
        if digest in self._until:
            return False
        self._until[digest] = now + self._seconds
        return True

    def forget(self, raw: bytes) -> None:
        """Takes the bytes as new again."""
        self._until.pop(sha256(raw).digest(), None)


class TransactionRelay:
    """Offers peers' transactions to the ledger. What it admits, its owner broadcasts."""

    def __init__(
        self,
        port: LedgerPort,
        links: Callable[[], list[PeerLink]],
        punish: Punish,
        is_synced: Callable[[], bool],
    ) -> None:
        self._port = port
        self._links = links
        self._punish = punish
        self._is_synced = is_synced
        self._tasks = Tasks()
        self._seen = RecentlySeen()
        self._refused = Budgets(REFUSED_PER_SECOND, REFUSED_AT_ONCE)
        self._waiting: deque[tuple[bytes, str]] = deque()
        self._waiting_bytes = 0
        self._arrived = asyncio.Event()
        self._pull = asyncio.Event()
        self._pulled_at: dict[str, float] = {}

    def start(self) -> None:
        """Begins to offer and to pull."""
        self._tasks.start(self._offer_all(), "transactions")
        self._tasks.start(self._pull_all(), "pool pulls")

    async def stop(self) -> None:
        """Drops what waits: peers still have it."""
        await self._tasks.stop()

    def mark_own(self, raws: Sequence[bytes]) -> None:
        """We publish these: peers will send them back."""
        now = time.monotonic()
        for raw in raws:
            self._seen.add(raw, now)

    def receive(self, link: PeerLink, broadcast: TransactionsBroadcast) -> None:
        """Takes a broadcast in."""
        self.follow_sequence(link, broadcast.sequence, announced=False)
        now = time.monotonic()
        if self._wait_seconds(link.key) > 0:
            self.want_pool(link)
            return
        for raw in broadcast.transactions:
            if len(self._waiting) >= MAX_WAITING or self._waiting_bytes >= MAX_WAITING_BYTES:
                self.want_pool(link)
                break
            if self._seen.add(raw, now):
                self._waiting.append((raw, link.key))
                self._waiting_bytes += len(raw)
        if self._waiting:
            self._arrived.set()

    def follow_sequence(self, link: PeerLink, sequence: int, *, announced: bool) -> None:
        """Notices lost broadcasts. `announced`: the number is of one already sent."""
        last = link.transactions_sequence
        expected = last if announced or last is None else last + 1
        link.transactions_sequence = sequence
        if expected is not None and sequence != expected:
            self.want_pool(link)

    def want_pool(self, link: PeerLink) -> None:
        """The peer's pool is to be compared with ours, as soon as we are synced."""
        link.pool_wanted = True
        self._pull.set()

    def wake(self) -> None:
        """Something changed that a pull may have waited for."""
        self._pull.set()

    # -- offering ----------------------------------------------------------------------------

    async def _offer_all(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                batch = self._take_batch()
                if not batch:
                    continue
                try:
                    await self._offer(batch)
                except Exception:
                    _logger.exception("%d transactions could not be offered", len(batch))
                    for raw, _ in batch:
                        self._seen.forget(raw)
                    await asyncio.sleep(1.0)

    def _take_batch(self) -> list[tuple[bytes, str]]:
        """All that has arrived meanwhile, within the bounds of a batch."""
        batch: list[tuple[bytes, str]] = []
        size = 0
        while self._waiting and len(batch) < MAX_TRANSACTIONS and size < MAX_TRANSACTIONS_BYTES:
            raw, key = self._waiting.popleft()
            self._waiting_bytes -= len(raw)
            if self._wait_seconds(key) > 0:
                self._seen.forget(raw)  # another peer may bring it
                continue
            batch.append((raw, key))
            size += len(raw)
        return batch

    async def _offer(self, batch: Sequence[tuple[bytes, str]]) -> None:
        problems = await self._port.accept_transactions([raw for raw, _ in batch])
        for (_, key), problem in zip(batch, problems, strict=True):
            if problem is None:
                continue
            if problem.rule is not Rule.POOL_DUPLICATE:  # others may be told twice
                self._refused.of(key, time.monotonic()).bucket.charge(1.0)
            points = transaction_points(problem.rule)
            if points:
                self._punish(key, points, f"passed on a bad transaction: {problem}")

    def _wait_seconds(self, key: str) -> float:
        """How long this peer is not listened to; 0 unless too much of it was refused."""
        now = time.monotonic()
        return self._refused.of(key, now).bucket.wait_seconds(now)

    # -- pulling -----------------------------------------------------------------------------

    async def _pull_all(self) -> None:
        while True:
            await self._pull.wait()
            self._pull.clear()
            if not self._is_synced():
                continue  # woken again when we are
            for link in self._links():
                if link.pool_wanted and self._is_due(link):
                    link.pool_wanted = False
                    await self._attempt_pull(link)

    def _is_due(self, link: PeerLink) -> bool:
        """Whether the peer's last pull is long enough ago; otherwise asks to be woken then."""
        now = time.monotonic()
        left = self._pulled_at.get(link.key, -PULL_SECONDS) + PULL_SECONDS - now
        left = max(left, self._wait_seconds(link.key))
        if left > 0:
            asyncio.get_running_loop().call_later(left + 0.01, self._pull.set)
            return False
        self._pulled_at = {
            key: at for key, at in self._pulled_at.items() if now - at < PULL_SECONDS
        }
        self._pulled_at[link.key] = now
        return True

    async def _attempt_pull(self, link: PeerLink) -> None:
        try:
            await self._pull_pool(link)
        except (PeerSilent, PeerRefused) as error:
            _logger.info("the pool of %s could not be read: %s", link.key, error)
            self.want_pool(link)
        except RuleError as error:
            points = message_points(error.rule) or transaction_points(error.rule)
            self._punish(link.key, points, f"its pool: {error}")
        except Exception:
            _logger.exception("the pool of %s could not be taken in", link.key)

    async def _pull_pool(self, link: PeerLink) -> None:
        ids = (await link.ask(GetTransactions(None), TransactionIds, patience=2.0)).ids
        unknown = await self._port.unknown_transactions(ids) if ids else []
        for start in range(0, len(unknown), MAX_TRANSACTIONS):
            if self._wait_seconds(link.key) > 0:
                return  # what is left would most likely be refused too
            await self._pull_some(link, set(unknown[start : start + MAX_TRANSACTIONS]))

    async def _pull_some(self, link: PeerLink, wanted: set[bytes]) -> None:
        while wanted:
            reply = await link.ask(GetTransactions(list(wanted)), Transactions, patience=2.0)
            if not reply.transactions:
                return  # mined or replaced meanwhile
            for raw in reply.transactions:
                transaction = decode_transaction(raw, self._port.network_id)
                if transaction.id not in wanted:
                    raise malformed("a transaction that was not asked for")
                wanted.discard(transaction.id)
            for portion in split_transactions(reply.transactions):
                await self._offer([(raw, link.key) for raw in portion])

"""Signed transactions between demo wallets, through different nodes, at a steady rate."""

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from cairn.cli.devnet.api import NodeApi, Unreachable
from cairn.consensus.crypto import encode_address
from cairn.consensus.params import UNITS_PER_COIN, NetworkParams
from cairn.wallet import AccountKey, build_transaction

MAX_RATE = 2_000.0
_TICK_SECONDS = 0.1
_MAX_BATCH = 100
_FEE = 1_000
_RETRY_SECONDS = 0.5


@dataclass(slots=True)
class _Sender:
    key: AccountKey
    next_sequence: int | None = None
    """None: to be asked of a node."""


class Traffic:
    """Sends in a thread of its own, from `start` to `stop`.

    A refusal or a node that is away costs the affected sender a look at its account, no more.
    """

    def __init__(
        self,
        apis: Sequence[NodeApi],
        params: NetworkParams,
        keys: Sequence[AccountKey],
        transactions_per_second: float,
    ) -> None:
        self.sent = 0
        """Accepted so far."""
        self.refused = 0
        self._apis = list(apis)
        self._prefix = params.address_prefix
        self._network_id = params.network_id()
        self._senders = [_Sender(key) for key in keys]
        self._rate = transactions_per_second
        self._turn = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def start(self) -> None:
        """Begins to send."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the call under way."""
        self._stopped.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        started, due_before = time.monotonic(), 0
        while not self._stopped.wait(_TICK_SECONDS):
            due = int((time.monotonic() - started) * self._rate)
            count = due - due_before
            due_before = due  # what could not be sent in time is not made up for
            while count > 0 and not self._stopped.is_set():
                batch = min(count, _MAX_BATCH)
                self._send(batch)
                count -= batch

    def _send(self, count: int) -> None:
        """One call: a few senders' next transactions through the next node."""
        self._turn += 1
        api = self._apis[self._turn % len(self._apis)]
        first = self._turn * 7
        senders = [self._senders[(first + i) % len(self._senders)] for i in range(min(count, 4))]
        try:
            for sender in senders:
                if sender.next_sequence is None:
                    sender.next_sequence = self._ask_sequence(api, sender.key)
            order = [senders[i % len(senders)] for i in range(count)]
            raws = [self._next_transaction(sender) for sender in order]
            status, body = api.submit(raws)
            self._count(order, status, body)
        except Unreachable:
            for sender in senders:
                sender.next_sequence = None
            self._stopped.wait(_RETRY_SECONDS)

    def _count(self, order: list[_Sender], status: int, body: object) -> None:
        items = body.get("items") if isinstance(body, dict) else None
        if items is None:
            accepted = [status == 202] * len(order)
        else:
            accepted = [item.get("status") == "accepted" for item in items]
        for sender, good in zip(order, accepted, strict=False):
            if good:
                self.sent += 1
            else:
                self.refused += 1
                sender.next_sequence = None

    def _ask_sequence(self, api: NodeApi, key: AccountKey) -> int:
        address = encode_address(self._prefix, key.address)
        status, body = api.get(f"accounts/{address}")
        if status != 200 or not isinstance(body, dict):
            raise Unreachable(f"no account of {address}: status {status}")
        return int(body["next_sequence"])

    def _next_transaction(self, sender: _Sender) -> bytes:
        sequence = sender.next_sequence
        if sequence is None:
            raise Unreachable("sequence unknown")
        sender.next_sequence = sequence + 1
        recipient = random.choice(self._senders).key.address  # noqa: S311 - play money
        amount = random.randint(1, UNITS_PER_COIN)  # noqa: S311
        transaction = build_transaction(
            sender.key, self._network_id, sequence, recipient, amount, _FEE, int(time.time())
        )
        return transaction.raw

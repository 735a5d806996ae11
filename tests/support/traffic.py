"""A client that keeps sending, and remembers what nodes acknowledged."""

import itertools
import threading
from collections.abc import Sequence

from tests.support.network import LocalNetwork, LocalNode
from tests.support.rest import NoAnswer
from tests.support.wallets import Account, SignedTransaction

_PAUSE_SECONDS = 0.02


class Sender(threading.Thread):
    """Sends through the given nodes in turn, in a thread, until `finish`.

    When a node is away or refuses, the next node is asked for the account's sequence. A
    sequence that may have been used already is asked again rather than guessed.
    """

    def __init__(
        self,
        network: LocalNetwork,
        account: Account,
        nodes: Sequence[LocalNode],
        batch: int = 1,
    ) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[SignedTransaction] = []
        """Answered with 202."""
        self.problems: list[str] = []
        """Refusals and nodes that were away, for a failing test to tell."""
        self._network = network
        self._account = account
        self._nodes = list(nodes)
        self._batch = batch
        self._sequence: int | None = None
        self._stopped = threading.Event()

    def finish(self) -> list[SignedTransaction]:
        """Ends after the call under way; what was acknowledged."""
        self._stopped.set()
        self.join(timeout=30)
        assert not self.is_alive(), "a sender hangs"
        return self.acknowledged

    def run(self) -> None:
        """Sends through one node after the other."""
        for node in itertools.cycle(self._nodes):
            if self._stopped.wait(_PAUSE_SECONDS):
                return
            try:
                self._send(node)
            except (NoAnswer, AssertionError) as problem:
                self.problems.append(str(problem)[:200])
                self._sequence = None

    def _send(self, node: LocalNode) -> None:
        if self._sequence is None:
            self._sequence = self._pending_sequence(node)
        recipient = self._network.accounts[0].address
        transactions = [
            self._account.transaction(self._network.name, self._sequence + i, recipient, amount=1)
            for i in range(self._batch)
        ]
        reply = node.api.post_transactions([transaction.raw for transaction in transactions])
        assert reply.status == 202, reply.body
        if self._batch == 1:
            self.acknowledged += transactions
        else:
            items = reply.json()["items"]
            taken = [item["status"] == "accepted" for item in items]
            self.acknowledged += [
                each for each, good in zip(transactions, taken, strict=True) if good
            ]
            assert all(taken), items
        self._sequence += self._batch

    def _pending_sequence(self, node: LocalNode) -> int:
        account = node.account(self._network.name, self._account.address)
        return int(account["pending"]["next_sequence"])

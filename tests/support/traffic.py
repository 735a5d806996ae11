"""A client that keeps sending, and remembers what nodes acknowledged."""

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

    def __init__(self, network: LocalNetwork, account: Account, nodes: Sequence[LocalNode]) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[SignedTransaction] = []
        """Answered with 202."""
        self.problems: list[str] = []
        """Refusals and nodes that were away, for a failing test to tell."""
        self._network = network
        self._account = account
        self._nodes = list(nodes)
        self._stopped = threading.Event()

    def finish(self) -> list[SignedTransaction]:
        """Ends after the call under way; what was acknowledged."""
        self._stopped.set()
        self.join(timeout=30)
        assert not self.is_alive(), "a sender hangs"
        return self.acknowledged

    def run(self) -> None:
        """Sends, one transaction a call."""
        turn = 0
        sequence: int | None = None
        recipient = self._network.accounts[0].address
        while not self._stopped.wait(_PAUSE_SECONDS):
            node = self._nodes[turn % len(self._nodes)]
            turn += 1
            try:
                if sequence is None:
                    sequence = self._pending_sequence(node)
                transaction = self._account.transaction(
                    self._network.name, sequence, recipient, amount=1 + turn
                )
                reply = node.api.post_transactions([transaction.raw])
            except (NoAnswer, AssertionError) as problem:
                self.problems.append(str(problem)[:200])
                sequence = None
                continue
            if reply.status == 202:
                self.acknowledged.append(transaction)
                sequence += 1
            else:
                self.problems.append(reply.body.decode(errors="replace")[:200])
                sequence = None

    def _pending_sequence(self, node: LocalNode) -> int:
        account = node.account(self._network.name, self._account.address)
        return int(account["pending"]["next_sequence"])

"""A client that keeps sending, and remembers what nodes acknowledged."""

import itertools
import threading
import time
from collections.abc import Sequence

from tests.support.network import LocalNetwork, LocalNode
from tests.support.rest import NoAnswer
from tests.support.wallets import Account, SignedTransaction

_PAUSE_SECONDS = 0.02
_FINISH_SECONDS = 45
_KNOWN = {"pool-duplicate", "pool-already-mined"}
"""The node has this very transaction: an answer to an earlier call was lost."""


class Sender(threading.Thread):
    """Sends through the given nodes in turn, in a thread, at a steady pace, until `finish`.

    What was not acknowledged, for whatever reason, is offered again as it is: another
    transaction of the same sequence would be a double spend of its own.
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
        """Taken, by the word of a node."""
        self.problems: list[str] = []
        """Refusals and nodes that were away, for a failing test to tell."""
        self._network = network
        self._account = account
        self._nodes = list(nodes)
        self._batch = batch
        first = nodes[0].account(network.name, account.address)
        self._sequence = int(first["next_sequence"])
        self._unanswered: list[SignedTransaction] = []
        self._stopped = threading.Event()

    def finish(self) -> list[SignedTransaction]:
        """Ends once all that was offered is acknowledged: that, and all before."""
        self._stopped.set()
        self.join(timeout=_FINISH_SECONDS)
        assert not self.is_alive(), f"not acknowledged: {self.problems[-5:]}"
        return self.acknowledged

    def run(self) -> None:
        """Sends through one node after the other."""
        for node in itertools.cycle(self._nodes):
            time.sleep(_PAUSE_SECONDS)
            if not self._stopped.is_set():
                while len(self._unanswered) < self._batch:
                    self._unanswered.append(self._next_transaction())
            elif not self._unanswered:
                return
            try:
                self._send(node)
            except NoAnswer as problem:
                self.problems.append(str(problem)[:200])

    def _send(self, node: LocalNode) -> None:
        reply = node.api.post_transactions([each.raw for each in self._unanswered])
        document = reply.json()
        if "items" in document:
            problems = [item.get("problem") for item in document["items"]]
            codes = [problem["code"] if problem else "" for problem in problems]
        else:
            codes = [document.get("code", "")] * len(self._unanswered)
        left = []
        for transaction, code in zip(self._unanswered, codes, strict=True):
            if not code or code in _KNOWN:
                self.acknowledged.append(transaction)
            else:
                self.problems.append(f"{node.name}: {code}")
                left.append(transaction)
        self._unanswered = left

    def _next_transaction(self) -> SignedTransaction:
        recipient = self._network.accounts[0].address
        sequence = self._sequence
        self._sequence += 1
        return self._account.transaction(self._network.name, sequence, recipient, amount=1)

"""What this node tells everybody: newly admitted transactions, and its tip."""

from collections.abc import Sequence

from cairn.network.messages import (
    CHAIN_TOPIC,
    TRANSACTIONS_TOPIC,
    TipBroadcast,
    TransactionsBroadcast,
    encode_work,
    split_transactions,
)
from cairn.network.port import TipView
from cairn.network.server import PeerServer


class Announcer:
    """Numbers every broadcast, so that a listener notices what it has missed."""

    def __init__(self, server: PeerServer) -> None:
        self._server = server
        self._tip_sequence = 0
        self.transactions_sequence = 0

    def publish_transactions(self, raws: Sequence[bytes]) -> None:
        """At once, in as few broadcasts as their bounds allow."""
        for portion in split_transactions(raws):
            self.transactions_sequence += 1
            body = TransactionsBroadcast(self.transactions_sequence, portion)
            self._server.publish(TRANSACTIONS_TOPIC, body)

    def publish_tip(self, tip: TipView) -> None:
        """At once."""
        self._tip_sequence += 1
        work = encode_work(tip.chain_work)
        body = TipBroadcast(self._tip_sequence, self.transactions_sequence, tip.header, work)
        self._server.publish(CHAIN_TOPIC, body)

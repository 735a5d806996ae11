"""Nodes of a test's network: the real `PeerNetwork` on loopback over a ledger in memory."""

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest

from cairn.chain.node_store import NodeRow
from cairn.consensus.params import NetworkParams
from cairn.network.keys import CurveKeyPair, generate_curve_keys
from cairn.network.peers import PeerNetwork
from cairn.network.settings import AccountSigner, PeerSettings, PeerView
from tests.integration.network.memory_ledger import MemoryLedger
from tests.support.builders import make_key

LOOPBACK = ("127.0.0.0/8", "::1/128")
PATIENCE_SECONDS = 20.0


class MemoryNodeStore:
    """Keeps node rows as a database would."""

    def __init__(self) -> None:
        self.rows: dict[str, NodeRow] = {}

    def load_nodes(self) -> list[NodeRow]:
        return list(self.rows.values())

    def save_nodes(self, rows: Sequence[NodeRow]) -> None:
        self.rows.update({row.curve_key: row for row in rows})

    def delete_nodes(self, curve_keys: Sequence[str]) -> None:
        for key in curve_keys:
            self.rows.pop(key, None)


class Node:
    """One node of a network. Started and stopped by `async with`."""

    def __init__(
        self,
        params: NetworkParams,
        number: int = 0,
        store: MemoryNodeStore | None = None,
        curve: CurveKeyPair | None = None,
        **settings: object,
    ) -> None:
        self.curve = curve or generate_curve_keys()
        self.ledger = MemoryLedger(params, time.time)
        self.store = store or MemoryNodeStore()
        self.changes: list[tuple[str, str]] = []
        """(name, state) of every change of a peer."""
        chosen: dict[str, object] = {
            "curve": self.curve,
            "name": f"node-{number}",
            "publish": "tcp://127.0.0.1:*",
            "request": "tcp://127.0.0.1:*",
            "admission": "open",
            "allowed_ranges": LOOPBACK,
            "announce_seconds": 0.2,
            "request_timeout_seconds": 1.0,
            **settings,
        }
        key = make_key(number)
        self.network = PeerNetwork(
            PeerSettings(**chosen),  # type: ignore[arg-type]
            self.ledger,
            self.store,
            AccountSigner(key.public_key, key.sign),
            time.time,
            lambda key, name, state: self.changes.append((name, state)),
        )
        self.ledger.on_transactions = self.network.broadcast_transactions
        self.ledger.on_tip = self.network.broadcast_tip

    async def __aenter__(self) -> "Node":
        await self.network.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.network.stop()

    def meet(self, *others: "Node") -> None:
        """Joins at others, as their web tier would pass the record on."""
        for other in others:
            other.network.handle_join(self.network.record)
            self.network.handle_join(other.network.record)

    def peer(self, other: "Node") -> PeerView | None:
        """How this node sees another."""
        for view in self.network.status():
            if view.curve_key == other.curve.public:
                return view
        return None

    def is_connected_to(self, *others: "Node") -> bool:
        views = [self.peer(other) for other in others]
        return all(view is not None and view.connected for view in views)


async def until(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Polls until the condition holds; fails the test otherwise."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("the condition did not come true in time")
        await asyncio.sleep(0.005)


async def all_connected(*nodes: Node) -> None:
    """Waits until every node is connected to every other."""
    for node in nodes:
        others = [other for other in nodes if other is not node]
        await until(lambda node=node, others=others: node.is_connected_to(*others))  # type: ignore[misc]

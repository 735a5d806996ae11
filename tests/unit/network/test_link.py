"""Our end of a link against a server that answers without end."""

import asyncio

import pytest
import zmq.asyncio

from cairn.consensus.errors import Rule, RuleError
from cairn.network import link as link_module
from cairn.network.keys import generate_curve_keys
from cairn.network.link import PeerLink
from cairn.network.messages import Hello, TipBroadcast, TransactionsBroadcast, Welcome


class Heard:
    """What the link told."""

    def __init__(self) -> None:
        self.fault: asyncio.Future[RuleError] = asyncio.get_running_loop().create_future()

    def hello(self) -> Hello:
        return Hello(bytes(32), b"", bytes(96), bytes(32))

    async def on_welcome(self, link: PeerLink, welcome: Welcome, first: bool) -> None:
        raise AssertionError("nobody answers")

    def on_lost(self, link: PeerLink, reason: str) -> None:
        pass

    def on_fault(self, link: PeerLink, error: RuleError) -> None:
        if not self.fault.done():
            self.fault.set_result(error)

    def on_tip(self, link: PeerLink, broadcast: TipBroadcast) -> None:
        raise AssertionError("nobody tells")

    def on_transactions(self, link: PeerLink, broadcast: TransactionsBroadcast) -> None:
        raise AssertionError("nobody tells")

    def on_dropped(self, link: PeerLink) -> None:
        pass


def test_reply_of_endless_frames_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "MAX_UNFINISHED_REPLY_BYTES", 1024 * 1024)

    async def flood() -> None:
        context = zmq.asyncio.Context()
        keys, events = generate_curve_keys(), Heard()
        router = context.socket(zmq.ROUTER)
        router.curve_server = True
        router.curve_secretkey = keys.secret.encode()
        endpoint = f"tcp://127.0.0.1:{router.bind_to_random_port('tcp://127.0.0.1')}"
        link = PeerLink(keys.public, events, 5, 5)
        link.open(context, generate_curve_keys(), endpoint, endpoint)
        identity, _ = await router.recv_multipart()
        router.send_multipart([identity, *[bytes(60_000)] * 20_000], copy=False)
        error = await events.fault
        assert error.rule is Rule.MESSAGE_MALFORMED
        assert "end no message" in str(error)
        link.close()
        context.destroy(linger=0)

    asyncio.run(asyncio.wait_for(flood(), 20))

"""The public sockets against peers that send without end, connect without end, never read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import zmq
import zmq.asyncio

from cairn.consensus.errors import Rule, RuleError
from cairn.network import server as server_module
from cairn.network.keys import CurveKeyPair, generate_curve_keys
from cairn.network.messages import (
    Blocks,
    Busy,
    GetNodes,
    Nodes,
    ReplyBody,
    Request,
    RequestBody,
    decode_reply,
    encode_message,
)
from cairn.network.server import PeerServer
from cairn.network.settings import PeerSettings
from cairn.network.sockets import connect, make_dealer

SECONDS = 20


class Served:
    """A server with both endpoints, and what it found fault with."""

    def __init__(self) -> None:
        self.keys = generate_curve_keys()
        self.context = zmq.asyncio.Context()
        self.faults: list[tuple[str, RuleError]] = []
        self.reply: ReplyBody = Nodes([])
        self.publish = self.request = ""

    async def answer(self, _: str, body: RequestBody) -> ReplyBody:
        assert isinstance(body, GetNodes)
        return self.reply

    def dealer(self, keys: CurveKeyPair | None = None) -> zmq.asyncio.Socket:
        dealer = make_dealer(self.context, keys or generate_curve_keys(), self.keys.public)
        connect(dealer, self.request)
        return dealer


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    served = Served()
    settings = PeerSettings(
        served.keys, publish="tcp://127.0.0.1:*", request="tcp://127.0.0.1:*", admission="open"
    )
    server = PeerServer(
        settings,
        served.context,
        lambda _: None,
        served.answer,
        lambda key, error: served.faults.append((key, error)),
    )
    served.publish, served.request = server.start()
    try:
        yield served
    finally:
        await server.stop()
        served.context.destroy(linger=0)


def run(test: Callable[[Served], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(SECONDS), serving() as served:
            await test(served)

    asyncio.run(whole())


async def ask(dealer: zmq.asyncio.Socket, number: int = 1) -> ReplyBody:
    await dealer.send(encode_message(Request(number, GetNodes())))
    reply = decode_reply(await dealer.recv())
    assert reply.id == number
    return reply.body


async def wait_cut_off(socket: zmq.asyncio.Socket) -> None:
    monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    await monitor.recv_multipart()
    socket.disable_monitor()
    monitor.close()


def test_message_of_endless_frames_is_cut_off() -> None:
    async def flood(served: Served) -> None:
        with served.dealer() as dealer, served.dealer() as other:
            assert await ask(dealer) == Nodes([])
            cut = asyncio.create_task(wait_cut_off(dealer))
            dealer.send_multipart([bytes(60_000)] * 20_000, copy=False)
            await cut
            assert served.faults == []  # it was not read to its end
            assert await ask(other) == Nodes([])

    run(flood)


def test_many_frames_are_one_fault_and_stop_nobody() -> None:
    async def flood(served: Served) -> None:
        keys = generate_curve_keys()
        with served.dealer(keys) as dealer, served.dealer() as other:
            assert await ask(other) == Nodes([])
            assert await ask(dealer) == Nodes([])
            await dealer.send_multipart([b""] * 5_000)  # fewer bytes than end a connection
            assert await ask(other, 2) == Nodes([])
            assert decode_reply(await dealer.recv()).id == 0
            ((culprit, error),) = served.faults
            assert (culprit, error.rule) == (keys.public, Rule.MESSAGE_MALFORMED)
            assert "5001 frames" in str(error)
            assert await ask(dealer, 2) == Nodes([])

    run(flood)


def test_honest_requests_never_add_up_to_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MAX_UNFINISHED_REQUEST_BYTES", 2_000)

    async def work(served: Served) -> None:
        with served.dealer() as dealer:
            for number in range(1, 300):  # of 60 bytes and more each
                assert await ask(dealer, number) == Nodes([])
                await asyncio.sleep(0.002)

    run(work)


def test_connections_are_bounded_and_newcomers_find_a_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_module, "connection_limit", lambda _: 4)

    async def crowd(served: Served) -> None:
        with served.dealer() as steady:
            assert await ask(steady) == Nodes([])
            idle = [served.dealer() for _ in range(12)]
            cut = [asyncio.create_task(wait_cut_off(each)) for each in idle]
            number = 1
            while sum(task.done() for task in cut) < 8:
                number += 1
                assert await ask(steady, number) == Nodes([])
                await asyncio.sleep(0.02)
            for task in cut:
                task.cancel()
            await asyncio.gather(*cut, return_exceptions=True)
            for each in idle:
                each.close()

    run(crowd)


def test_who_does_not_read_is_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MAX_WAITING_BYTES_PER_PEER", 1_000_000)

    async def hoard(served: Served) -> None:
        served.reply = Blocks([bytes(400_000)])
        with served.dealer() as dealer:
            dealer.setsockopt(zmq.RCVHWM, 1)
            assert isinstance(await ask(dealer), Blocks)
            served.reply = Blocks([bytes(1_200_000)])
            assert await ask(dealer, 2) == Busy(server_module.CLOGGED_RETRY_MILLISECONDS)

    run(hoard)


def test_subscriber_that_sends_what_is_no_subscription_is_at_fault() -> None:
    async def chatter(served: Served) -> None:
        keys = generate_curve_keys()
        with served.context.socket(zmq.XSUB) as subscriber:
            subscriber.curve_publickey = keys.public.encode()
            subscriber.curve_secretkey = keys.secret.encode()
            subscriber.curve_serverkey = served.keys.public.encode()
            subscriber.connect(served.publish)
            while not served.faults:
                await subscriber.send(b"\x05")
                await asyncio.sleep(0.01)
            assert served.faults[0][0] == keys.public

    run(chatter)

"""Watching a socket's connections: who has to go when they are too many, or send too much."""

import asyncio
import socket as sockets
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import zmq
import zmq.asyncio

from cairn.network import traffic as traffic_module
from cairn.network.traffic import Traffic

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity" + bytes(4)
MORE_FOLLOWS = 3
"""The flags of a long frame that is not its message's last (ZMTP 3.0)."""


Test = Callable[[zmq.asyncio.Context, zmq.asyncio.Socket], Coroutine[Any, Any, None]]


def run(test: Test) -> None:
    async def whole() -> None:
        context = zmq.asyncio.Context()
        router = context.socket(zmq.ROUTER)
        router.bind("tcp://127.0.0.1:*")
        try:
            async with asyncio.timeout(20):
                await test(context, router)
        finally:
            context.destroy(linger=0)

    asyncio.run(whole())


def connect(context: zmq.asyncio.Context, router: zmq.asyncio.Socket) -> zmq.asyncio.Socket:
    dealer = context.socket(zmq.DEALER)
    dealer.connect(router.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode())
    return dealer


async def hear(router: zmq.asyncio.Socket) -> tuple[bytes, int]:
    """The sender and descriptor of the next message."""
    identity, frame = await router.recv_multipart(copy=False)
    return identity.bytes, int(frame["__fd"])


def is_ended(connection: sockets.socket) -> bool:
    """Whether the other end has ended it."""
    connection.setblocking(False)
    try:
        while connection.recv(1_000):
            pass
    except BlockingIOError:
        return False
    except ConnectionResetError:
        pass
    return True


def test_newcomers_between_two_looks_do_not_push_out_who_speaks() -> None:
    async def crowd(context: zmq.asyncio.Context, router: zmq.asyncio.Socket) -> None:
        traffic = Traffic(router, 1_000_000, most_connections=3)
        steady = connect(context, router)
        await steady.send(b"here")
        identity, descriptor = await hear(router)
        traffic.heard(descriptor)
        assert len(traffic) == 1
        newcomers = [connect(context, router) for _ in range(10)]
        last = 0
        for newcomer in newcomers:
            await newcomer.send(b"here too")
            _, last = await hear(router)
        traffic.heard(last)
        assert len(traffic) == 3
        await router.send_multipart([identity, b"still here?"])
        assert await steady.recv() == b"still here?"
        await steady.send(b"yes")
        assert (await hear(router)) == (identity, descriptor)
        traffic.close()
        for dealer in (steady, *newcomers):
            dealer.close()

    run(crowd)


def test_many_that_each_send_little_without_an_end_are_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(traffic_module, "MAX_UNFINISHED_BYTES_IN_ALL", 100_000)
    size = 60_000

    async def swarm(_: zmq.asyncio.Context, router: zmq.asyncio.Socket) -> None:
        ended: list[int] = []
        traffic = Traffic(router, 100_000, flooded=ended.append, look_seconds=0.01)
        watching = asyncio.create_task(traffic.run())
        port = int(router.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").rpartition(b":")[2])
        raw = [sockets.create_connection(("127.0.0.1", port)) for _ in range(4)]
        for each in raw:
            each.sendall(GREETING + READY)
        while len(traffic) < len(raw):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for each in raw:
            each.sendall(struct.pack(">BQ", MORE_FOLLOWS, size) + bytes(size))
        while not ended:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert all(33_000 < excess < 100_000 for excess in ended)
        for each in raw:
            each.close()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        traffic.close()

    run(swarm)


def test_a_neighbourhood_pushes_nobody_else_out() -> None:
    """Its addresses are many, each with one connection; the oldest is not of it."""

    async def crowd(_: zmq.asyncio.Context, router: zmq.asyncio.Socket) -> None:
        traffic = Traffic(router, 1_000_000, 4, look_seconds=0.01, expects_questions=False)
        watching = asyncio.create_task(traffic.run())
        port = int(router.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").rpartition(b":")[2])

        def arrive(source: str) -> sockets.socket:
            return sockets.create_connection(("127.0.0.1", port), source_address=(source, 0))

        honest = arrive("127.0.1.1")
        while len(traffic) < 1:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        crowding = [arrive(f"127.0.2.{number}") for number in range(1, 9)]
        while sum(map(is_ended, crowding)) < len(crowding) - 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert not is_ended(honest)
        for each in (honest, *crowding):
            each.close()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        traffic.close()

    run(crowd)

"""ZMQ sockets with every bound set: message size, queues, handshake, heartbeat, linger."""

import asyncio
import logging

import zmq
import zmq.asyncio

from cairn.network.keys import CurveKeyPair
from cairn.network.messages import (
    CHAIN_TOPIC,
    MAX_BROADCAST_BYTES,
    MAX_REPLY_BYTES,
    MAX_REQUEST_BYTES,
    MAX_SUBSCRIPTION_BYTES,
    TRANSACTIONS_TOPIC,
)

_logger = logging.getLogger(__name__)

ZAP_DOMAIN = b"cairn"

_HANDSHAKE_MILLISECONDS = 5_000
_HEARTBEAT_MILLISECONDS = 10_000
_HEARTBEAT_TIMEOUT_MILLISECONDS = 30_000
_RECONNECT_MILLISECONDS = 100
_RECONNECT_MAX_MILLISECONDS = 5_000
_BACKLOG = 256
_FRAMES_AT_ONCE = 64


def make_router(context: zmq.asyncio.Context, keys: CurveKeyPair) -> zmq.asyncio.Socket:
    """The ROUTER that answers peers; `bind` opens it, when its traffic is watched."""
    socket: zmq.asyncio.Socket = context.socket(zmq.ROUTER)
    _bound(socket, MAX_REQUEST_BYTES, received=8, sent=8)
    _serve(socket, keys)
    return socket


def make_publisher(context: zmq.asyncio.Context, keys: CurveKeyPair) -> zmq.asyncio.Socket:
    """The PUB that tells peers: an XPUB, which also shows who subscribes; `bind` opens it."""
    socket: zmq.asyncio.Socket = context.socket(zmq.XPUB)
    _bound(socket, MAX_SUBSCRIPTION_BYTES, received=64, sent=256)
    socket.setsockopt(zmq.XPUB_VERBOSE, 1)
    _serve(socket, keys)
    return socket


def make_dealer(
    context: zmq.asyncio.Context, keys: CurveKeyPair, server_key: str
) -> zmq.asyncio.Socket:
    """A DEALER that asks one peer; `connect` opens it, when its traffic is watched.

    It sends nothing before the peer has proved its key.
    """
    socket: zmq.asyncio.Socket = context.socket(zmq.DEALER)
    _bound(socket, MAX_REPLY_BYTES, received=8, sent=64)
    socket.setsockopt(zmq.IMMEDIATE, 1)
    _ask(socket, keys, server_key)
    return socket


def make_subscriber(
    context: zmq.asyncio.Context, keys: CurveKeyPair, server_key: str
) -> zmq.asyncio.Socket:
    """A SUB that hears one peer's two topics; `connect` opens it."""
    socket: zmq.asyncio.Socket = context.socket(zmq.SUB)
    # A slow reader lets the publisher's queue grow, not ours: ours could hold 1 MiB a message.
    _bound(socket, MAX_BROADCAST_BYTES, received=32, sent=64)
    socket.subscribe(TRANSACTIONS_TOPIC)
    socket.subscribe(CHAIN_TOPIC)
    _ask(socket, keys, server_key)
    return socket


def bind(socket: zmq.asyncio.Socket, endpoint: str) -> None:
    """Lets peers connect. Raises OSError naming an endpoint that is taken.

    Whoever watches the socket's connections must do so before: of earlier ones nothing is told.
    """
    socket.setsockopt(zmq.IPV6, int("[" in endpoint))
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise OSError(error.errno, f"cannot listen at {endpoint}: {error.strerror}") from None


def connect(socket: zmq.asyncio.Socket, endpoint: str) -> None:
    """Connects to a peer, again and again; see `bind` for when."""
    socket.setsockopt(zmq.IPV6, int("[" in endpoint))
    socket.connect(endpoint)


def bound_endpoint(socket: zmq.asyncio.Socket) -> str:
    """Where the socket is bound, its port a number."""
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)  # noqa: S101 - for the type checker
    return endpoint.rstrip(b"\0").decode("ascii")


async def receive(socket: zmq.asyncio.Socket, most: int) -> tuple[list[zmq.Frame], int]:
    """The first `most` frames of the next message, and how many it has in all.

    The others are dropped a few at a time: a million of them must not stop the loop.
    """
    frames: list[zmq.Frame] = []
    count = 0
    while True:
        frame = await socket.recv(copy=False)
        count += 1
        if count <= most:
            frames.append(frame)
        if not frame.more:
            return frames, count
        if count % _FRAMES_AT_ONCE == 0:
            await asyncio.sleep(0)


def send_now(socket: zmq.asyncio.Socket, frames: list[bytes]) -> None:
    """Sends on a ROUTER or XPUB, which never block, without a turn of the loop.

    It goes through the asynchronous socket all the same: a send through the plain one would
    swallow the wake-up of whoever waits to receive.
    """
    sent: asyncio.Future[object] = asyncio.ensure_future(
        socket.send_multipart(frames, zmq.DONTWAIT)
    )
    problem = sent.exception() if sent.done() else None
    if problem is not None:
        _logger.warning("a message was dropped: %s", problem)


def _bound(socket: zmq.asyncio.Socket, size: int, received: int, sent: int) -> None:
    options = {
        zmq.LINGER: 0,
        zmq.MAXMSGSIZE: size,
        zmq.RCVHWM: received,
        zmq.SNDHWM: sent,
        zmq.HANDSHAKE_IVL: _HANDSHAKE_MILLISECONDS,
        zmq.HEARTBEAT_IVL: _HEARTBEAT_MILLISECONDS,
        zmq.HEARTBEAT_TIMEOUT: _HEARTBEAT_TIMEOUT_MILLISECONDS,
        zmq.HEARTBEAT_TTL: _HEARTBEAT_TIMEOUT_MILLISECONDS,
        zmq.TCP_KEEPALIVE: 1,
        zmq.TCP_KEEPALIVE_IDLE: 60,
        zmq.TCP_KEEPALIVE_INTVL: 15,
        zmq.TCP_KEEPALIVE_CNT: 4,
        zmq.RECONNECT_IVL: _RECONNECT_MILLISECONDS,
        zmq.RECONNECT_IVL_MAX: _RECONNECT_MAX_MILLISECONDS,
        zmq.BACKLOG: _BACKLOG,
    }
    for option, value in options.items():
        socket.setsockopt(option, value)


def _serve(socket: zmq.asyncio.Socket, keys: CurveKeyPair) -> None:
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.encode("ascii"))
    socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)


def _ask(socket: zmq.asyncio.Socket, keys: CurveKeyPair, server_key: str) -> None:
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public.encode("ascii"))
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.encode("ascii"))
    socket.setsockopt(zmq.CURVE_SERVERKEY, server_key.encode("ascii"))

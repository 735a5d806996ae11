"""Admission by ZAP (ZMQ RFC 27): a key is let in or not before a byte of it is parsed.

The handler answers every CURVE handshake of its ZMQ context, and names the client by its
key: each frame of a connection then carries that name as `User-Id`.
"""

import asyncio
import logging
from collections.abc import Callable

import zmq
import zmq.asyncio
from zmq.utils import z85

from cairn.consensus.errors import RuleError
from cairn.network.sockets import ZAP_DOMAIN

_logger = logging.getLogger(__name__)
_ENDPOINT = "inproc://zeromq.zap.01"
_VERSION = b"1.0"


class Gate:
    """Asks `refusal(key)` for every client; None lets it in."""

    def __init__(
        self, context: zmq.asyncio.Context, refusal: Callable[[str], RuleError | None]
    ) -> None:
        self._refusal = refusal
        self._socket: zmq.asyncio.Socket = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(_ENDPOINT)

    async def run(self) -> None:
        """Answers handshakes until cancelled."""
        while True:
            frames = await self._socket.recv_multipart()
            try:
                reply = self._judge(frames)
                if reply is not None:
                    await self._socket.send_multipart(reply)
            except zmq.ZMQError:
                raise
            except Exception:
                _logger.exception("admission failed; the client is not let in")
            await asyncio.sleep(0)  # a flood of handshakes must not starve the loop

    def close(self) -> None:
        """Nobody is let in any more."""
        self._socket.close()

    def _judge(self, frames: list[bytes]) -> list[bytes] | None:
        """Frames: routing id, empty, version, request id, domain, address, identity,
        mechanism, credentials. None for what is not ZAP 1.0."""
        if len(frames) < 8 or frames[2] != _VERSION:
            return None
        envelope = [frames[0], b"", _VERSION, frames[3]]
        _, _, _, _, domain, address, _, mechanism, *credentials = frames
        if domain != ZAP_DOMAIN or mechanism != b"CURVE" or [*map(len, credentials)] != [32]:
            return [*envelope, b"400", b"CURVE only", b"", b""]
        key = z85.encode(credentials[0]).decode("ascii")
        problem = self._refusal(key)
        if problem is not None:
            _logger.debug("refused %s at %r: %s", key, address, problem)
            # 300 says nothing and the client tries again in a while; after 400 it never would,
            # and a lifted ban would not reach it.
            return [*envelope, b"300", problem.rule.value.encode("ascii"), b"", b""]
        return [*envelope, b"200", b"OK", key.encode("ascii"), b""]

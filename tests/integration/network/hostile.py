"""Peers made by hand from sockets and bytes: they can send anything to anybody."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
import zmq
import zmq.asyncio

from cairn.consensus.block import Block
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof_of_work import work_of
from cairn.network.keys import generate_curve_keys
from cairn.network.records import decode_record
from tests.integration.network.nodes import Node
from tests.support.builders import make_key

Body = dict[str, Any]


class HostilePeer:
    """Has a key pair, an account, and a context of its own. Used by `async with`.

    `chain` is what it claims as its own, `answer` overrides what it replies: None leaves the
    usual honest reply, bytes are sent as they are, and `SILENCE` sends nothing.
    """

    SILENCE = object()

    def __init__(self, params: NetworkParams, number: int = 90) -> None:
        self.params = params
        self.keys = generate_curve_keys()
        self.account = make_key(number)
        self.chain: list[Block] = [params.genesis_block()]
        self.claimed_work: int | None = None
        self.answer: Callable[[Body], object] = lambda body: None
        self.asked: list[Body] = []
        self.network_id = params.network_id()
        self.context = zmq.asyncio.Context()
        self._sequence = 0
        self._clients: list[zmq.asyncio.Socket] = []
        """Held until the context closes them."""
        self._watched: list[tuple[zmq.asyncio.Socket, zmq.asyncio.Socket]] = []

    async def __aenter__(self) -> "HostilePeer":
        self._router = self._server(zmq.ROUTER)
        self._publisher = self._server(zmq.PUB)
        self._task = asyncio.create_task(self._serve())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for socket, monitor in self._watched:
            socket.disable_monitor()
            monitor.close()
        self.context.destroy(linger=0)

    def record(self, **changes: object) -> bytes:
        """Its record, with fields changed before it is signed (`signature`: after)."""
        fields: Body = {
            "network_id": self.network_id,
            "name": "hostile",
            "url": "http://127.0.0.1:1",
            "publish": self._publisher.getsockopt_string(zmq.LAST_ENDPOINT),
            "request": self._router.getsockopt_string(zmq.LAST_ENDPOINT),
            "curve_key": self.keys.public,
            "public_key": self.account.public_key,
            "version": "6.6.6",
            "timestamp": int(time.time()),
        }
        signature = changes.pop("signature", None)
        fields |= changes
        unsigned = msgspec.msgpack.encode([*fields.values(), b""])
        message = b"cairn:node:v1" + fields["network_id"] + unsigned
        signature = self.account.sign(message) if signature is None else signature
        return msgspec.msgpack.encode([*fields.values(), signature])

    # -- as a client ---------------------------------------------------------------------------

    def dealer(self, node: Node) -> zmq.asyncio.Socket:
        return self._client(zmq.DEALER, node, decode_record(node.network.record).request)

    def subscriber(self, node: Node) -> zmq.asyncio.Socket:
        socket = self._client(zmq.SUB, node, decode_record(node.network.record).publish)
        socket.subscribe(b"")
        return socket

    async def ask(self, socket: zmq.asyncio.Socket, body: Body) -> Body:
        """The body of the node's reply."""
        await socket.send(msgspec.msgpack.encode([1, body]))
        async with asyncio.timeout(10):
            _, reply = msgspec.msgpack.decode(await socket.recv())
        return dict(reply)

    def hello(self, **changes: object) -> Body:
        return {
            "type": "hello",
            "network_id": self.network_id,
            "record": self.record(),
            "header": self.chain[-1].raw[:96],
            "chain_work": self.work,
            **changes,
        }

    def watch(self, socket: zmq.asyncio.Socket) -> zmq.asyncio.Socket:
        """A socket that receives a message when `socket` is disconnected."""
        monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._watched.append((socket, monitor))
        return monitor

    # -- as a server ---------------------------------------------------------------------------

    @property
    def work(self) -> bytes:
        total = sum(work_of(block.header.bits) for block in self.chain)
        return (self.claimed_work or total).to_bytes(32, "big")

    async def publish(self, *frames: bytes) -> None:
        await self._publisher.send_multipart(list(frames))

    async def announce(self, **changes: object) -> None:
        """Broadcasts its tip."""
        self._sequence += 1
        body = {
            "type": "tip_broadcast",
            "sequence": self._sequence,
            "transactions_sequence": 0,
            "header": self.chain[-1].raw[:96],
            "chain_work": self.work,
            **changes,
        }
        await self.publish(b"chain", msgspec.msgpack.encode(body))

    def kinds_asked(self) -> set[str]:
        return {body["type"] for body in self.asked}

    async def _serve(self) -> None:
        while True:
            identity, frame = await self._router.recv_multipart()
            number, body = msgspec.msgpack.decode(frame)
            self.asked.append(body)
            reply = self.answer(body)
            if reply is self.SILENCE:
                continue
            if not isinstance(reply, bytes):
                reply = msgspec.msgpack.encode([number, reply or self._usual(body)])
            await self._router.send_multipart([identity, reply])

    def _usual(self, body: Body) -> Body:
        match body["type"]:
            case "hello":
                return {
                    **self.hello(type="welcome", network_id=self.network_id),
                    "transactions_sequence": 0,
                }
            case "get_headers":
                hashes = [block.hash for block in self.chain]
                after = next(each for each in body["locator"] if each in hashes)
                following = self.chain[hashes.index(after) + 1 :][:2_000]
                return {"type": "headers", "headers": [block.raw[:96] for block in following]}
            case "get_blocks":
                by_hash = {block.hash: block.raw for block in self.chain}
                found = [by_hash[each] for each in body["hashes"] if each in by_hash]
                return {"type": "blocks", "blocks": found}
            case "get_transactions":
                return {"type": "transaction_ids", "ids": []}
        return {"type": "nodes", "records": []}

    def _server(self, kind: int) -> zmq.asyncio.Socket:
        socket: zmq.asyncio.Socket = self.context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self.keys.secret.encode())
        socket.bind("tcp://127.0.0.1:*")
        return socket

    def _client(self, kind: int, node: Node, endpoint: str) -> zmq.asyncio.Socket:
        socket: zmq.asyncio.Socket = self.context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.CURVE_PUBLICKEY, self.keys.public.encode())
        socket.setsockopt(zmq.CURVE_SECRETKEY, self.keys.secret.encode())
        socket.setsockopt(zmq.CURVE_SERVERKEY, node.curve.public.encode())
        socket.connect(endpoint)
        self._clients.append(socket)
        return socket

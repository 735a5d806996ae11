"""A peer made by hand: real CURVE sockets, messages and records written out from the protocol.

It can behave, serving a chain of blocks that a test made, and it can send whatever bytes it
likes. Nothing of the node's network code is used.
"""

import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import msgspec
import zmq

from cairn.consensus.block import Block, decode_block
from tests.support.network import LocalNode, free_ports
from tests.support.rest import Reply, RestApi
from tests.support.wallets import Account, NetworkName, double_sha256

HOST = "127.0.0.1"
ANNOUNCE_SECONDS = 0.5
ANSWER_MILLISECONDS = 5_000

Body = dict[str, Any]
Serve = Callable[[Body], object]


@dataclass(frozen=True)
class NodeAddress:
    """Where a node's public sockets are, from its own signed record."""

    publish: str
    request: str
    curve_key: bytes


class RawPeer:
    """A node's worth of sockets without a node behind them; a context manager.

    `chain` is what it claims and serves: blocks of heights 1 up. `serve` may answer requests
    in its own way: any object is sent as the reply's body, bytes as the whole frame, None as
    usual.
    """

    def __init__(
        self,
        network: NetworkName,
        genesis: Block,
        chain: Sequence[Block] = (),
        serve: Serve = lambda _: None,
    ) -> None:
        self.network = network
        self.chain = [genesis, *chain]
        self.serve = serve
        self.account = Account(secrets.randbits(60))
        self.public, self.secret = zmq.curve_keypair()
        self.asked: list[str] = []
        """Kinds of the requests that came."""
        self._publish_port, self._request_port = free_ports(2)
        self._context = zmq.Context()
        self._outgoing: list[list[bytes]] = []
        self._sequence = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join(timeout=10)
        self._context.destroy(linger=0)

    @property
    def curve_key(self) -> str:
        """How nodes know it."""
        return self.public.decode()

    def record(self, **changes: object) -> bytes:
        """Its signed node record, with fields changed before signing."""
        fields: dict[str, object] = {
            "network_id": self.network.id,
            "name": "raw",
            "url": f"http://{HOST}:{self._publish_port}",
            "publish": f"tcp://{HOST}:{self._publish_port}",
            "request": f"tcp://{HOST}:{self._request_port}",
            "curve_key": self.curve_key,
            "public_key": self.account.public_key,
            "version": "0",
            "timestamp": int(time.time()),
            "signature": b"",
        }
        fields |= changes
        unsigned = msgspec.msgpack.encode(list(fields.values()))
        signature = self.account.sign(b"cairn:node:v1" + self.network.id + unsigned)
        return msgspec.msgpack.encode([*list(fields.values())[:-1], signature])

    def join(self, node: LocalNode, **changes: object) -> NodeAddress:
        """Joins at a node, as a newcomer does; the node's address."""
        reply = self.post_record(node.api, self.record(**changes))
        assert reply.status in (200, 201, 202), reply.body
        own = bytes.fromhex(reply.json()["items"][0]["record"])
        values = msgspec.msgpack.decode(own)
        return NodeAddress(values[3], values[4], values[5].encode())

    @staticmethod
    def post_record(api: RestApi, record: bytes) -> Reply:
        """`POST nodes` with these bytes."""
        return api.post_json("nodes", {"record": record.hex()})

    def dealer(self, address: NodeAddress) -> "zmq.SyncSocket":
        """A socket for requests to the node, under this peer's key. The caller closes it."""
        socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, ANSWER_MILLISECONDS)
        socket.setsockopt(zmq.SNDTIMEO, ANSWER_MILLISECONDS)
        socket.curve_publickey = self.public
        socket.curve_secretkey = self.secret
        socket.curve_serverkey = address.curve_key
        socket.connect(address.request)
        return socket

    def ask(
        self,
        address: NodeAddress,
        body: Mapping[str, object],
        timeout_milliseconds: int = ANSWER_MILLISECONDS,
    ) -> Body:
        """One request and the body of its answer. Raises zmq.Again when none comes."""
        with self.dealer(address) as socket:
            socket.setsockopt(zmq.RCVTIMEO, timeout_milliseconds)
            socket.send(msgspec.msgpack.encode([7, body]))
            number, answer = msgspec.msgpack.decode(socket.recv())
            assert number in (7, 0)
            return dict(answer)

    def download(self, address: NodeAddress) -> list[Block]:
        """The node's whole chain above genesis."""
        question = {"type": "get_headers", "locator": [self.network.id]}
        hashes = [double_sha256(header) for header in self.ask(address, question)["headers"]]
        if not hashes:
            return []
        raws = self.ask(address, {"type": "get_blocks", "hashes": hashes})["blocks"]
        assert len(raws) == len(hashes)
        return [decode_block(raw, self.network.id, 2**32) for raw in raws]

    def publish(self, *frames: bytes) -> None:
        """Broadcasts these frames."""
        self._outgoing.append([*frames])

    def hello(self) -> Body:
        """What it says of itself."""
        return {
            "type": "hello",
            "network_id": self.network.id,
            "record": self.record(),
            "header": self.chain[-1].raw[:96],
            "chain_work": self.work,
        }

    @property
    def work(self) -> bytes:
        """Of its chain, 32 bytes."""
        return sum(work_of_bits(block.header.bits) for block in self.chain).to_bytes(32, "big")

    # -- its own thread ------------------------------------------------------------------------

    def _run(self) -> None:
        router = self._server(zmq.ROUTER, self._request_port)
        publisher = self._server(zmq.PUB, self._publish_port)
        self._started.set()
        announced = 0.0
        while not self._stopped.is_set():
            if router.poll(50):
                self._answer(router)
            while self._outgoing:
                publisher.send_multipart(self._outgoing.pop(0))
            if time.monotonic() - announced > ANNOUNCE_SECONDS:
                announced = time.monotonic()
                publisher.send_multipart([b"chain", self._announcement()])
        router.close(0)
        publisher.close(0)

    def _server(self, kind: int, port: int) -> "zmq.SyncSocket":
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.curve_server = True
        socket.curve_secretkey = self.secret
        socket.bind(f"tcp://{HOST}:{port}")
        return socket

    def _announcement(self) -> bytes:
        self._sequence += 1
        body = {
            "type": "tip_broadcast",
            "sequence": self._sequence,
            "transactions_sequence": 0,
            "header": self.chain[-1].raw[:96],
            "chain_work": self.work,
        }
        return msgspec.msgpack.encode(body)

    def _answer(self, router: "zmq.SyncSocket") -> None:
        identity, frame = router.recv_multipart()[:2]
        number, body = msgspec.msgpack.decode(frame)
        self.asked.append(body["type"])
        answer = self.serve(body)
        if answer is None:
            answer = self._usual(body)
        if not isinstance(answer, bytes):
            answer = msgspec.msgpack.encode([number, answer])
        router.send_multipart([identity, answer])

    def _usual(self, body: Body) -> Body:
        match body["type"]:
            case "hello":
                return {**self.hello(), "type": "welcome", "transactions_sequence": 0}
            case "get_nodes":
                return {"type": "nodes", "records": []}
            case "get_headers":
                known = [block.hash for block in self.chain]
                start = next((known.index(each) for each in body["locator"] if each in known), 0)
                headers = [block.raw[:96] for block in self.chain[start + 1 :]]
                return {"type": "headers", "headers": headers}
            case "get_blocks":
                at_hand = {block.hash: block.raw for block in self.chain}
                found = [at_hand[each] for each in body["hashes"] if each in at_hand]
                return {"type": "blocks", "blocks": found}
            case _ if body.get("ids") is None:
                return {"type": "transaction_ids", "ids": []}
            case _:
                return {"type": "transactions", "transactions": []}


def work_of_bits(bits: int) -> int:
    """Expected hashes for compact bits."""
    target = (bits & 0x7FFFFF) << 8 * ((bits >> 24) - 3)
    return 2**256 // (target + 1)

"""Connecting while the process may open no more files: put off, and done once it may."""

import asyncio
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import zmq.asyncio

from cairn.network.book import NodeBook
from cairn.network.connections import GIVE_UP_SECONDS, Connections
from cairn.network.keys import generate_curve_keys
from cairn.network.link import LinkEvents, PeerLink
from cairn.network.messages import Hello
from cairn.network.records import NodeRecord, encode_record, sign_record
from cairn.network.settings import AccountSigner, PeerSettings
from tests.support.builders import make_key

ROOT = Path(__file__).resolve().parents[3]
NODES = 10
NETWORK_ID = bytes(32)
LOOPBACK = ("127.0.0.0/8",)


class Quiet(LinkEvents):
    """Says hello, and expects no answer."""

    def hello(self) -> Hello:
        return Hello(NETWORK_ID, b"", bytes(96), bytes(32))

    def on_lost(self, link: PeerLink, reason: str) -> None:
        raise AssertionError("nobody had answered")


def test_no_files_are_left_for_a_while() -> None:
    # In a process of its own: the limit is the whole process's.
    program = f"from {__name__} import main; main()"
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{2 * NODES} connections\n", done.stderr


def main() -> None:
    """What the other process does, before links that only hang are given up."""
    asyncio.run(asyncio.wait_for(run_short_of_files(), GIVE_UP_SECONDS - 5))


async def run_short_of_files() -> None:
    opened: set[asyncio.StreamWriter] = set()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.add(writer)
        while await reader.read(4_096):
            pass
        opened.discard(writer)
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    book = book_of(port)
    context = zmq.asyncio.Context()
    context.socket(zmq.PUB).close()  # its threads have their files from here on
    connections = Connections(
        PeerSettings(generate_curve_keys(), admission="open", allowed_ranges=LOOPBACK),
        context, book, Quiet(), time.time, lambda link, was_connected: None,
    )  # fmt: skip
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = len(os.listdir("/proc/self/fd")) + 8  # noqa: PTH208
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
    connections.start()
    while not any(node.failures for node in book.nodes()):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    while len(opened) < 2 * NODES:
        for node in book.nodes():
            node.attempt_at = 0.0
        connections.wake()
        await asyncio.sleep(0.05)
    print(len(opened), "connections", flush=True)
    await connections.stop()
    server.close()
    context.destroy(linger=0)


def book_of(port: int) -> NodeBook:
    settings = PeerSettings(generate_curve_keys(), admission="open", allowed_ranges=LOOPBACK)
    book = NodeBook(settings, NETWORK_ID, time.time)
    for number in range(NODES):
        account = make_key(number)
        signer = AccountSigner(account.public_key, account.sign)
        endpoint = f"tcp://127.0.0.1:{port}"
        record = NodeRecord(
            NETWORK_ID, f"node-{number}", "http://127.0.0.1:1", endpoint, endpoint,
            generate_curve_keys().public, signer.public_key, "0", int(time.time()),
        )  # fmt: skip
        book.learn(encode_record(sign_record(record, signer)))
    return book

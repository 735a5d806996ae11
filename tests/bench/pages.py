"""Time of each page on a long chain: a gunicorn of the node's settings, asked over its socket."""

import time
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

from flask import Flask
from sqlalchemy import Engine

from cairn.chain.node_store import NodeRow
from cairn.chain.store import BlockStatus, Reorganisation
from cairn.consensus.block import Block, Coinbase, Header, build_block
from cairn.consensus.crypto import encode_address
from cairn.consensus.merkle import merkle_root
from cairn.consensus.transaction import Transaction, decode_transaction
from cairn.ipc.messages import Alert, GetLog, Log, LogLine, PeerStatus, Reply, Request, Status
from cairn.storage import journal
from cairn.storage.dialect import insert_rows
from cairn.storage.engine import open_engine
from cairn.storage.migrate import migrate
from cairn.storage.node_store import SqlNodeStore
from cairn.storage.session import Session
from cairn.storage.tables import accounts, blocks, meta, pool, transactions
from cairn.web import create_app
from cairn.web.node import EXTENSION
from cairn.web.remembered import Shared
from tests.bench.measure import Figure
from tests.support.builders import transaction_body
from tests.support.gunicorn import running_gunicorn
from tests.support.ipc import ServerThread
from tests.support.operator import OperatorBrowser
from tests.support.rest import RestApi
from tests.support.web import TOKEN, WebTestNode, free_ports

PAGE_MILLISECONDS = 50
BLOCKS, PER_BLOCK = 1_000, 100
IN_FULL_BLOCK = 6_400
"""More than the others have, in the block in the middle: about 1 MB."""
WAITING = 20_000
NODES, MOVES, SIDES = 500, 1_000, 100
ROUNDS = 100
PEERS = 16
_ACCOUNTS = 2_000
_BATCH_BLOCKS = 50
_BITS = 0x207FFFFF
_BUSY = 0
"""The account that every transaction is from or to."""


class LongChain(NamedTuple):
    """What the pages are asked about."""

    busy: bytes
    """Address with a history of all transactions."""
    mined: bytes
    """Id of a transaction in the middle."""
    waiting: bytes
    tip: bytes
    blocks: int


def page_figures(folder: Path, database: str, url: str) -> Iterator[Figure]:
    """95th percentile (and median, for the machine) of each page's time on `database`."""
    node = WebTestNode(folder, url)
    migrate(node.config.database_url)
    engine = open_engine(node.config.database_url)
    start = time.perf_counter()
    chain = fill(engine, node)
    engine.dispose()
    count = BLOCKS * PER_BLOCK + IN_FULL_BLOCK
    yield Figure(f"chain of {count:,} built ({database})", time.perf_counter() - start, "s")
    listener = ServerThread(lambda request: _answer(request, chain), node.run_directory)
    (port,) = free_ports(1)
    try:
        with running_gunicorn(
            node.config_file, port, ["--workers=1"], application="tests.bench.pages:application()"
        ) as (api, _):
            for path, headers in paths(api, node, chain):
                times = [_timed(api, path, headers) for _ in range(ROUNDS)]
                cuts = quantiles(times, n=20)
                name = path if len(path) < 40 else f"{path[:37]}…"
                yield Figure(f"{name} p50 ({database})", cuts[9], "ms")
                yield Figure(f"{name} p95 ({database})", cuts[18], "ms", PAGE_MILLISECONDS)
    finally:
        listener.stop()
        node.close()


def application() -> Flask:
    """The node's own, but that the overview is made anew for each who asks."""
    app = create_app()
    app.extensions[EXTENSION].overview = Shared(0.0)
    return app


async def _answer(request: Request, chain: LongChain) -> Reply:
    """What a listener of this chain says. A real one would throw out what nobody signed."""
    if isinstance(request, GetLog):
        return Log([LogLine(1_700_000_000 + n, "info", f"line {n}") for n in range(request.limit)])
    peers = [PeerStatus(f"{n:040}", f"node {n}", True, chain.blocks, 0) for n in range(PEERS)]
    return Status(
        "0.1.0", 1_700_000_000, chain.blocks, chain.tip, bytes(32), "synced", chain.blocks,
        WAITING, WAITING * 200, peers, [Alert("disk-low", "4 GB are left", 1_700_000_000)],
        "auto", 1_000_000, "open", bytes(20),
    )  # fmt: skip


def _timed(api: RestApi, path: str, headers: Mapping[str, str]) -> float:
    """Milliseconds of one request, which must succeed."""
    start = time.perf_counter()
    reply = api.call("GET", path, headers={"Accept": "text/html", **headers})
    taken = time.perf_counter() - start
    assert reply.status == 200, (path, reply.status, reply.body[:300])
    return taken * 1_000


def paths(api: RestApi, node: WebTestNode, chain: LongChain) -> list[tuple[str, Mapping[str, str]]]:
    """Every page, those that go on deep in a list, and what else their requests have to say."""
    address = encode_address(node.params.address_prefix, chain.busy)
    middle = chain.blocks // 2
    history = f"/address/{address}"
    found = [
        "/", "/chain", f"/chain?before={middle}",
        api.call("GET", f"/block/{middle}").headers["location"],
        f"/transaction/{chain.mined.hex()}", f"/transaction/{chain.waiting.hex()}",
        history, f"{history}?cursor={middle}-50", f"{history}/qr.svg",
        "/pool", "/pool?order=age", "/nodes", "/forks", "/api", "/api/v1/status",
        "/wallet", "/notarize", "/verify",
    ]  # fmt: skip
    return [*((path, {}) for path in found), ("/operator", _logged_in(api))]


def _logged_in(api: RestApi) -> Mapping[str, str]:
    """The operator's session."""
    browser = OperatorBrowser(api)
    assert browser.log_in(TOKEN).status == 303
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}


# -- filling ---------------------------------------------------------------------------------------


def fill(engine: Engine, node: WebTestNode) -> LongChain:
    """Sets of rows as the listener would have written them; nobody signed, nobody mined."""
    session = Session(engine)
    genesis = node.params.genesis_block()
    with session.transaction(), session.writing() as connection:
        insert_rows(connection, meta, [("network_id", node.network_id)])
        insert_rows(connection, blocks, [_row(genesis, 0, 1, 0, BlockStatus.ACTIVE)])
    previous, chosen = genesis.header, b""
    for first in range(1, BLOCKS + 1, _BATCH_BLOCKS):
        block_rows, transaction_rows = [], []
        for height in range(first, first + _BATCH_BLOCKS):
            mined = [_transaction(height * PER_BLOCK + n, node) for n in range(PER_BLOCK)]
            if height == BLOCKS // 2:
                mined += [_transaction(10**7 + n, node) for n in range(IN_FULL_BLOCK)]
            block = _block(previous, mined)
            above = (height - 1) * PER_BLOCK
            block_rows.append(_row(block, above, height + 1, height, BlockStatus.ACTIVE))
            transaction_rows += [_mined(each, height, n) for n, each in enumerate(mined)]
            previous = block.header
            chosen = mined[PER_BLOCK // 2].id if height == BLOCKS // 2 else chosen
        with session.transaction(), session.writing() as connection:
            insert_rows(connection, blocks, block_rows)
            insert_rows(connection, transactions, transaction_rows)
    waiting = _fill_rest(session, node, genesis.header)
    _fill_nodes(engine)
    busy = _transaction(0, node).recipient
    return LongChain(busy, chosen, waiting, previous.hash(), BLOCKS)


def _fill_rest(session: Session, node: WebTestNode, root: Header) -> bytes:
    waiting = [_transaction(10**8 + number, node) for number in range(WAITING)]
    sides = []
    for number in range(SIDES):
        block = _block(root, [], bytes([number]))
        sides.append(_row(block, 0, 2, 1, BlockStatus(2 * (number % 2))))
    with session.transaction(), session.writing() as connection:
        insert_rows(connection, pool, [_waiting(each, n) for n, each in enumerate(waiting)])
        insert_rows(connection, blocks, sides)
        held = [(_account(number), 10**8, 1) for number in range(_ACCOUNTS)]
        insert_rows(connection, accounts, held)
        for number in range(MOVES):
            tip = number.to_bytes(32, "big")
            journal.write(connection, Reorganisation(number, 1, tip, tip, tip, 5, 6, 1, 2, 3, 1, 1))
    return waiting[WAITING // 2].id


def _fill_nodes(engine: Engine) -> None:
    rows = [
        NodeRow(
            f"{number:040}", bytes(400), f"node {number}", "", f"tcp://10.0.0.1:{number}",
            f"tcp://10.0.0.1:{number}", _account(number), "0.1.0", "disconnected", number, 5, 0, 0,
            number, number,
        )
        for number in range(NODES)
    ]  # fmt: skip
    SqlNodeStore(engine).save_nodes(rows)


def _account(number: int) -> bytes:
    return sha256(number.to_bytes(8, "big")).digest()[:20]


def _transaction(number: int, node: WebTestNode) -> Transaction:
    """From one of some keys to one account: that has the longest history there can be."""
    key = b"\x02" + sha256(b"key" + (number % _ACCOUNTS).to_bytes(8, "big")).digest()
    fee = 152 + number % 997 * 7
    recipient = _account(_BUSY)
    body = transaction_body(key, number, recipient, 1_000, fee, 1_700_000_000, b"")
    return decode_transaction(body + bytes(64), node.network_id)


def _block(previous: Header, mined: list[Transaction], extra: bytes = b"") -> Block:
    coinbase = Coinbase(_account(7), 50, extra)
    leaves = [coinbase.encode(), *(each.raw for each in mined)]
    header = Header(
        previous.height + 1, previous.hash(), merkle_root(leaves), previous.timestamp + 5, _BITS, 0
    )
    return build_block(header, coinbase, mined)


def _row(
    block: Block, above: int, work: int, received_at: int, status: BlockStatus
) -> tuple[object, ...]:
    header, mined = block.header, block.transactions
    return (
        block.hash, header.height, header.previous_hash, header.encode(),
        work.to_bytes(32, "big"), int(status), len(mined), above + len(mined), len(block.raw),
        sum(each.fee for each in mined), block.coinbase.recipient, block.coinbase.amount,
        block.coinbase.extra, received_at, block.raw,
    )  # fmt: skip


def _mined(each: Transaction, height: int, position: int) -> tuple[object, ...]:
    parties = (each.sender, each.recipient)
    return (height, position, each.id, *parties, each.amount, each.fee, each.raw)


def _waiting(each: Transaction, number: int) -> tuple[object, ...]:
    size = len(each.raw)
    rate = (each.fee << 20) // size
    numbers = (each.sequence, each.amount, each.fee, rate, size, 1_700_000_000 + number)
    return (each.id, each.sender, each.recipient, *numbers, each.raw)

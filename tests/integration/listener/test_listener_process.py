"""The listener as a process: what it acknowledged it keeps, however it ends."""

import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import update

from cairn.chain.store import PoolRow
from cairn.consensus.block import decode_header
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof_of_work import bits_to_target
from cairn.consensus.transaction import Transaction
from cairn.ipc import messages as m
from cairn.ipc.client import ListenerUnavailable
from cairn.storage.chain_store import SqlChainStore
from cairn.storage.engine import open_engine
from cairn.storage.migrate import migrate
from cairn.storage.tables import blocks, pool
from cairn.storage.writer_lock import WriterLock
from tests.support.builders import (
    NOBODY,
    ChainBuilder,
    header_bytes,
    make_key,
    make_params,
    make_transaction,
    mine_header,
)
from tests.support.chain import NOW, ChainNode
from tests.support.listener import ListenerProcess
from tests.support.mariadb import PrivateMariaDB
from tests.support.polling import wait_until

BOB = make_key(2).address
PARAMS = make_params(target_interval_seconds=1)
STOP_SECONDS = 5.0
KEYS_A_THREAD = 10
FUNDED = make_params({make_key(number).address: 10**10 for number in range(200)})
Start = Callable[..., ListenerProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts listeners that end with the test."""
    started: list[ListenerProcess] = []

    def begin(database_url: str = "", params: NetworkParams = PARAMS) -> ListenerProcess:
        folder = tmp_path / f"node-{len(started)}"
        folder.mkdir()
        started.append(ListenerProcess(folder, params, database_url))
        started[-1].start()
        return started[-1]

    yield begin
    for listener in started:
        listener.__exit__(None, None, None)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ListenerProcess]:
    """One listener for tests that leave nothing waiting."""
    with ListenerProcess(tmp_path_factory.mktemp("shared"), PARAMS) as listener:
        yield listener


def transfer(
    key: int, sequence: int, fee: int = 1_000, params: NetworkParams = PARAMS
) -> Transaction:
    now = int(time.time())
    return make_transaction(make_key(key), params, sequence, BOB, 5, fee, timestamp=now)


def solve(header: bytes) -> int:
    return mine_header(decode_header(header)).nonce


def mine(listener: ListenerProcess) -> bytes:
    """Mines one block of what waits; its hash."""
    template = listener.client.request(m.GetTemplate(BOB))
    assert isinstance(template, m.Template), template
    reply = listener.client.request(m.SubmitNonce(template.template_id, solve(template.header)))
    assert isinstance(reply, m.NonceAccepted), reply
    return reply.block_hash


def refusal(reply: m.Reply) -> str:
    assert isinstance(reply, m.Refused), reply
    return reply.problem.code


def kept(listener: ListenerProcess, ids: set[bytes]) -> set[bytes]:
    """Which of these transactions its database has, waiting or mined."""
    engine = open_engine(listener.database_url)
    store = SqlChainStore(engine)
    found = {row.id for row in store.load_pool()} & ids
    found |= store.mined_ids(ids)
    engine.dispose()
    return found


# -- work --------------------------------------------------------------------------------------


def test_submits_mines_and_tells_of_it(start: Start) -> None:
    listener = start()
    events = listener.events()
    wait_until(
        lambda: listener.submit(transfer(9, 0, 2_000)) and events.next(0.1), 10, "an event comes"
    )
    before = int(time.time())
    first, second = transfer(1, 0), transfer(1, 1)
    held = transfer(3, 5)
    results = listener.submit(first, held, second, first)
    assert [each.id for each in results] == [first.id, held.id, second.id, first.id]
    codes = [each.problem.code if each.problem else None for each in results]
    assert codes == [None, None, None, "pool-duplicate"]
    announced = events.next(10)
    assert isinstance(announced, m.TransactionsAdded)
    assert announced.ids == [first.id, held.id, second.id]
    assert announced.pool_transactions == 4

    template = listener.client.request(m.GetTemplate(BOB))
    assert isinstance(template, m.Template)
    assert template.waiting == 3
    assert before - 60 <= template.oldest_waiting_since <= before
    assert template.tip_timestamp == PARAMS.genesis_time
    header = decode_header(template.header)
    assert header.encode() == header_bytes(header) == template.header
    assert bits_to_target(header.bits) == bits_to_target(PARAMS.target_limit)
    nonce = solve(template.header)
    accepted = listener.client.request(m.SubmitNonce(template.template_id, nonce))
    assert isinstance(accepted, m.NonceAccepted)
    assert accepted.height == 1
    moved = events.next(10)
    assert isinstance(moved, m.TipChanged)
    assert (moved.block_hash, moved.height, moved.transactions) == (accepted.block_hash, 1, 3)
    assert (moved.disconnected, moved.fork_height) == (0, 0)
    events.close()

    status = listener.status()
    assert (status.height, status.tip) == (1, accepted.block_hash)
    assert (status.pool_transactions, status.pool_bytes) == (1, 152)
    assert status.sync_state == "synced"
    (again,) = listener.submit(first)
    assert again.problem is not None
    assert again.problem.code == "pool-already-mined"
    reply = listener.client.request(m.SubmitNonce(template.template_id, nonce))
    assert refusal(reply) == "block-stale"


def test_refuses_what_it_cannot_do_in_words(shared: ListenerProcess) -> None:
    ask = shared.client.request
    template = ask(m.GetTemplate(BOB))
    assert isinstance(template, m.Template)
    assert (template.waiting, template.oldest_waiting_since) == (0, 0)
    unsolved = mine_header(decode_header(template.header), met=False).nonce
    assert refusal(ask(m.SubmitNonce(template.template_id, unsolved))) == "proof-of-work"
    assert refusal(ask(m.SubmitNonce(template.template_id, -1))) == "message-malformed"
    assert refusal(ask(m.SubmitNonce(template.template_id + 1, 0))) == "template-unknown"
    assert refusal(ask(m.GetTemplate(b"short"))) == "address-invalid"
    assert refusal(ask(m.SubmitTransactions([]))) == "too-many"
    assert refusal(ask(m.SubmitTransactions([b""] * 501))) == "too-many"
    assert refusal(ask(m.Mine(1))) == "miner-unavailable"
    assert refusal(ask(m.Mine(0))) == "too-many"
    assert refusal(ask(m.JoinNode(b"rubbish"))) == "node-record-invalid"
    assert refusal(ask(m.SetBan("no key", True))) == "node-record-invalid"
    reply = ask(m.SubmitTransactions([b"", b"\0" * 200, b"\1" * 70_000]))
    assert isinstance(reply, m.Submitted)
    assert [each.id for each in reply.results[:2]] == [None, None]
    assert all(each.problem for each in reply.results)
    mine(shared)


def test_a_template_of_an_older_tip_gives_a_stale_block(shared: ListenerProcess) -> None:
    old = shared.client.request(m.GetTemplate(BOB))
    assert isinstance(old, m.Template)
    tip = mine(shared)
    reply = shared.client.request(m.SubmitNonce(old.template_id, solve(old.header)))
    assert refusal(reply) == "block-stale"
    assert shared.status().tip == tip


def test_asks_the_miner_for_blocks_once_one_has_reported(shared: ListenerProcess) -> None:
    events = shared.events()
    reply = shared.client.request(m.MinerReport("auto", 5, 0))
    assert isinstance(reply, m.Done)
    assert shared.status().miner_mode == "auto"

    def asked() -> m.Event | None:
        assert isinstance(shared.client.request(m.Mine(3)), m.Done)
        return events.next(0.1)

    assert wait_until(asked, 10, "the miner is asked") == m.MineRequested(3)
    events.close()


def test_stops_when_another_process_wrote_in_its_database(start: Start) -> None:
    listener = start()
    other = ChainNode(listener.database_url, PARAMS)
    other.offer(ChainBuilder(PARAMS).mine())
    other.close()
    assert listener.process.wait(30) == 78
    log = listener.log.read_text(encoding="utf-8")
    assert "another process writes in this database" in log
    assert "ledger-unusable" in log


def test_tells_systemd_how_it_does(tmp_path: Path) -> None:
    said: list[bytes] = []
    listener = ListenerProcess(tmp_path, PARAMS)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        process = listener.begin(
            {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}
        )
        try:
            while said.count(b"WATCHDOG=1") < 3:
                said += systemd.recv(4_096).split(b"\n")
            process.terminate()
            while b"STOPPING=1" not in said:
                said += systemd.recv(4_096).split(b"\n")
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()
            listener.__exit__(None, None, None)
    assert said.index(b"STATUS=waiting for the database") < said.index(b"READY=1")
    assert b"STATUS=height 0, 0 peers, 0 transactions waiting" in said


def test_a_long_start_tells_systemd_its_steps_and_stops_between_them(tmp_path: Path) -> None:
    """A full pool takes longer to check than a start may without a word."""
    listener = ListenerProcess(tmp_path, PARAMS)
    migrate(listener.database_url)
    node = ChainNode(listener.database_url, PARAMS)
    key = make_key(9)
    waiting = [make_transaction(key, PARAMS, each, NOBODY, 1, 1_000) for each in range(4_000)]
    rows = [PoolRow(each.id, each.raw, NOW) for each in waiting]
    with node.store.transaction():
        node.store.change_pool(rows, ())
    before = node.pool_rows()
    said: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        process = listener.begin({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        try:
            while b"EXTEND_TIMEOUT_USEC=60000000" not in said:
                said += systemd.recv(4_096).split(b"\n")
            process.terminate()
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()
            listener.__exit__(None, None, None)
    assert b"READY=1" not in said
    assert any(each.startswith(b"STATUS=checking waiting transactions: ") for each in said)
    assert node.pool_rows() == before
    node.close()


# -- one at a time -----------------------------------------------------------------------------


def test_a_second_listener_on_the_same_data_folder_is_refused(start: Start) -> None:
    listener = start()
    second = listener.begin()
    assert second.wait(30) == 1
    assert "another listener runs on" in listener.log_tail()
    assert listener.submit(transfer(1, 0))[0].problem is None
    listener.kill()
    listener.start()
    assert listener.status().pool_transactions == 1


def test_a_second_listener_on_the_same_database_is_refused(
    start: Start, tmp_path: Path, database_url: str
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first = ListenerProcess(tmp_path / "one", PARAMS, database_url)
    second = ListenerProcess(tmp_path / "two", PARAMS, database_url)
    try:
        first.start()
        mine(first)
        assert second.begin().wait(30) == 1
        assert "is in use by" in second.log_tail()
        mine(first)
        first.kill()
        second.start()  # the lock of a killed process is free
        assert second.status().height == 2
    finally:
        first.__exit__(None, None, None)
        second.__exit__(None, None, None)


def test_who_lost_the_lock_to_another_writes_no_more(
    tmp_path: Path, mariadb: PrivateMariaDB
) -> None:
    url = mariadb.create_database("lost_lock")
    (tmp_path / "data").mkdir()
    first = ListenerProcess(tmp_path, PARAMS, url)
    engine = open_engine(url)
    lock = WriterLock(url, engine)
    try:
        first.start()
        mine(first)
        with ThreadPoolExecutor(1) as thread:
            taken = thread.submit(lock.take)
            waiting = "SELECT 1 FROM information_schema.processlist WHERE state = 'User lock'"
            wait_until(lambda: mariadb.execute(waiting), 10, "another waits for the lock")
            (holder,) = mariadb.execute(f"SELECT IS_USED_LOCK('{lock.name}')")[0]
            mariadb.execute(f"KILL {holder}")
            taken.result(30)
        assert first.process.wait(30) == 1
        assert "is in use by the server's connection" in first.log_tail()
        lock.check()
    finally:
        first.__exit__(None, None, None)
        lock.release()
        engine.dispose()
        mariadb.drop_database("lost_lock")


def test_a_damaged_header_ends_the_listener_and_nobody_is_blamed(start: Start) -> None:
    listener = start()
    mine(listener)
    engine = open_engine(listener.database_url)
    with engine.begin() as connection:
        connection.execute(update(blocks).where(blocks.c.height == 1).values(header=bytes(96)))
    engine.dispose()
    assert listener.process.wait(30) == 78
    assert "cairn doctor --repair" in listener.log_tail()
    assert listener.begin().wait(30) == 78


def test_a_database_of_another_network_is_refused(start: Start, tmp_path: Path) -> None:
    listener = start()
    listener.stop()
    other = ListenerProcess(tmp_path, make_params({}), listener.database_url)
    process = other.begin()
    assert process.wait(30) == 78
    assert "belongs to network" in other.log_tail()
    other.__exit__(None, None, None)


def test_damaged_waiting_transactions_are_dropped_and_told(start: Start) -> None:
    listener = start()
    listener.submit(transfer(1, 0))
    listener.stop()
    engine = open_engine(listener.database_url)
    with engine.begin() as connection:
        connection.execute(update(pool).values(raw=b"rot"))
    engine.dispose()
    listener.start()
    assert listener.status().pool_transactions == 0
    assert "dropped" in listener.log_tail()
    mine(listener)


# -- ends --------------------------------------------------------------------------------------


class Traffic:
    """Threads that submit, and one that mines, until the listener is gone or all is sent."""

    def __init__(self, listener: ListenerProcess, first_key: int, threads: int = 3) -> None:
        self.acknowledged: set[bytes] = set()
        self.mined = 0
        self._listener = listener
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._submit, args=(range(first, first + KEYS_A_THREAD),))
            for first in range(first_key, first_key + threads * KEYS_A_THREAD, KEYS_A_THREAD)
        ]
        self._threads.append(threading.Thread(target=self._mine))

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _submit(self, keys: range) -> None:
        for key in keys:
            for first in range(0, 60, 4):
                batch = [
                    transfer(key, sequence, params=FUNDED) for sequence in range(first, first + 4)
                ]
                if self._end.is_set():
                    return
                try:
                    results = self._listener.submit(*batch)
                except ListenerUnavailable:
                    return
                assert [each.problem for each in results] == [None] * 4
                with self._lock:
                    self.acknowledged |= {each.id for each in batch}

    def _mine(self) -> None:
        while not self._end.is_set():
            try:
                mine(self._listener)
            except ListenerUnavailable:
                return
            self.mined += 1


def test_keeps_all_it_acknowledged_when_killed_at_any_moment(
    start: Start, database_url: str
) -> None:
    listener = start(database_url, FUNDED)
    acknowledged: set[bytes] = set()
    chance = random.Random(database_url.partition(":")[0])
    for turn in range(3):
        with Traffic(listener, first_key=turn * 40) as traffic:
            wanted = chance.randrange(4, 200)
            wait_until(lambda: len(traffic.acknowledged) >= wanted, 20, "some are acknowledged")  # noqa: B023
            listener.kill()
        acknowledged |= traffic.acknowledged
        assert kept(listener, acknowledged) == acknowledged
        listener.start()
        tip = listener.status()
        mine(listener)
        assert listener.status().height == tip.height + 1


def test_stops_within_five_seconds_and_keeps_all_it_acknowledged(
    start: Start, database_url: str
) -> None:
    listener = start(database_url, FUNDED)
    with Traffic(listener, first_key=0) as traffic:
        wait_until(lambda: len(traffic.acknowledged) >= 100, 20, "some are acknowledged")
        code, seconds = listener.stop()
    assert code == 0, listener.log_tail()
    assert seconds < STOP_SECONDS
    assert kept(listener, traffic.acknowledged) == traffic.acknowledged
    assert "Traceback" not in listener.log_tail()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_stops_at_once_when_idle(start: Start, signum: signal.Signals) -> None:
    listener = start()
    begun = time.monotonic()
    process = listener.process
    process.send_signal(signum)
    assert process.wait(30) == 0
    assert time.monotonic() - begun < STOP_SECONDS


def test_stops_while_it_waits_for_a_database(tmp_path: Path, mariadb: PrivateMariaDB) -> None:
    mariadb.start()
    url = mariadb.url("nowhere")
    mariadb.kill()
    listener = ListenerProcess(tmp_path, PARAMS, url)
    process = listener.begin()
    try:
        wait_until(lambda: "waiting for the database" in listener.log_tail(), 20, "it waits")
        begun = time.monotonic()
        process.terminate()
        assert process.wait(30) == 0
        assert time.monotonic() - begun < STOP_SECONDS
    finally:
        process.kill()
        process.wait()
        listener.__exit__(None, None, None)
        mariadb.start()


def test_stops_while_its_database_hangs(start: Start, mariadb: PrivateMariaDB) -> None:
    mariadb.start()
    url = mariadb.create_database("cairn_hanging")
    listener = start(url)
    first = transfer(1, 0)
    listener.submit(first)
    mariadb.suspend()
    try:
        with pytest.raises(ListenerUnavailable):
            listener.client.request(m.SubmitTransactions([transfer(1, 1).raw]), 0.5)
        code, seconds = listener.stop()
    finally:
        mariadb.resume()
    assert (code, seconds < STOP_SECONDS) == (0, True)
    assert "ends without waiting for the database" in listener.log_tail()
    assert kept(listener, {first.id}) == {first.id}
    listener.kill()
    mariadb.drop_database("cairn_hanging")


def test_outlives_a_database_server_that_is_killed(start: Start, mariadb: PrivateMariaDB) -> None:
    mariadb.start()
    url = mariadb.create_database("cairn_killed")
    listener = start(url)
    first = transfer(1, 0)
    listener.submit(first)
    mariadb.kill()
    reply = listener.client.request(m.SubmitTransactions([transfer(1, 1).raw]))
    assert refusal(reply) == "database-unavailable"

    def alerts() -> set[str]:
        return {alert.code for alert in listener.status().alerts}

    wait_until(lambda: "database-unavailable" in alerts(), 10, "it says so")
    mariadb.start()
    wait_until(lambda: "database-unavailable" not in alerts(), 10, "it has found it again")
    assert listener.submit(transfer(1, 1))[0].problem is None
    assert listener.status().pool_transactions == 2
    mine(listener)
    listener.kill()
    mariadb.drop_database("cairn_killed")

"""The miner's process against a listener of the test's own, with real blocks and real work."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cairn.consensus.block import Coinbase, Header, build_block, build_header
from cairn.consensus.crypto import encode_address
from cairn.consensus.errors import RuleError
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof_of_work import check_proof_of_work
from cairn.consensus.validation import next_bits
from cairn.ipc.messages import (
    Done,
    GetStatus,
    GetTemplate,
    MineRequested,
    MinerReport,
    NonceAccepted,
    Problem,
    Refused,
    Reply,
    Request,
    Status,
    SubmitNonce,
    Template,
    TipChanged,
    TransactionsAdded,
)
from tests.support.builders import ChainBuilder, genesis_text, make_key, make_params
from tests.support.ipc import ServerThread, wait_until

HARD = 0x1C00FFFF
"""Some 2^40 hashes: never found within a test."""
OWN_ACCOUNT = make_key(77).address


class Listener:
    """A chain of one's own behind the local sockets; every nonce is checked by the rules."""

    def __init__(self, params: NetworkParams) -> None:
        self.chain = ChainBuilder(params)
        self.waiting = 0
        self.oldest_waiting_since = 0
        self.tip_timestamp = int(time.time())
        self.sync_state = "synced"
        self.refusal: Problem | None = None
        self.counts: Counter[str] = Counter()
        self.reports: list[MinerReport] = []
        self.recipients: list[bytes] = []
        self.template_parents: list[bytes] = []
        self.faults: list[RuleError] = []
        self._templates: dict[int, tuple[Header, Coinbase]] = {}
        self._lock = threading.Lock()
        self.sockets = ServerThread(self._handle)

    @property
    def height(self) -> int:
        return self.chain.parent.height

    def add_transactions(self, count: int, since: int | None = None) -> None:
        self.waiting += count
        self.oldest_waiting_since = int(time.time()) if since is None else since
        self.sockets.publish(TransactionsAdded([bytes(32)] * count, self.waiting))

    def announce_other_tip(self) -> None:
        """Another node's block arrives."""
        parent = self.chain.parent
        coinbase = Coinbase(bytes(20), 0, os.urandom(8))
        header = build_header(parent.hash, parent.height + 1, parent.timestamp + 1, 0, coinbase, ())
        with self._lock:
            self._extend(header, coinbase)

    async def _handle(self, request: Request) -> Reply:
        with self._lock:
            self.counts[type(request).__name__] += 1
            match request:
                case MinerReport():
                    self.reports.append(request)
                    return Done()
                case GetStatus():
                    return self._status()
                case GetTemplate(recipient=recipient):
                    return self.refusal_or(lambda: self._template(recipient))
                case SubmitNonce():
                    return self._submitted(request)
        return Done()

    def refusal_or(self, make: Callable[[], Reply]) -> Reply:
        return Refused(self.refusal) if self.refusal else make()

    def _status(self) -> Status:
        tip = self.chain.parent
        zero = bytes(32)
        return Status(
            "0", 0, tip.height, tip.hash, zero, self.sync_state, 0, self.waiting, 0, [], [], None,
            0, "open", OWN_ACCOUNT,
        )  # fmt: skip

    def _template(self, recipient: bytes) -> Template:
        parent = self.chain.parent
        coinbase = Coinbase(recipient, self.chain.params.subsidy(parent.height + 1))
        timestamp = max(int(time.time()), parent.median_time + 1)
        bits = next_bits(parent, self.chain.params)
        header = build_header(parent.hash, parent.height + 1, timestamp, bits, coinbase, ())
        number = self.counts["GetTemplate"]
        self._templates[number] = (header, coinbase)
        self.recipients.append(recipient)
        self.template_parents.append(parent.hash)
        return Template(
            number, header.encode(), self.waiting, self.oldest_waiting_since, self.tip_timestamp
        )

    def _submitted(self, request: SubmitNonce) -> Reply:
        header, coinbase = self._templates[request.template_id]
        if header.previous_hash != self.chain.parent.hash:
            return Refused(Problem("stale-template", "the tip has moved"))
        fields = (header.height, header.previous_hash, header.merkle_root)
        solved = Header(*fields, header.timestamp, header.bits, request.nonce)
        try:
            check_proof_of_work(solved.hash(), solved.bits)
        except RuleError as error:
            self.faults.append(error)
            return Refused(Problem(error.rule.value, str(error)))
        self.waiting = 0
        self._extend(solved, coinbase)
        return NonceAccepted(solved.hash(), solved.height)

    def _extend(self, header: Header, coinbase: Coinbase) -> None:
        block = build_block(header, coinbase, ())
        self.chain.blocks.append(block)
        self.chain.parents.append(self.chain.parent.extended_by(header, block.hash))
        self.tip_timestamp = int(time.time())
        self.sockets.publish(
            TipChanged(block.hash, header.height, 0, header.timestamp, 0, header.height - 1)
        )


class MinerProcess:
    """`cairn-miner` as a process of its own."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.log_file = directory / "miner.log"
        clean = {name: value for name, value in os.environ.items() if "CAIRN" not in name}
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cairn.services.miner", "--config",
                 str(directory / "cairn.toml")],
                env=clean | {"CACHE_DIRECTORY": str(directory)} | environment,
                stderr=log,
            )  # fmt: skip

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)


class Bench:
    """A listener, and a miner when it is started."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.listeners: list[Listener] = []
        self.miners: list[MinerProcess] = []

    def listener(self, bits: int | None = None) -> Listener:
        easy = make_params()
        params = make_params(initial_target=bits, target_limit=bits) if bits else easy
        (self.directory / "genesis.toml").write_text(genesis_text(params))
        self.listeners.append(Listener(params))
        return self.listeners[-1]

    def miner(self, settings: str, environment: dict[str, str] | None = None) -> MinerProcess:
        run_directory = self.listeners[-1].sockets.directory if self.listeners else self.directory
        (self.directory / "cairn.toml").write_text(
            f'[node]\nnetwork = "{self.directory / "genesis.toml"}"\n'
            f'data_directory = "{self.directory}"\nrun_directory = "{run_directory}"\n'
            f"[miner]\n{settings}\n"
        )
        self.miners.append(MinerProcess(self.directory, environment or {}))
        return self.miners[-1]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench(Path(tempfile.mkdtemp(prefix="cairn-")))
    yield made
    for miner in made.miners:
        if miner.process.poll() is None:
            miner.process.kill()
            miner.process.wait()
    for listener in made.listeners:
        assert listener.faults == []
        listener.sockets.remove()
    shutil.rmtree(made.directory)


QUIET = 'mode = "auto"\nmin_transactions = 5\nmax_wait_seconds = 3600\nheartbeat_seconds = 0'


def test_mines_the_blocks_asked_for_in_any_mode_and_no_more(bench: Bench) -> None:
    listener = bench.listener()
    bench.miner('mode = "off"')
    wait_until(lambda: listener.reports)
    for blocks in (1, 7):
        height = listener.height
        wait_until(lambda: listener.counts["GetStatus"] >= 1)
        listener.sockets.publish(MineRequested(blocks))
        wait_until(lambda height=height, blocks=blocks: listener.height == height + blocks)
        wait_until(lambda: listener.reports[-1].requested_blocks_left == 0)
    assert listener.height == 8
    assert set(listener.recipients) == {OWN_ACCOUNT}
    assert listener.reports[0].mode == "off"


def test_auto_waits_for_enough_transactions(bench: Bench) -> None:
    listener = bench.listener()
    bench.miner(QUIET)
    wait_until(lambda: listener.counts["GetTemplate"] == 1)
    listener.add_transactions(4)
    assert listener.height == 0
    listener.add_transactions(1)
    wait_until(lambda: listener.height == 1)
    wait_until(lambda: listener.counts["GetTemplate"] >= 3)  # a look at what still waits
    assert listener.height == 1


def test_auto_mines_what_waited_long_enough(bench: Bench) -> None:
    listener = bench.listener()
    bench.miner(QUIET.replace("3600", "1"))
    wait_until(lambda: listener.counts["GetTemplate"] == 1)
    listener.add_transactions(1)
    wait_until(lambda: listener.height == 1)


def test_auto_mines_what_came_without_its_hearing_of_it(bench: Bench) -> None:
    listener = bench.listener()
    bench.miner(QUIET.replace("3600", "1"))
    wait_until(lambda: listener.counts["GetTemplate"] == 1)
    listener.waiting, listener.oldest_waiting_since = 1, int(time.time())  # and no event
    wait_until(lambda: listener.height == 1)


def test_auto_mines_what_waited_when_it_started(bench: Bench) -> None:
    listener = bench.listener()
    listener.waiting, listener.oldest_waiting_since = 1, int(time.time()) - 10
    bench.miner(QUIET.replace("3600", "5"))
    wait_until(lambda: listener.height == 1)


def test_auto_mines_a_heartbeat(bench: Bench) -> None:
    listener = bench.listener()
    listener.tip_timestamp = int(time.time()) - 100
    bench.miner(QUIET.replace("heartbeat_seconds = 0", "heartbeat_seconds = 60"))
    wait_until(lambda: listener.height == 1)


def test_does_not_mine_while_the_node_syncs(bench: Bench) -> None:
    listener = bench.listener()
    listener.sync_state = "syncing"
    bench.miner('mode = "always"')
    wait_until(lambda: listener.counts["GetStatus"] >= 1)
    listener.add_transactions(50)
    wait_until(lambda: listener.counts["GetStatus"] >= 2)
    assert listener.counts["GetTemplate"] == 0
    listener.sync_state = "synced"
    wait_until(lambda: listener.height >= 3)


def test_pays_the_configured_address(bench: Bench) -> None:
    listener = bench.listener()
    address = make_key(5).address
    text = encode_address(listener.chain.params.address_prefix, address)
    bench.miner(f'mode = "always"\naddress = "{text}"')
    wait_until(lambda: listener.height >= 3)
    assert set(listener.recipients) == {address}


def test_bad_address_is_a_fault_of_the_configuration(bench: Bench) -> None:
    bench.listener()
    miner = bench.miner('address = "rcairn1qqqq"')
    assert miner.process.wait(20) == 78
    assert "miner.address: " in miner.log
    assert "Traceback" not in miner.log


@pytest.mark.parametrize("native", ["1", "0"])
def test_finds_blocks_with_workers(bench: Bench, native: str) -> None:
    listener = bench.listener(0x1F03FFFF)  # some 2^14 hashes
    miner = bench.miner('mode = "always"\nworkers = 2', {"CAIRN_NATIVE_KERNEL": native})
    wait_until(lambda: listener.height >= 5, 60)
    assert miner.stop() == 0
    assert ('kernel="pure Python"' in miner.log) == (native == "0" or shutil.which("cc") is None)


@pytest.mark.parametrize("native", ["1", "0"])
def test_drops_its_work_when_another_tip_is_announced(bench: Bench, native: str) -> None:
    listener = bench.listener(HARD)
    bench.miner('mode = "always"', {"CAIRN_NATIVE_KERNEL": native})
    for _ in range(3):
        tip = listener.chain.parent.hash
        wait_until(lambda tip=tip: tip in listener.template_parents)
        listener.announce_other_tip()
    assert listener.counts["SubmitNonce"] == 0


def test_reports_its_hash_rate(bench: Bench) -> None:
    listener = bench.listener(HARD)
    bench.miner('mode = "always"')
    wait_until(lambda: listener.reports and listener.reports[-1].hashes_per_second > 10_000, 40)


def test_finds_a_listener_that_starts_late_and_restarts(bench: Bench) -> None:
    listener = bench.listener()
    listener.sockets.stop()
    miner = bench.miner('mode = "always"')
    wait_until(lambda: "waiting for the listener" in miner.log)
    listener.sockets.start()
    wait_until(lambda: listener.height >= 2)
    listener.sockets.stop()
    wait_until(lambda: miner.log.count("waiting for the listener") == 2, 40)
    height = listener.height
    listener.sockets.start()
    wait_until(lambda: listener.height >= height + 2, 40)
    assert miner.log.count("waiting for the listener") == 2
    assert miner.log.count("connected to the listener") == 2


def test_refusals_are_retried_with_patience_and_told_once(bench: Bench) -> None:
    listener = bench.listener()
    listener.refusal = Problem("not-now", "the test says no")
    miner = bench.miner('mode = "always"')
    wait_until(lambda: listener.counts["GetTemplate"] >= 4)
    wait_until(lambda: len(listener.reports) >= 2)
    assert listener.counts["GetTemplate"] < 12
    assert miner.log.count("not-now") == 1
    listener.refusal = None
    wait_until(lambda: listener.height >= 2)


@pytest.mark.parametrize("native", ["1", "0"])
def test_sigterm_stops_a_search_soon_and_leaves_nothing(bench: Bench, native: str) -> None:
    listener = bench.listener(HARD)
    miner = bench.miner('mode = "always"\nworkers = 2', {"CAIRN_NATIVE_KERNEL": native})
    wait_until(lambda: "search workers started" in miner.log)
    children = children_of(miner.process.pid)
    assert len(children) == (2 if native == "0" else 0)
    began = time.monotonic()
    assert miner.stop() == 0
    assert time.monotonic() - began < 5
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert "miner stopped" in miner.log
    assert "Traceback" not in miner.log
    assert listener.counts["SubmitNonce"] == 0


def test_sigterm_interrupts_a_request_that_gets_no_reply(bench: Bench) -> None:
    listener = bench.listener()
    release = threading.Event()
    listener._lock.acquire()
    threading.Thread(target=lambda: (release.wait(30), listener._lock.release())).start()
    miner = bench.miner('mode = "always"')
    wait_until(lambda: "miner started" in miner.log)
    began = time.monotonic()
    assert miner.stop() == 0
    assert time.monotonic() - began < 5
    release.set()


def test_tells_systemd_that_it_is_ready_works_and_stops(bench: Bench) -> None:
    listener = bench.listener()
    name = f"cairn-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name)
        systemd.settimeout(20)
        miner = bench.miner(QUIET, {"NOTIFY_SOCKET": "@" + name, "WATCHDOG_USEC": "400000"})
        heard: list[str] = []
        while not any("height 0" in line for line in heard) or "WATCHDOG=1" not in heard:
            heard += systemd.recv(4096).decode().split("\n")
        assert "READY=1" in heard
        assert "STATUS=auto, resting, height 0" in heard
        assert miner.stop() == 0
        while "STOPPING=1" not in heard:
            heard += systemd.recv(4096).decode().split("\n")
    assert "<6>miner started mode=auto" in miner.log
    assert listener.height == 0


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]

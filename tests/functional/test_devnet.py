"""`./dev up`: starts a network, says so, and takes everything with it when it ends.

The command runs as a person runs it, in a process of its own. Whatever it starts inherits a mark
in its environment, so that the test finds every process that it may have left behind.
"""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.devnet import STOP_SECONDS, DevUp, free_base_port, is_free
from tests.support.mariadb import PrivateMariaDB
from tests.support.polling import wait_until
from tests.support.rest import RestApi

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def base_port() -> int:
    """So that this port, and those of two nodes after it, are free."""
    return free_base_port(2)


@pytest.fixture
def runs() -> Iterator[list[DevUp]]:
    """Runs put in here are ended with the test, however it goes."""
    started: list[DevUp] = []
    yield started
    for run in started:
        run.stop()


def test_starts_tells_its_pages_and_stops_on_sigterm(
    tmp_path: Path, base_port: int, runs: list[DevUp]
) -> None:
    run = DevUp(tmp_path / "net", "--nodes", "2", base_port=base_port)
    runs.append(run)
    ready = run.wait_line(r"^ready")
    assert "2 nodes" in ready
    pages = [f"http://127.0.0.1:{base_port + 10 * node}" for node in range(2)]
    for page in pages:
        assert any(line.endswith(page) for line in run.lines)
        assert RestApi(page).call("GET", "/").status == 200
    programs = run.descendants()
    assert len(programs) >= 1 + 2 * 3
    run.process.send_signal(signal.SIGTERM)
    assert run.wait_end() == 0, run.output
    assert run.descendants() == {}
    assert all(is_free(base_port + 10 * node + i) for node in range(2) for i in range(3))


def test_second_run_resumes_and_ctrl_c_stops_it(
    tmp_path: Path, base_port: int, runs: list[DevUp]
) -> None:
    first = DevUp(tmp_path / "net", "--nodes", "1", "--traffic", "20", base_port=base_port)
    runs.append(first)
    first.wait_line(r"^ready")
    api = RestApi(f"http://127.0.0.1:{base_port}")
    wait_until(lambda: api.get("status")["height"] >= 1, 30, "traffic is mined")
    first.process.send_signal(signal.SIGINT)
    assert first.wait_end() == 0, first.output
    network_id = None
    second = DevUp(tmp_path / "net", "--nodes", "1", base_port=base_port)
    runs.append(second)
    second.wait_line(r"^ready")
    status = api.get("status")
    network_id = status["network_id"]
    assert status["height"] >= 1
    second.process.send_signal(signal.SIGINT)
    assert second.wait_end() == 0
    third = DevUp(tmp_path / "net", "--nodes", "1", "--fresh", base_port=base_port)
    runs.append(third)
    third.wait_line(r"^ready")
    assert api.get("status")["network_id"] != network_id
    third.process.send_signal(signal.SIGTERM)
    assert third.wait_end() == 0


def test_makes_and_clears_databases_on_a_server(
    tmp_path: Path, base_port: int, runs: list[DevUp], mariadb: PrivateMariaDB
) -> None:
    mariadb.start()
    template = mariadb.url("cairn_devnet_x").replace("_x?", "_{node}?")
    arguments = ("--nodes", "1", "--database", template)
    api = RestApi(f"http://127.0.0.1:{base_port}")
    network_ids = []
    for more in ((), ("--fresh",)):
        run = DevUp(tmp_path / "net", *arguments, *more, base_port=base_port)
        runs.append(run)
        run.wait_line(r"^ready")
        network_ids.append(api.get("status")["network_id"])
        run.process.send_signal(signal.SIGTERM)
        assert run.wait_end() == 0, run.output
    assert network_ids[0] != network_ids[1]
    [(stored,)] = mariadb.execute("SELECT COUNT(*) FROM cairn_devnet_0.blocks")
    assert stored == 1
    elsewhere = DevUp(tmp_path / "other", *arguments, base_port=base_port)
    assert elsewhere.wait_end(60) == 1
    assert "did not make" in elsewhere.output
    mariadb.drop_database("cairn_devnet_0")


def test_nothing_outlives_a_devnet_killed_with_9(
    tmp_path: Path, base_port: int, runs: list[DevUp]
) -> None:
    run = DevUp(tmp_path / "net", "--nodes", "1", base_port=base_port)
    runs.append(run)
    run.wait_line(r"^ready")
    run.process.kill()
    run.wait_end()
    wait_until(lambda: not run.descendants(), STOP_SECONDS, "its programs ended", run.descendants)


def test_death_of_a_program_is_told_and_the_others_go_on(
    tmp_path: Path, base_port: int, runs: list[DevUp]
) -> None:
    run = DevUp(tmp_path / "net", "--nodes", "1", base_port=base_port)
    runs.append(run)
    run.wait_line(r"^ready")
    miners = [pid for pid, line in run.descendants().items() if "cairn-miner" in line]
    os.kill(min(miners), signal.SIGKILL)
    assert "SIGKILL" in run.wait_line(r"node-0 miner", 10)
    assert "miner.log" in run.wait_line(r"less ", 10)
    assert RestApi(f"http://127.0.0.1:{base_port}").call("GET", "/api/v1/status").status == 200
    run.process.send_signal(signal.SIGTERM)
    assert run.wait_end() == 0


def test_program_that_cannot_start_is_told_with_its_own_words(
    tmp_path: Path, base_port: int, runs: list[DevUp]
) -> None:
    first = DevUp(tmp_path / "net", "--nodes", "1", base_port=base_port)
    runs.append(first)
    first.wait_line(r"^ready")
    first.process.send_signal(signal.SIGTERM)
    assert first.wait_end() == 0
    (tmp_path / "net" / "node-0" / "keys" / "account.pem").chmod(0o644)
    second = DevUp(tmp_path / "net", "--nodes", "1", base_port=base_port)
    runs.append(second)
    assert second.wait_end(60) == 1
    assert "node-0 listener exited with 78" in second.output
    assert "chmod 600" in second.output
    assert "listener.log" in second.output
    assert second.descendants() == {}


def test_refuses_a_taken_port_in_words(tmp_path: Path, base_port: int) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", base_port))
        holder.listen()
        run = DevUp(tmp_path / "net", base_port=base_port)
        assert run.wait_end(60) == 1
    assert f"port {base_port}" in run.output
    assert "--base-port" in run.output
    assert "Traceback" not in run.output


def test_refuses_the_folder_of_a_running_devnet(
    tmp_path: Path, base_port: int, runs: list[DevUp]
) -> None:
    first = DevUp(tmp_path / "net", "--nodes", "1", base_port=base_port)
    runs.append(first)
    wait_until((tmp_path / "net" / "devnet.lock").exists, 60, "it took the folder")
    second = DevUp(tmp_path / "net", "--nodes", "1", "--fresh", base_port=base_port + 10)
    assert second.wait_end(60) == 1
    assert "running" in second.output
    assert "Traceback" not in second.output
    first.wait_line(r"^ready")


def test_fresh_spares_a_folder_that_no_devnet_made(tmp_path: Path, base_port: int) -> None:
    precious = tmp_path / "wallets" / "precious.pem"
    precious.parent.mkdir()
    precious.write_text("mine")
    run = DevUp(tmp_path, "--fresh", base_port=base_port)
    assert run.wait_end(60) == 1
    assert "devnet.json" in run.output
    assert precious.read_text() == "mine"

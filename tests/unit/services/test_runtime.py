"""Arguments, systemd's notices and stop signals."""

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cairn import __version__
from cairn.services.runtime import (
    StopRequested,
    StopSignal,
    SystemdNotifier,
    load_service_config,
    on_stop_signal,
    parse_service_args,
    start_service,
)
from tests.support.ipc import wait_until


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.settimeout(0.2)
        yield bound


def heard(systemd: socket.socket) -> list[str]:
    lines: list[str] = []
    try:
        while True:
            lines += systemd.recv(4096).decode().split("\n")
    except TimeoutError:
        return lines


def environment(systemd: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(systemd.getsockname()), **more}


def test_notices_reach_a_socket_file(systemd: socket.socket) -> None:
    notifier = SystemdNotifier(environment(systemd))
    notifier.ready("up")
    notifier.status("height 1")
    notifier.status("height 1")
    notifier.status("two\nREADY=0")
    notifier.stopping()
    assert heard(systemd) == [
        "READY=1", "STATUS=up", "STATUS=height 1", "STATUS=two READY=0", "STOPPING=1"
    ]  # fmt: skip


def test_notices_reach_an_abstract_socket() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(f"\0cairn-runtime-{os.getpid()}")
        bound.settimeout(0.2)
        SystemdNotifier({"NOTIFY_SOCKET": f"@cairn-runtime-{os.getpid()}"}).ready()
        assert heard(bound) == ["READY=1"]


def test_watchdog_is_pinged_only_when_work_was_proven_and_not_more_than_needed(
    systemd: socket.socket,
) -> None:
    notifier = SystemdNotifier(environment(systemd, WATCHDOG_USEC="30000000"))
    assert notifier.watchdog_seconds == 30
    assert heard(systemd) == []
    for _ in range(5):
        notifier.alive()
    assert heard(systemd) == ["WATCHDOG=1"]


def test_each_step_of_a_long_job_gives_the_next_its_time(systemd: socket.socket) -> None:
    notifier = SystemdNotifier(environment(systemd, WATCHDOG_USEC="60000000"))
    notifier.progress("checking: 1/2")
    assert heard(systemd) == [
        "STATUS=checking: 1/2",
        "EXTEND_TIMEOUT_USEC=60000000",
        "WATCHDOG=1",
    ]


@pytest.mark.parametrize(
    "variables",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "-5"},
     {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}],
)  # fmt: skip
def test_no_watchdog_where_none_is_asked_for(
    systemd: socket.socket, variables: dict[str, str]
) -> None:
    notifier = SystemdNotifier(environment(systemd, **variables))
    notifier.alive()
    assert notifier.watchdog_seconds is None
    assert heard(systemd) == []


@pytest.mark.parametrize("name", ["", "@", "relative", "/nowhere/at/all", "/" + "x" * 200])
def test_unusable_notify_socket_is_harmless(name: str) -> None:
    notifier = SystemdNotifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000"})
    notifier.ready("up")
    notifier.stopping()


def test_arguments_name_the_configuration() -> None:
    arguments = parse_service_args(["--config", "a.toml", "--check-config"], "cairn-x", "Does x.")
    assert arguments.config == Path("a.toml")
    assert arguments.check_config
    assert parse_service_args([], "cairn-x", "Does x.").config is None


def test_help_shows_examples_and_version_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    for option, wanted in (("--help", "cairn-x --config node.toml"), ("--version", __version__)):
        with pytest.raises(SystemExit) as ended:
            parse_service_args([option], "cairn-x", "Does x.")
        assert ended.value.code == 0
        assert wanted in capsys.readouterr().out


def test_bad_configuration_exits_78_with_every_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cairn.toml"
    file.write_text('[miner]\nmode = "sometimes"\nwrokers = 1\n')
    with pytest.raises(SystemExit) as ended:
        load_service_config(file, "cairn-x")
    assert ended.value.code == 78
    text = capsys.readouterr().err
    assert "miner.mode: must be one of" in text
    assert "miner.wrokers: unknown key" in text


def test_check_config_says_good_and_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cairn.toml"
    file.write_text("")
    with pytest.raises(SystemExit) as ended:
        start_service(["--config", str(file), "--check-config"], "cairn-x", "Does x.")
    assert ended.value.code == 0
    assert "configuration is good" in capsys.readouterr().out


@pytest.fixture
def stop() -> Iterator[StopSignal]:
    made = StopSignal()
    yield made
    made.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_signal_is_remembered_and_wakes_a_poll(stop: StopSignal, number: int) -> None:
    assert not stop.requested
    os.kill(os.getpid(), number)
    os.kill(os.getpid(), number)
    wait_until(lambda: stop.requested)
    assert select.select([stop.fileno()], [], [], 10)[0]


def test_stop_signal_leaves_only_interruptible_waits(stop: StopSignal) -> None:
    reader, writer = os.pipe()
    try:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        with pytest.raises(StopRequested), stop.interruptible():
            select.select([reader], [], [], 30)
        with pytest.raises(StopRequested), stop.interruptible():
            raise AssertionError("a stop that came before is not waited through")
    finally:
        os.close(reader)
        os.close(writer)


def test_stop_signal_ends_an_event_loop_once() -> None:
    calls: list[str] = []

    async def run() -> None:
        ended = asyncio.Event()
        on_stop_signal(asyncio.get_running_loop(), lambda: (calls.append("stop"), ended.set()))
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(ended.wait(), 10)
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0)

    asyncio.run(run())
    assert calls == ["stop"]


def test_importing_the_programs_does_nothing() -> None:
    code = (
        "import threading, signal, logging, cairn.services.miner, cairn.ipc.server\n"
        "assert threading.active_count() == 1\n"
        "assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL\n"
        "assert not logging.getLogger().handlers\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

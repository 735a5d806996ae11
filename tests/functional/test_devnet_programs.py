"""The launcher under `./dev up`: programs end when told to, whole, and with their starter."""

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cairn.cli.devnet.nodes import to_toml
from cairn.cli.devnet.processes import Program, ProgramError, describe_exit, stop_all
from tests.support.polling import wait_until

STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.1; done"
SOON_SECONDS = 10


def make_program(tmp_path: Path, script: str) -> Program:
    """A shell script as a program."""
    log = tmp_path / "program.log"
    return Program("program", ["/bin/sh", "-c", script], dict(os.environ), log)


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def said(program: Program, text: str) -> None:
    """Waits until it has written this."""
    wait_until(lambda: text in program.log_tail(), SOON_SECONDS, f"it says {text}")


def test_ends_on_sigterm_and_can_be_started_again(tmp_path: Path) -> None:
    program = make_program(tmp_path, "echo up; exec sleep 100")
    program.start()
    said(program, "up")
    with pytest.raises(ProgramError, match="runs already"):
        program.start()
    assert program.stop()
    assert describe_exit(program.exit_code) == "was ended by SIGTERM"
    first = program.pid
    program.start()
    said(program, "up")
    assert program.pid != first
    assert program.stop()


def test_what_ignores_sigterm_is_killed_and_told(tmp_path: Path) -> None:
    program = make_program(tmp_path, STUBBORN)
    program.start()
    said(program, "up")
    assert stop_all([program], timeout_seconds=0.5) == [program]
    assert program.exit_code == -signal.SIGKILL


def test_haste_cuts_the_wait_short(tmp_path: Path) -> None:
    program = make_program(tmp_path, STUBBORN)
    program.start()
    said(program, "up")
    assert stop_all([program], timeout_seconds=600, in_haste=lambda: True) == [program]


def test_children_left_behind_end_with_the_program(tmp_path: Path) -> None:
    program = make_program(tmp_path, "sleep 100 & echo child $!; exit 3")
    program.start()
    said(program, "child")
    child = int(program.log_tail().split()[1])
    wait_until(lambda: not program.is_running, SOON_SECONDS, "it ended")
    assert program.exit_code == 3
    wait_until(lambda: not is_alive(child), SOON_SECONDS, "its child ended")


def test_log_tail_is_of_the_latest_start(tmp_path: Path) -> None:
    program = make_program(tmp_path, 'echo "pid $$"')
    for _ in range(2):
        program.start()
        assert program.wait(SOON_SECONDS)
        assert program.exit_code == 0
    assert program.log_tail() == f"pid {program.pid}"
    assert program.log.read_text(encoding="utf-8").count("pid") == 2


def test_program_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from cairn.cli.devnet.processes import Program\n"
        "program = Program('p', ['/bin/sleep', '100'], dict(os.environ), Path(sys.argv[1]))\n"
        "program.start(); print(program.pid, flush=True); sys.stdin.read()"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "log")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout
    assert starter.stdin
    pid = int(starter.stdout.readline())
    assert is_alive(pid)
    starter.kill()
    starter.wait()
    starter.stdout.close()
    starter.stdin.close()
    wait_until(lambda: not is_alive(pid), SOON_SECONDS, "the program ended")


def test_missing_program_is_told_in_words(tmp_path: Path) -> None:
    program = Program("listener", ["/nowhere/cairn-listener"], {}, tmp_path / "log")
    with pytest.raises(ProgramError, match=r"\./dev setup"):
        program.start()
    assert not program.is_running


def test_configuration_is_read_back_as_it_was_written() -> None:
    table = {
        "node": {"name": 'a "quoted" \\ name', "number": 5},
        "peers": {"alphas": ["http://a", "http://b"], "none": []},
    }
    assert tomllib.loads(to_toml(table)) == table
    with pytest.raises(ValueError, match="control character"):
        to_toml({"node": {"name": "two\nlines"}})

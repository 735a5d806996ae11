"""A node's programs as child processes: started apart, stopped in order, never left behind.

Each program leads a session and process group of its own, so a Ctrl-C in the terminal does not
reach it, and what it forked can be ended with it. The kernel tells it to end when the thread
that started it dies, however that happens.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

STOP_SECONDS = 5.0
"""What a program gets to end after SIGTERM, before SIGKILL."""
TAIL_LINES = 20
_TAIL_BYTES = 64 * 1024
_KILL_WAIT_SECONDS = 10.0
_LOOK_SECONDS = 0.1

# Runs in a tiny interpreter between fork and the program: asks for SIGTERM at the parent's
# death, looks whether it is already too late for that, and becomes the program.
_LEASH = """
import ctypes, os, sys
PR_SET_PDEATHSIG, SIGTERM = 1, 15
if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) or os.getppid() != int(sys.argv[1]):
    sys.exit("cannot be tied to the process that started it")
os.execv(sys.argv[2], sys.argv[2:])
"""


class ProgramError(Exception):
    """A program could not be started or did not behave; the message says what to do."""


class Program:
    """One program, from `start` to `stop`; it may be started again afterwards.

    Call from one thread that lives as long as the program should.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.log = log
        self._command = [*command]
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        """Of the latest start. Raises ProgramError when it never was."""
        if self._process is None:
            raise ProgramError(f"{self.name} was never started")
        return self._process.pid

    @property
    def was_started(self) -> bool:
        """Whether `start` was ever called."""
        return self._process is not None

    @property
    def is_running(self) -> bool:
        """Whether its main process is alive."""
        return self._process is not None and not self._has_ended()

    @property
    def exit_code(self) -> int | None:
        """How it ended, as in subprocess (negative: a signal); None while it runs."""
        if self._process is None or not self._has_ended():
            return None
        return self._collect()

    def start(self) -> None:
        """Starts it. Raises ProgramError when it runs already or its file is missing."""
        if self.is_running:
            raise ProgramError(f"{self.name} runs already, pid {self.pid}")
        if self._process is not None:
            self._collect()
        if not Path(self._command[0]).is_file():
            raise ProgramError(f"{self._command[0]} is missing; install it with: ./dev setup")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                _on_leash(self._command),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to its main process, if that still runs."""
        if self._process is not None and not self._has_ended():
            os.kill(self._process.pid, number)  # not reaped yet, so the pid is still its own

    def wait(self, timeout_seconds: float) -> bool:
        """Whether its main process ended within the time."""
        if self._process is None or self._has_ended():
            return True
        descriptor = os.pidfd_open(self._process.pid)
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll(max(0.0, timeout_seconds) * 1_000)
        finally:
            os.close(descriptor)
        return self._has_ended()

    def stop(self, timeout_seconds: float = STOP_SECONDS) -> bool:
        """SIGTERM, and SIGKILL when that does not end it in time; whether it was not needed."""
        self.signal(signal.SIGTERM)
        return self.finish(timeout_seconds)

    def finish(self, timeout_seconds: float) -> bool:
        """After SIGTERM: waits, kills what is left; whether it ended by itself in time."""
        if self.wait(timeout_seconds):
            self._collect()
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """SIGKILL to its main process; then to what that left behind, as systemd does."""
        self.signal(signal.SIGKILL)
        if not self.wait(_KILL_WAIT_SECONDS):
            raise ProgramError(f"{self.name}, pid {self.pid}, does not end even by SIGKILL")
        self._collect()

    def clean_up(self) -> None:
        """Kills what an ended main process left behind. Does nothing while it runs."""
        if self._process is not None and self._has_ended():
            self._collect()

    def log_tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines it wrote since it was last started."""
        try:
            with self.log.open("rb") as log:
                end = log.seek(0, os.SEEK_END)
                log.seek(max(self._log_start, end - _TAIL_BYTES))
                text = log.read().decode(errors="replace")
        except OSError:
            text = ""
        return "\n".join(text.splitlines()[-lines:]) or "(it wrote nothing)"

    def _has_ended(self) -> bool:
        """Looks without reaping: until `_collect`, pid and group stay reserved for us."""
        if self._process is None or self._process.returncode is not None:
            return True
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, flags) is not None

    def _collect(self) -> int | None:
        """Kills what an ended main process left in its group, then reaps it."""
        if self._process is None:
            return None
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        return self._process.returncode


def stop_all(
    programs: Iterable[Program],
    timeout_seconds: float = STOP_SECONDS,
    in_haste: Callable[[], bool] = lambda: False,
) -> list[Program]:
    """Stops all at once; those that had to be killed, in the end or when `in_haste` says so."""
    programs = list(programs)
    running = [program for program in programs if program.is_running]
    for program in running:
        program.signal(signal.SIGTERM)
    deadline = time.monotonic() + timeout_seconds
    forced = []
    for program in running:
        while time.monotonic() < deadline and not in_haste() and not program.wait(_LOOK_SECONDS):
            pass
        if not program.finish(0.0):
            forced.append(program)
    for program in programs:
        program.clean_up()
    return forced


def describe_exit(code: int | None) -> str:
    """`exited with 1`, `was ended by SIGKILL`."""
    if code is None:
        return "runs"
    if code >= 0:
        return f"exited with {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _on_leash(command: list[str]) -> list[str]:
    if not sys.platform.startswith("linux"):
        return command
    return [sys.executable, "-I", "-S", "-c", _LEASH, str(os.getpid()), *command]

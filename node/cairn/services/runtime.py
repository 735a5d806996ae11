"""What every long-running program needs: arguments, systemd's notices, stop signals."""

import argparse
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from cairn import __version__
from cairn.config import DEFAULT_CONFIG_FILE, Config, ConfigError, load_config
from cairn.services.logs import log_event, setup_logging

if TYPE_CHECKING:
    import asyncio

EXIT_CONFIG = 78
"""sysexits.h EX_CONFIG: systemd units name it so that a bad configuration is not retried."""
__all__ = [
    "EXIT_CONFIG",
    "StopRequested",
    "StopSignal",
    "SystemdNotifier",
    "exit_config_error",
    "load_service_config",
    "log_event",
    "on_stop_signal",
    "parse_service_args",
    "setup_logging",
    "start_service",
]

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


# -- arguments and configuration --------------------------------------------------------------


def start_service(argv: Sequence[str] | None, program: str, description: str) -> Config:
    """Reads arguments and configuration and sets up logging, or exits as they ask for.

    Exits 0 after `--help`, `--version` and a good `--check-config`; 2 on wrong arguments;
    78 on a bad configuration, with every fault on stderr.
    """
    arguments = parse_service_args(argv, program, description)
    config = load_service_config(arguments.config, program)
    if arguments.check_config:
        sys.stdout.write(f"{program}: the configuration is good\n")
        raise SystemExit(0)
    setup_logging(config.log)
    return config


def parse_service_args(
    argv: Sequence[str] | None, program: str, description: str
) -> argparse.Namespace:
    """The arguments `config` (Path or None) and `check_config` (bool)."""
    parser = argparse.ArgumentParser(
        prog=program,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=(
            "examples:\n"
            f"  {program} --config {DEFAULT_CONFIG_FILE}\n"
            f"  {program} --config node.toml --check-config\n"
            f"  CAIRN_LOG_LEVEL=debug {program} --config node.toml\n\n"
            "A value of the file is overridden by the variable CAIRN_SECTION_KEY."
        ),
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help=f"configuration file (default: $CAIRN_CONFIG, or {DEFAULT_CONFIG_FILE} if there)",
    )
    parser.add_argument(
        "--check-config", action="store_true", help="check the configuration and exit"
    )
    parser.add_argument("--version", action="version", version=f"{program} {__version__}")
    return parser.parse_args(argv)


def load_service_config(file: Path | None, program: str) -> Config:
    """The configuration; exits 78 with the faults in plain words when it cannot be used."""
    try:
        return load_config(file)
    except ConfigError as error:
        exit_config_error(program, str(error))


def exit_config_error(program: str, problem: str) -> NoReturn:
    """Ends the program because of its configuration."""
    sys.stderr.write(f"{program}: {problem}\n")
    raise SystemExit(EXIT_CONFIG)


# -- systemd ----------------------------------------------------------------------------------


_STEP_SECONDS = 60


class SystemdNotifier:
    """Tells systemd how the service fares, by sd_notify(3). Silent where nobody asks.

    `alive` is to be called whenever real work was proven, and only then: it pings the
    watchdog when one is due, so a service that only looks alive is restarted.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = _notify_address(environment.get("NOTIFY_SOCKET", ""))
        self.watchdog_seconds = _watchdog_seconds(environment) if self._address else None
        """systemd restarts the service after so long without a ping; None: no watchdog."""
        self._next_ping = 0.0
        self._status = ""

    def ready(self, status: str = "") -> None:
        """The service has started and does its work."""
        self._status = status
        self._send("READY=1", *([f"STATUS={_one_line(status)}"] if status else []))
        self.alive()

    def status(self, text: str) -> None:
        """One line for `systemctl status`; sent only when it changed."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={_one_line(text)}")

    def alive(self) -> None:
        """Work was proven. Pings at most four times per watchdog interval."""
        now = monotonic()
        if self.watchdog_seconds is not None and now >= self._next_ping:
            self._next_ping = now + self.watchdog_seconds / 4
            self._send("WATCHDOG=1")

    def progress(self, text: str) -> None:
        """A step of a long job was done, before or after READY: another may take 60 s."""
        self._status = text
        extend = f"EXTEND_TIMEOUT_USEC={_STEP_SECONDS * 1_000_000}"
        self._send(f"STATUS={_one_line(text)}", extend)
        self.alive()

    def stopping(self, status: str = "") -> None:
        """The service is about to end."""
        self._send("STOPPING=1", *([f"STATUS={_one_line(status)}"] if status else []))

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(1.0)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            pass  # whoever watches is gone; the service itself is not worse for it


def _notify_address(name: str) -> str | None:
    """The datagram address of NOTIFY_SOCKET: a path, or `@name` in the abstract namespace."""
    if name.startswith("@") and len(name) > 1:
        return "\0" + name[1:]
    return name if name.startswith("/") else None


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    meant_for = environment.get("WATCHDOG_PID", "")
    if meant_for and meant_for != str(os.getpid()):
        return None
    text = environment.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isascii() and text.isdigit() and int(text) > 0 else None


def _one_line(text: str) -> str:
    return " ".join(text.split())


# -- stop signals -----------------------------------------------------------------------------


def on_stop_signal(loop: "asyncio.AbstractEventLoop", callback: Callable[[], object]) -> None:
    """Calls `callback` in the loop at the first SIGTERM or SIGINT; later ones do nothing."""

    def stop() -> None:
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, _ignore)
        callback()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop)


class StopRequested(BaseException):
    """SIGTERM or SIGINT came during an interruptible wait. No fault: not an Exception."""


class StopSignal:
    """SIGTERM and SIGINT for a program without an event loop; made in the main thread.

    `requested` turns True; `fileno()` becomes readable, which ends a poll that includes it;
    and a call under `interruptible()` is left by StopRequested.
    """

    def __init__(self) -> None:
        self.requested = False
        self._interruptible = False
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in STOP_SIGNALS:
            signal.signal(number, self._handle)

    def fileno(self) -> int:
        """A descriptor that can be read from once a stop was requested."""
        return self._reader

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """In its body a stop signal, also one that came before, raises StopRequested."""
        self._interruptible = True
        try:
            if self.requested:
                raise StopRequested
            yield
        finally:
            self._interruptible = False

    def close(self) -> None:
        """Gives the signals back their default meaning."""
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        os.close(self._reader)
        os.close(self._writer)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if not self.requested:
            self.requested = True
            os.write(self._writer, b"x")
        if self._interruptible:
            self._interruptible = False
            raise StopRequested


def _ignore() -> None:
    """A second stop signal while the first is being obeyed."""

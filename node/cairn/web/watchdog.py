"""Tells systemd that the web tier works, by sd_notify(3): only when a worker has answered.

gunicorn itself says READY and STOPPING. This runs in gunicorn's master, the process that
systemd listens to, in a thread of its own.
"""

import os
import socket
import threading
from collections.abc import Mapping

REQUEST = b"GET /api/v1/health HTTP/1.1\r\nHost: watchdog\r\nConnection: close\r\n\r\n"
_ANSWER_SECONDS = 5.0
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def start_watchdog(
    listener: socket.socket, environment: Mapping[str, str] = os.environ
) -> threading.Thread | None:
    """Pings in step with WATCHDOG_USEC; None when systemd does not ask for it."""
    seconds = watchdog_seconds(environment)
    if seconds is None:
        return None
    arguments = (listener, environment["NOTIFY_SOCKET"], seconds / 4)
    thread = threading.Thread(target=_run, args=arguments, name="watchdog", daemon=True)
    thread.start()
    return thread


def watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """The interval that systemd set for this process."""
    text = environment.get("WATCHDOG_USEC", "")
    meant_for = environment.get("WATCHDOG_PID", "") or str(os.getpid())
    if not environment.get("NOTIFY_SOCKET") or meant_for != str(os.getpid()):
        return None
    return int(text) / 1e6 if text.isascii() and text.isdigit() and int(text) > 0 else None


def _run(listener: socket.socket, notify_socket: str, interval_seconds: float) -> None:
    pause = threading.Event()
    while not pause.wait(interval_seconds):
        if listener.fileno() < 0:  # gunicorn is stopping
            return
        if answers(listener):
            _notify(notify_socket, b"WATCHDOG=1\nSTATUS=web: answering requests")


def answers(listener: socket.socket) -> bool:
    """Whether a worker answers at the address that `listener` is bound to, with any status."""
    try:
        address = listener.getsockname()
        if listener.family != socket.AF_UNIX:
            address = (_ANY_ADDRESS.get(address[0], address[0]), *address[1:])
        with socket.socket(listener.family, socket.SOCK_STREAM) as client:
            client.settimeout(_ANSWER_SECONDS)
            client.connect(address)
            client.sendall(REQUEST)
            return client.recv(5) == b"HTTP/"
    except OSError:
        return False


def _notify(address: str, message: bytes) -> None:
    target = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(1.0)
            sender.sendto(message, target)
    except OSError:
        pass  # whoever watches is gone; the service itself is not worse for it

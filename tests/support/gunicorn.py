"""The web tier as its real processes: gunicorn with the settings that ship with it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.polling import wait_until
from tests.support.rest import NoAnswer, RestApi

_AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


@contextmanager
def running_gunicorn(
    config_file: Path,
    port: int,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    inherited_socket: socket.socket | None = None,
    application: str = "cairn.web:create_app()",
) -> Iterator[tuple[RestApi, "subprocess.Popen[bytes]"]]:
    """The API at that port once it answers, and gunicorn's master.

    `inherited_socket` listens there already and is handed on as systemd does.
    """
    command = [
        sys.executable, "-m", "gunicorn", "--config", "python:cairn.web.gunicorn_config",
        f"--bind=127.0.0.1:{port}", *options, application,
    ]  # fmt: skip
    handed_on: tuple[int, ...] = ()
    if inherited_socket is not None:
        handed_on = (inherited_socket.fileno(),)
        command = [sys.executable, "-c", _AS_SYSTEMD, str(handed_on[0]), *command]
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("CAIRN_", "GUNICORN"))
    }
    log = config_file.with_name("gunicorn.log")
    with log.open("wb") as output:
        master = subprocess.Popen(
            command,
            env=inherited | {"CAIRN_CONFIG": str(config_file)} | dict(environment or {}),
            stdout=output,
            stderr=output,
            pass_fds=handed_on,
        )
    try:
        api = RestApi(f"http://127.0.0.1:{port}")

        def answers() -> bool:
            assert master.poll() is None, log.read_text(encoding="utf-8")
            try:
                return api.call("GET", "/api/v1/health").status == 200
            except NoAnswer:
                return False

        wait_until(answers, 30, "gunicorn answers", lambda: log.read_text(encoding="utf-8"))
        yield api, master
    finally:
        if master.poll() is None:
            master.send_signal(signal.SIGTERM)
            try:
                master.wait(10)
            except subprocess.TimeoutExpired:
                master.kill()
                master.wait()

"""The web tier as its real processes: gunicorn with the settings that ship with it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.polling import wait_until
from tests.support.rest import NoAnswer, RestApi


@contextmanager
def running_gunicorn(
    config_file: Path,
    port: int,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[tuple[RestApi, "subprocess.Popen[bytes]"]]:
    """The API at that port once it answers, and gunicorn's master."""
    command = [
        sys.executable, "-m", "gunicorn", "--config", "python:cairn.web.gunicorn_config",
        f"--bind=127.0.0.1:{port}", *options, "cairn.web:create_app()",
    ]  # fmt: skip
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

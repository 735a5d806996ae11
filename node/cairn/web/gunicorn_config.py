"""gunicorn's settings.

    gunicorn --config python:cairn.web.gunicorn_config --bind ADDRESS "cairn.web:create_app()"

The address comes from --bind. An event stream holds a thread for as long as its client
stays; threads are made when needed, so their number only bounds.
"""

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from flask import Flask

from cairn.web.node import EXTENSION
from cairn.web.security import CountedAddresses
from cairn.web.watchdog import start_watchdog

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

REQUEST_THREADS = 16
"""Of a worker's threads, those that no event stream may take."""

worker_class = "cairn.web.worker.Worker"
workers = 2
threads = REQUEST_THREADS + 64
preload_app = True
worker_connections = 1_000
keepalive = 30
timeout = 60
graceful_timeout = 3
accesslog = None
errorlog = "-"
loglevel = "warning"
limit_request_line = 4_094
limit_request_fields = 64
control_socket_disable = True
if Path("/dev/shm").is_dir():  # noqa: S108 - for the workers' heartbeat, which needs no disk
    worker_tmp_dir = "/dev/shm"  # noqa: S108


def when_ready(server: "Arbiter") -> None:
    """Lets systemd's watchdog see that workers answer."""
    start_watchdog(server.LISTENERS[0].sock)


def post_worker_init(worker: "Worker") -> None:
    """Keeps threads free for requests, and lets a stopping worker end its event streams."""
    app: object = worker.wsgi  # gunicorn knows it as a callable alone
    assert isinstance(app, Flask)  # noqa: S101 - what create_app made
    hub = app.extensions[EXTENSION].hub
    hub.addresses = CountedAddresses(worker.cfg.forwarded_allow_ips)
    hub.max_streams = min(hub.max_streams, max(1, worker.cfg.threads - REQUEST_THREADS))
    stop_worker = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        hub.stopping = True
        if callable(stop_worker):
            stop_worker(number, frame)

    signal.signal(signal.SIGTERM, stop)

"""gunicorn as shipped against clients that are slow on purpose, or hardly speak HTTP."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.support.gunicorn import running_gunicorn
from tests.support.network import free_ports
from tests.support.polling import wait_until
from tests.support.rest import RestApi
from tests.support.web import WebTestNode

ATTACKERS = 170
ANSWER_SECONDS = 5.0
POST = b"POST /api/v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
HEADER = b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\nX-A: "
BODY = POST + b"Content-Length: 100000\r\n\r\n["


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestApi]:
    """Of a node with a listener."""
    node = WebTestNode(tmp_path_factory.mktemp("hostile"))
    try:
        node.start_listener()
        with running_gunicorn(node.config_file, free_ports(1)[0]) as (served, _):
            yield served
    finally:
        node.close()


def connect(api: RestApi) -> socket.socket:
    parts = urlsplit(api.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=20)


def read_all(line: socket.socket) -> bytes:
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := line.recv(65_536):
            answer += piece
    return answer


def problem(answer: bytes) -> dict:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower(), answer
    return json.loads(body)


class Attack:
    """Sockets that drip a byte at each step, and come again when they are cut off."""

    def __init__(self, api: RestApi, opening: bytes) -> None:
        self.api = api
        self.opening = opening
        self.lines = [self._open() for _ in range(ATTACKERS)]
        self.cut = 0

    def _open(self) -> socket.socket:
        line = connect(self.api)
        line.sendall(self.opening)
        return line

    def step(self) -> None:
        for place, line in enumerate(self.lines):
            try:
                line.setblocking(False)
                line.send(b"a")
                if line.recv(65_536) is not None:
                    raise ConnectionAbortedError
            except BlockingIOError:
                continue
            except OSError:
                self.cut += 1
                line.close()
                self.lines[place] = self._open()

    def close(self) -> None:
        for line in self.lines:
            line.close()


@pytest.mark.parametrize("opening", [HEADER, BODY], ids=["header", "body"])
def test_slow_senders_do_not_keep_others_out(api: RestApi, opening: bytes):
    attack = Attack(api, opening)
    answers = 0

    def is_over() -> bool:
        nonlocal answers
        attack.step()
        started = time.monotonic()
        assert api.call("GET", "/api/v1/health").status == 200
        assert time.monotonic() - started < ANSWER_SECONDS
        answers += 1
        return attack.cut >= ATTACKERS and answers >= 10

    try:
        wait_until(is_over, 60, "all slow senders were cut off")
    finally:
        attack.close()


def test_slow_header_is_told_so(api: RestApi):
    with connect(api) as line:
        line.sendall(HEADER)
        assert problem(read_all(line))["code"] == "header-incomplete"


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"\x16\x03\x01\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/9.9\r\n\r\n", 400, "bad-request"),
        (b"GET /" + b"a" * 5_000 + b" HTTP/1.1\r\n\r\n", 414, "address-too-long"),
        (b"a" * 100_000, 414, "address-too-long"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100 + b"\r\n", 431, "header-too-large"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000, 431, "header-too-large"),
        (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, "bad-request"),
        (POST + b"Content-Length: -2\r\n\r\n{}", 400, "bad-request"),
        (POST + b"Transfer-Encoding: gzip\r\n\r\n", 400, "bad-request"),
    ],
)
def test_what_is_no_http_is_refused_as_a_problem(api: RestApi, sent: bytes, status: int, code: str):
    with connect(api) as line:
        line.sendall(sent)
        answer = read_all(line)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert (problem(answer)["status"], problem(answer)["code"]) == (status, code)


def test_who_writes_ten_mebibytes_first_reads_the_refusal(api: RestApi):
    length = 10 * 1024 * 1024
    with connect(api) as line:
        line.sendall(POST + b"Content-Length: %d\r\n\r\n" % length)
        line.sendall(b" " * length)
        answer = read_all(line)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert problem(answer)["code"] == "body-too-large"


def test_connections_left_open_after_their_answer_hold_nobody_up(api: RestApi):
    lines = [connect(api) for _ in range(40)]
    try:
        for line in lines:
            line.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        started = time.monotonic()
        for line in lines:
            assert read_all(line).startswith(b"HTTP/1.1 200 ")
        assert time.monotonic() - started < ANSWER_SECONDS
    finally:
        for line in lines:
            line.close()


def test_requests_sent_in_one_piece_are_all_answered(api: RestApi):
    get = b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n"
    with connect(api) as line:
        line.sendall((get + b"\r\n") * 4 + get + b"Connection: close\r\n\r\n")
        assert read_all(line).count(b"HTTP/1.1 200 ") == 5

"""The client against a server that answers anything: nothing it sends makes a traceback."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from cairn.cli.api_client import MAX_BODY_BYTES, NodeClient
from cairn.cli.failures import ExitCode, Failure
from cairn.cli.replies import Status, Tip, read


class Server:
    """Answers every request with what it is told, and remembers the requests."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, b"{}", {"Content-Type": "application/json"}
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                sent = self.rfile.read(length)
                outer.requests.append((self.command, self.path, dict(self.headers), sent))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.wfile.write(outer.body)

            do_GET = do_POST = _answer  # noqa: N815 - as http.server calls them

            def log_message(self, *arguments: object) -> None:
                """Says nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def stop(self) -> None:
        """Ends it."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


def failure_of(call: Callable[[], object]) -> Failure:
    with pytest.raises(Failure) as caught:
        call()
    return caught.value


def test_get_asks_under_the_api_with_quoted_parts(server: Server) -> None:
    server.body = b'{"a": 1}'
    client = NodeClient(f"{server.url}/", token="secret")
    assert client.get("accounts", "../x y", limit=5, cursor=None) == {"a": 1}
    method, path, headers, _ = server.requests[0]
    assert (method, path) == ("GET", "/api/v1/accounts/..%2Fx%20y?limit=5")
    assert headers["Authorization"] == "Bearer secret"
    assert headers["User-Agent"].startswith("cairn/")


def test_post_sends_json_and_bytes(server: Server) -> None:
    client = NodeClient(server.url)
    client.post("mine", document={"blocks": 2})
    client.post_bytes("transactions", content=b"\x00\x01")
    assert json.loads(server.requests[0][3]) == {"blocks": 2}
    assert server.requests[0][2]["Content-Type"] == "application/json"
    assert server.requests[1][3] == b"\x00\x01"
    assert server.requests[1][2]["Content-Type"] == "application/octet-stream"
    assert "Authorization" not in server.requests[1][2]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, ExitCode.NOT_FOUND),
        (409, ExitCode.FOUND),
        (422, ExitCode.FOUND),
        (401, ExitCode.FOUND),
        (503, ExitCode.UNREACHABLE),
        (500, ExitCode.FOUND),
    ],
)
def test_a_problem_document_becomes_a_failure_with_code_and_numbers(
    server: Server, status: int, expected: ExitCode
) -> None:
    server.status = status
    server.body = json.dumps(
        {"code": "sequence-mismatch", "detail": "sequence 3, next is 5", "numbers": {"sequence": 3}}
    ).encode()
    failure = failure_of(lambda: NodeClient(server.url).get("status"))
    assert failure.exit_code is expected
    assert failure.code == "sequence-mismatch"
    assert failure.numbers == {"sequence": 3}
    assert "cairn balance" in failure.fix


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff\xfe", b"[" * 200_000, b'{"code": 3}', b"[]", b"null", b'"x"'],
)
def test_an_error_that_is_no_problem_document_is_no_cairn_node(server: Server, body: bytes) -> None:
    server.status, server.body = 502, body
    failure = failure_of(lambda: NodeClient(server.url).get("status"))
    assert failure.exit_code is ExitCode.UNREACHABLE
    assert failure.code == "not-a-node"


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 200_000, b"{"])
def test_an_answer_that_is_no_json_is_no_cairn_node(server: Server, body: bytes) -> None:
    server.body = body
    failure = failure_of(lambda: NodeClient(server.url).get("status"))
    assert failure.code == "not-a-node"


def test_an_answer_without_end_is_cut_off(server: Server) -> None:
    server.body = b" " * (MAX_BODY_BYTES + 100_000)
    failure = failure_of(lambda: NodeClient(server.url).get("status"))
    assert failure.code == "not-a-node"
    assert str(MAX_BODY_BYTES) in failure.problem


def test_redirects_are_not_followed(server: Server) -> None:
    server.status = 302
    server.headers = {"Location": "http://127.0.0.1:1/"}
    failure = failure_of(lambda: NodeClient(server.url, token="secret").get("status"))
    assert failure.exit_code is ExitCode.UNREACHABLE
    assert len(server.requests) == 1


def test_nobody_there_and_nobody_answering_end_alike() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        refused = failure_of(lambda: NodeClient(f"http://127.0.0.1:{port}").get("status"))
        silent.listen()
        mute = failure_of(lambda: NodeClient(f"http://127.0.0.1:{port}", 0.2).get("status"))
    assert refused.exit_code is mute.exit_code is ExitCode.UNREACHABLE
    assert "no answer within 0.2 s" in mute.problem
    unknown = failure_of(lambda: NodeClient("http://no-such-host.invalid").get("status"))
    assert unknown.exit_code is ExitCode.UNREACHABLE


def test_a_server_that_speaks_no_http_is_no_node() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def babble() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1_000)
                connection.sendall(b"SSH-2.0-OpenSSH_9\r\n\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        failure = failure_of(lambda: NodeClient(url, 5).get("status"))
        thread.join()
    assert failure.exit_code is ExitCode.UNREACHABLE


@pytest.mark.parametrize(
    "url",
    [
        "",
        "foo",
        "ftp://x",
        "http://",
        "http://x:99999",
        "http://u:p@x",
        "http://x/?q",
        "http://[::1",
    ],
)
def test_addresses_that_are_none_are_usage_errors(url: str) -> None:
    assert failure_of(lambda: NodeClient(url)).exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"hash": "00", "height": 1, "timestamp": 1}, {"height": "1"},
     {"hash": "0" * 64, "height": -1, "timestamp": 1},
     {"hash": "0" * 64, "height": 1.5, "timestamp": 1}],
)  # fmt: skip
def test_answers_of_another_shape_are_refused(document: Any) -> None:
    failure = failure_of(lambda: read(document, Tip))
    assert failure.exit_code is ExitCode.UNREACHABLE
    assert failure_of(lambda: read(document, Status)).code == "not-a-node"

"""Joining over HTTP: a real server in a thread stands for an alpha's web tier."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cairn.network.joining import JoinFailed, post_record
from tests.integration.network.nodes import Node, until
from tests.support.builders import make_params

PARAMS = make_params()
Respond = Callable[[str, bytes], tuple[int, dict[str, str], bytes]]
"""(path, body) to status, headers, body."""


@contextmanager
def http_server(respond: Respond, port: int = 0) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, answer = respond(self.path, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):  # the client may have read enough
                self.wfile.write(answer)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def web_tier(node: Node, loop: asyncio.AbstractEventLoop) -> Respond:
    """What the web tier does with a join: passes it to the node's loop."""

    def respond(path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        assert path == "/api/v1/nodes"
        record = bytes.fromhex(json.loads(body)["record"])

        async def join() -> list[bytes]:
            return node.network.handle_join(record)

        records = asyncio.run_coroutine_threadsafe(join(), loop).result(5)
        items = [{"record": each.hex()} for each in records]
        return 200, {}, json.dumps({"items": items, "next": None}).encode()

    return respond


def test_newcomer_joins_at_the_alpha_of_its_settings() -> None:
    async def scenario() -> None:
        async with Node(PARAMS, 0) as alpha, Node(PARAMS, 1) as old:
            old.meet(alpha)
            with http_server(web_tier(alpha, asyncio.get_running_loop())) as url:
                async with Node(PARAMS, 2, alphas=(url,)) as newcomer:
                    await until(lambda: newcomer.is_connected_to(alpha, old))
                    await until(lambda: old.is_connected_to(newcomer))

    asyncio.run(scenario())


def test_alpha_that_is_down_at_start_is_tried_again() -> None:
    async def scenario() -> None:
        with http_server(lambda path, body: (503, {}, b"")) as url:
            pass  # its port is free now
        port = int(url.rpartition(":")[2])
        async with Node(PARAMS, 0) as alpha, Node(PARAMS, 1, alphas=(url,)) as newcomer:
            with pytest.raises(JoinFailed):
                await newcomer.network.join(url)
            with http_server(web_tier(alpha, asyncio.get_running_loop()), port):
                await until(lambda: newcomer.is_connected_to(alpha))

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((422, {}, b'{"detail": "signature-invalid: no"}'), "422: signature-invalid: no"),
        ((500, {}, b"\xff\xfe"), "500: no reason given"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "302"),
        ((200, {}, b"[]"), "did not answer with a list"),
        ((200, {}, b'{"items": [{"record": "xyz"}]}'), "did not answer with a list"),
        ((200, {}, b"[" * 200_000), "did not answer with a list"),
        ((200, {}, b" " * (5 * 1024 * 1024)), "longer than"),
    ],
    ids=["refused", "no-text", "redirect", "no-list", "no-hex", "deep", "long"],
)
def test_bad_answer_fails_with_a_reason(
    answer: tuple[int, dict[str, str], bytes], message: str
) -> None:
    with (
        http_server(lambda path, body: answer) as url,
        pytest.raises(JoinFailed, match=message),
    ):
        asyncio.run(post_record(url, b"record"))


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:80", "http://", "http://h:x", ""])
def test_url_must_be_http(url: str) -> None:
    with pytest.raises(JoinFailed):
        asyncio.run(post_record(url, b"record"))

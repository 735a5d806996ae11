"""The web tier under gunicorn as shipped: requests, bounds, event streams, memory, stopping."""

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cairn.web.worker import MAX_CONNECTIONS_PER_ADDRESS
from tests.support.builders import make_key
from tests.support.gunicorn import running_gunicorn
from tests.support.network import free_ports
from tests.support.polling import wait_until
from tests.support.rest import RestApi
from tests.support.web import WebTestNode, as_json

CHUNKED = (
    b"POST /api/v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
Served = tuple[RestApi, "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebTestNode]:
    """With a listener that runs."""
    running = WebTestNode(tmp_path_factory.mktemp("served"), max_event_streams=8)
    try:
        running.start_listener()
        running.mine()
        yield running
    finally:
        running.close()


@pytest.fixture(scope="module")
def served(node: WebTestNode) -> Iterator[Served]:
    """Its API under gunicorn."""
    with running_gunicorn(node.config_file, free_ports(1)[0]) as server:
        yield server


def connection(api: RestApi) -> http.client.HTTPConnection:
    parts = urlsplit(api.url)
    assert parts.hostname
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)


def test_transactions_are_taken_in_both_forms(node: WebTestNode, served: Served):
    api, _ = served
    one = node.transaction(make_key(0), make_key(1))
    assert api.post_json("transactions", as_json(one, node.params.address_prefix)).status == 202
    many = [node.transaction(make_key(1), make_key(2)) for _ in range(50)]
    reply = api.post_transactions([each.raw for each in many])
    assert [item["id"] for item in reply.json()["items"]] == [each.id.hex() for each in many]
    assert api.get(f"transactions/{one.id.hex()}")["status"] == "waiting"


def test_ten_mebibytes_are_refused_before_they_are_sent(served: Served):
    api, _ = served
    line = connection(api)
    line.putrequest("POST", "/api/v1/transactions")
    line.putheader("Content-Type", "application/json")
    line.putheader("Content-Length", str(10 * 1024 * 1024))
    line.endheaders()  # and no body: the answer must not wait for one
    reply = line.getresponse()
    assert reply.status == 413
    assert json.loads(reply.read())["code"] == "body-too-large"
    line.close()


def test_endless_chunks_are_cut_off(served: Served):
    api, _ = served
    parts = urlsplit(api.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as line:
        line.sendall(
            b"POST /api/v1/transactions HTTP/1.1\r\nHost: x\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        sent = 0
        answer = b""
        try:
            while sent < 64 * 1024 * 1024:
                line.sendall(chunk)
                sent += len(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass  # cut off while sending, as it should be
        else:
            answer = line.recv(65_536)
        assert sent < 64 * 1024 * 1024 or b"413" in answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\xff\x00\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /api/v1/status HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /api/v1/transactions HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/v1/transactions HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /api/v1/blocks/%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/v1/accounts/" + b"%00" * 100 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"ffffffffffffffffffffffff\r\n",
        CHUNKED + b"5\r\n{}",
        CHUNKED + b"2\r\n{}xx0\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n",
    ],
)
def test_broken_http_harms_nothing(served: Served, request_bytes: bytes):
    api, _ = served
    parts = urlsplit(api.url)
    answer = b""
    with (
        socket.create_connection((parts.hostname, parts.port), timeout=10) as line,
        contextlib.suppress(OSError),  # it may be cut off while still sending
    ):
        line.sendall(request_bytes)
        line.shutdown(socket.SHUT_WR)
        while piece := line.recv(65_536):
            answer += piece
    assert not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5"))
    assert b"Traceback" not in answer
    assert api.get("status")["height"] >= 1


def test_event_streams_leave_threads_for_requests(node: WebTestNode, served: Served):
    api, _ = served
    streams = [connection(api) for _ in range(40)]
    statuses = []
    try:
        for stream in streams:
            stream.request("GET", "/api/v1/events")
            statuses.append(stream.getresponse().status)
        assert set(statuses) == {200, 503}  # at most 8 a worker
        assert statuses.count(200) in range(8, 17)
        assert api.get("status")["height"] >= 1
        node.mine()
        first = streams[statuses.index(200)].sock
        assert first is not None
        assert wait_until(lambda: b"new-block" in first.recv(65_536), 10, "an event comes")
    finally:
        for stream in streams:
            stream.close()


def test_memory_of_all_processes_is_small(served: Served):
    api, master = served
    api.get("status")
    pids = [master.pid, *children(master.pid)]
    assert len(pids) == 3
    # Shared pages count once, as each process's part of them (PSS).
    total = sum(proportional_kibibytes(pid) for pid in pids)
    assert total < 160 * 1024, f"{total} KiB in {pids}"


def test_stops_within_seconds_with_open_streams(node: WebTestNode):
    with running_gunicorn(node.config_file, free_ports(1)[0]) as (api, master):
        streams = [connection(api) for _ in range(4)]
        for stream in streams:
            stream.request("GET", "/api/v1/events")
            assert stream.getresponse().status == 200
        started = time.monotonic()
        master.send_signal(signal.SIGTERM)
        assert master.wait(5) == 0
        assert time.monotonic() - started < 5
        for stream in streams:
            stream.close()


def test_systemd_hears_that_it_is_ready_and_works(node: WebTestNode, tmp_path: Path):
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(20)
        systemd_asks = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "1000000"}
        heard = b""
        with running_gunicorn(node.config_file, free_ports(1)[0], environment=systemd_asks):
            while b"READY=1" not in heard or b"WATCHDOG=1" not in heard:
                heard += systemd.recv(4_096) + b"\n"


def test_systemd_may_hold_the_listening_socket(node: WebTestNode):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        with running_gunicorn(node.config_file, port, inherited_socket=held) as (api, master):
            one = node.transaction(make_key(0), make_key(1))
            reply = api.post_json("transactions", as_json(one, node.params.address_prefix))
            assert reply.status == 202
            master.send_signal(signal.SIGHUP)  # new workers take the socket over
            for _ in range(20):
                assert api.get("status")
        assert held.getsockname()[1] == port


def test_clients_of_a_proxy_over_a_unix_socket_are_not_one_crowd(node: WebTestNode, tmp_path: Path):
    address = str(tmp_path / "web.sock")
    lines = []
    with running_gunicorn(node.config_file, free_ports(1)[0], [f"--bind=unix:{address}"]):
        try:
            for _ in range(2 * MAX_CONNECTIONS_PER_ADDRESS + 10):
                line = socket.socket(socket.AF_UNIX)
                lines.append(line)
                line.settimeout(20)
                line.connect(address)
            for line in lines:
                line.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
            for line in lines:
                assert line.recv(65_536).startswith(b"HTTP/1.1 200 ")
        finally:
            for line in lines:
                line.close()


def test_bad_configuration_ends_it_with_a_name(tmp_path: Path):
    file = tmp_path / "bad.toml"
    file.write_text('[node]\nnam = "x"\n', encoding="utf-8")
    with (
        pytest.raises(AssertionError, match=r"node\.nam"),
        running_gunicorn(file, free_ports(1)[0]),
    ):
        pass


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in text.split()]


def proportional_kibibytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError("no Pss line")

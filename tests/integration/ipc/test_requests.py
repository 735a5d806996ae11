"""Requests over real sockets: concurrency, hostile frames, restarts, forks."""

import asyncio
import os
import stat
import threading
import time
from collections.abc import Iterator

import msgspec
import pytest
import zmq

from cairn.ipc.client import IpcClient, ListenerUnavailable
from cairn.ipc.messages import (
    MAX_MESSAGE_BYTES,
    Done,
    GetStatus,
    GetTemplate,
    JoinNode,
    Mine,
    NonceAccepted,
    Refused,
    Reply,
    Request,
    SubmitNonce,
    SubmitTransactions,
)
from tests.support.ipc import ServerThread, wait_until


async def handle(request: Request) -> Reply:
    match request:
        case Mine(blocks=blocks):
            await asyncio.sleep(blocks)
            return Done("mined")
        case SubmitNonce(nonce=nonce):
            return NonceAccepted(nonce.to_bytes(8, "big"), nonce % 1_000)
        case JoinNode(record=b"large"):
            return Done("x" * (MAX_MESSAGE_BYTES + 1))
        case JoinNode(record=b"unsendable"):
            return NonceAccepted(b"", 2**64)
        case JoinNode():
            raise RuntimeError("a handler's own fault")
        case _:
            return Done(type(request).__name__)


@pytest.fixture
def server() -> Iterator[ServerThread]:
    thread = ServerThread(handle)
    yield thread
    thread.remove()


@pytest.fixture
def client(server: ServerThread) -> Iterator[IpcClient]:
    with IpcClient(server.request_socket, 10.0) as made:
        yield made


@pytest.fixture
def raw(server: ServerThread) -> Iterator["zmq.Socket[bytes]"]:
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        # No bounds of its own: replies to one who takes none are dropped, as they may be.
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.connect(server.request_socket)
        yield socket


def ask_raw(socket: "zmq.Socket[bytes]", frames: list[bytes]) -> tuple[bytes, Reply]:
    socket.send_multipart(frames)
    assert socket.poll(10_000)
    request_id, payload = socket.recv_multipart()
    return request_id, msgspec.msgpack.decode(payload, type=Reply)


def test_answers_each_kind_of_request_with_its_reply(client: IpcClient) -> None:
    assert client.request(GetStatus()) == Done("GetStatus")
    assert client.request(SubmitNonce(1, 2**64 - 1)) == NonceAccepted(b"\xff" * 8, 615)
    assert client.request(SubmitTransactions([b"x" * 1_000] * 500)) == Done("SubmitTransactions")


def test_socket_files_are_for_owner_and_group_only(server: ServerThread) -> None:
    for name in ("listener.sock", "events.sock"):
        assert stat.S_IMODE((server.directory / name).stat().st_mode) == 0o660


def test_many_threads_each_get_their_own_reply(client: IpcClient) -> None:
    wrong: list[Reply] = []

    def work(first: int) -> None:
        for nonce in range(first, first + 200):
            reply = client.request(SubmitNonce(1, nonce))
            if reply != NonceAccepted(nonce.to_bytes(8, "big"), nonce % 1_000):
                wrong.append(reply)

    threads = [threading.Thread(target=work, args=(number * 1_000,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def test_slow_request_does_not_hold_up_others(client: IpcClient) -> None:
    answers: list[Reply] = []
    slow = threading.Thread(target=lambda: answers.append(client.request(Mine(2))))
    slow.start()
    for _ in range(200):
        assert client.request(GetStatus()) == Done("GetStatus")
    assert answers == []
    slow.join(10)
    assert answers == [Done("mined")]


def test_handler_fault_is_refused_as_internal_error(
    client: IpcClient, caplog: pytest.LogCaptureFixture
) -> None:
    reply = client.request(JoinNode(b"fault"))
    assert isinstance(reply, Refused)
    assert reply.problem.code == "internal-error"
    assert "a handler's own fault" not in reply.problem.detail
    assert "a handler's own fault" in caplog.text
    assert client.request(GetStatus()) == Done("GetStatus")


@pytest.mark.parametrize("record", [b"large", b"unsendable"])
def test_reply_that_cannot_be_sent_becomes_internal_error(client: IpcClient, record: bytes) -> None:
    reply = client.request(JoinNode(record))
    assert isinstance(reply, Refused)
    assert reply.problem.code == "internal-error"


def test_request_too_large_is_refused_without_being_sent(client: IpcClient) -> None:
    reply = client.request(JoinNode(bytes(MAX_MESSAGE_BYTES)))
    assert isinstance(reply, Refused)
    assert reply.problem.code == "message-too-large"
    assert reply.problem.numbers["limit"] == MAX_MESSAGE_BYTES


GOOD = msgspec.msgpack.encode(GetStatus())


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        GOOD[:-1],
        GOOD + b"\x00",
        b"\xc1" * 40,
        b"\x91" * 100_000,
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        msgspec.msgpack.encode({"type": "Exec", "code": "x"}),
        msgspec.msgpack.encode({"type": "GetStatus", "more": 1}),
        msgspec.msgpack.encode({"type": "Mine", "blocks": "1"}),
        msgspec.msgpack.encode({"type": "Mine", "blocks": 1.5}),
        msgspec.msgpack.encode({"type": "TipChanged"}),
        b"\x81\xa4type\xa4\xff\xff\xff\xff",
        msgspec.msgpack.encode([1, 2, 3]),
    ],
)
def test_refuses_what_is_not_a_request(raw: "zmq.Socket[bytes]", payload: bytes) -> None:
    request_id, reply = ask_raw(raw, [b"01234567", payload])
    assert request_id == b"01234567"
    assert isinstance(reply, Refused)
    assert reply.problem.code == "message-malformed"
    assert ask_raw(raw, [b"abcdefgh", GOOD]) == (b"abcdefgh", Done("GetStatus"))


@pytest.mark.parametrize(
    "frames", [[b""], [GOOD], [b"short", GOOD], [b"", b"01234567", GOOD], [b"x"] * 300]
)
def test_refuses_wrong_frames(raw: "zmq.Socket[bytes]", frames: list[bytes]) -> None:
    _, reply = ask_raw(raw, frames)
    assert isinstance(reply, Refused)
    assert reply.problem.code == "message-malformed"
    assert ask_raw(raw, [b"abcdefgh", GOOD]) == (b"abcdefgh", Done("GetStatus"))


def test_oversized_frame_is_dropped_and_others_are_served(
    raw: "zmq.Socket[bytes]", client: IpcClient
) -> None:
    raw.send_multipart([b"01234567", bytes(MAX_MESSAGE_BYTES + 1)])
    assert client.request(GetStatus()) == Done("GetStatus")
    assert not raw.poll(100)


def test_garbage_on_the_unix_socket_is_dropped(server: ServerThread, client: IpcClient) -> None:
    import socket  # noqa: PLC0415 - only here

    for garbage in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 5_000, bytes(10_000)):
        with socket.socket(socket.AF_UNIX) as plain:
            plain.connect(str(server.directory / "listener.sock"))
            plain.sendall(garbage)
    assert client.request(GetStatus()) == Done("GetStatus")


def test_more_requests_than_may_be_under_way_are_all_answered(raw: "zmq.Socket[bytes]") -> None:
    count = 3_000
    slow = msgspec.msgpack.encode(Mine(0))
    for number in range(count):
        raw.send_multipart([number.to_bytes(8, "big"), slow])
    seen = set()
    for _ in range(count):
        assert raw.poll(20_000)
        seen.add(raw.recv_multipart()[0])
    assert len(seen) == count


def test_no_listener_is_unavailable_soon(tmp_path: object) -> None:
    with IpcClient("ipc:///tmp/cairn-nobody-listens-here.sock", 30.0) as client:
        began = time.monotonic()
        with pytest.raises(ListenerUnavailable, match="is cairn-listener running"):
            client.request(GetStatus())
        assert time.monotonic() - began < 10


def test_late_reply_is_never_taken_for_another(server: ServerThread) -> None:
    with IpcClient(server.request_socket) as client:
        with pytest.raises(ListenerUnavailable, match="in time"):
            client.request(Mine(1), timeout_seconds=0.1)
        for _ in range(3):
            assert client.request(GetTemplate(bytes(20))) == Done("GetTemplate")


def test_client_finds_a_listener_that_restarts(server: ServerThread, client: IpcClient) -> None:
    assert client.request(GetStatus()) == Done("GetStatus")
    server.stop()
    with pytest.raises(ListenerUnavailable):
        client.request(GetStatus(), timeout_seconds=0.2)
    server.start()
    assert client.request(GetStatus()) == Done("GetStatus")


def test_request_given_up_is_not_delivered_to_a_later_listener() -> None:
    seen: list[Request] = []

    async def note(request: Request) -> Reply:
        seen.append(request)
        return Done()

    server = ServerThread(note)
    with IpcClient(server.request_socket) as client:
        client.request(GetStatus())
        server.stop()
        with pytest.raises(ListenerUnavailable):
            client.request(Mine(5), timeout_seconds=0.2)
        server.start()
        client.request(GetStatus())
    server.remove()
    assert seen == [GetStatus(), GetStatus()]


def test_listener_that_ends_is_noticed_before_the_time_is_up(server: ServerThread) -> None:
    problems: list[str] = []

    def ask() -> None:
        try:
            client.request(Mine(600))
        except ListenerUnavailable as error:
            problems.append(str(error))

    with IpcClient(server.request_socket, 60.0) as client:
        thread = threading.Thread(target=ask)
        thread.start()
        wait_until(lambda: server.server._tasks)
        server.stop()
        thread.join(20)
        assert len(problems) == 1
        assert "ended before it replied" in problems[0]


def test_close_answers_requests_under_way(server: ServerThread, client: IpcClient) -> None:
    answers: list[Reply] = []
    slow = threading.Thread(target=lambda: answers.append(client.request(Mine(1))))
    slow.start()
    wait_until(lambda: server.server._tasks)
    server.stop()
    slow.join(10)
    assert answers == [Done("mined")]


def test_child_of_a_fork_makes_its_own_connection(client: IpcClient) -> None:
    assert client.request(GetStatus()) == Done("GetStatus")
    child = os.fork()
    if child == 0:  # no exception may leave the child into pytest
        status = 1
        try:
            good = all(client.request(GetStatus()) == Done("GetStatus") for _ in range(20))
            client.close()
            status = 0 if good else 2
        finally:
            os._exit(status)
    for _ in range(20):
        assert client.request(GetStatus()) == Done("GetStatus")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_fork_while_another_thread_asks_leaves_a_usable_client(client: IpcClient) -> None:
    going = threading.Event()
    going.set()

    def ask() -> None:
        while going.is_set():
            client.request(GetStatus())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    status = 0 if client.request(GetStatus()) == Done("GetStatus") else 2
                finally:
                    os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        going.clear()
        for thread in threads:
            thread.join(20)

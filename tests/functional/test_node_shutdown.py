"""SIGTERM: each program ends by itself within 5 s, with exit code 0 and nothing lost."""

import http.client
import time

import pytest

from tests.support.network import LocalNetwork
from tests.support.polling import wait_until
from tests.support.traffic import Sender

STOP_SECONDS = 5.0
MINED_SECONDS = 45

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("name", ["listener", "miner", "web"])
def test_stops_in_time_under_load_and_loses_nothing(trio: LocalNetwork, name: str) -> None:
    node = trio.nodes[1]
    sender = Sender(trio, trio.accounts[3], [node])
    sender.start()
    wait_until(lambda: len(sender.acknowledged) >= 10, 30, "traffic flows")
    program = node.node.programs[name]
    started = time.monotonic()
    forced = node.node.stop(name, timeout_seconds=STOP_SECONDS)
    seconds = time.monotonic() - started
    assert not forced, f"{name} did not end within {STOP_SECONDS} s:\n{program.log_tail()}"
    assert program.exit_code == 0, program.log_tail()
    assert seconds < STOP_SECONDS
    node.start(name)
    before = len(sender.acknowledged)
    wait_until(
        lambda: len(sender.acknowledged) >= before + 5,
        30,
        "traffic flows again",
        lambda: sender.problems[-3:],
    )
    acknowledged = sender.finish()
    trio.wait_mined(acknowledged, MINED_SECONDS)
    trio.wait_agreed(MINED_SECONDS)
    assert node.doctor().returncode == 0


def test_web_stops_in_time_with_an_open_event_stream(quiet: LocalNetwork) -> None:
    [node] = quiet.nodes
    connection = http.client.HTTPConnection("127.0.0.1", node.spec.http_port, timeout=10)
    connection.request("GET", "/api/v1/events")
    stream = connection.getresponse()
    assert stream.status == 200
    assert stream.headers["Content-Type"].startswith("text/event-stream")
    try:
        assert not node.stop("web")
    finally:
        connection.close()
        node.start("web")
        node.wait_ready()

"""One answer for many who ask at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient

from cairn.web.remembered import Shared
from tests.support.builders import make_key
from tests.support.polling import wait_until
from tests.support.web import WebTestNode

HOUR = 3_600.0


def test_many_who_ask_at_once_cost_one_answer() -> None:
    shared: Shared[int] = Shared(HOUR)
    asked: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def ask() -> int:
        asked.append(1)
        begun.set()
        assert go_on.wait(10)
        return len(asked)

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(shared.get, ask)]
        assert begun.wait(10)
        answers += [pool.submit(shared.get, ask) for _ in range(7)]
        go_on.set()
        assert [each.result(10) for each in answers] == [1] * 8
    assert shared.get(ask) == 1


def test_an_answer_that_is_too_old_is_not_handed_out() -> None:
    shared: Shared[float] = Shared(0.001)
    first = shared.get(time.monotonic)
    wait_until(lambda: shared.get(time.monotonic) > first, 10, "a fresh answer")


def test_who_asks_while_a_long_answer_is_made_gets_one_no_older_than_allowed() -> None:
    """The age of an answer is counted from when it was begun: it may show nothing that is newer."""
    shared: Shared[str] = Shared(0.0)

    def slow() -> str:
        time.sleep(0.01)
        return "old"

    assert shared.get(slow) == "old"
    assert shared.get(lambda: "new") == "new"


def test_a_failure_is_told_to_those_who_wait_and_asked_for_again() -> None:
    shared: Shared[int] = Shared(HOUR)

    def fail() -> int:
        raise ValueError("away")

    with pytest.raises(ValueError, match="away"):
        shared.get(fail)
    with pytest.raises(ValueError, match="away"):
        shared.get(lambda: 1)
    short: Shared[int] = Shared(0.0)
    with pytest.raises(ValueError, match="away"):
        short.get(fail)
    assert short.get(lambda: 1) == 1


def test_the_overview_is_rendered_once_for_many(client: FlaskClient, node: WebTestNode) -> None:
    web_node = client.application.extensions["cairn"]
    was = web_node.overview
    try:
        web_node.overview = Shared(HOUR)
        before = client.get("/").text
        node.submit([node.transaction(make_key(0), make_key(1))])
        assert client.get("/").text == before
        web_node.overview = Shared(0.0)
        assert client.get("/").text != before
    finally:
        web_node.overview = was

"""One running node for each module of tests, with some blocks and transactions."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cairn.web import create_app
from cairn.web.attempts import Attempts
from cairn.web.node import EXTENSION, WRONG_TOKENS, WRONG_TOKENS_UNTOLD
from tests.support.builders import COIN, make_key
from tests.support.web import WebTestNode
from tests.unit.web.operator_forms import log_in


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebTestNode]:
    """Two blocks with three transactions, one of them with a note, and one that waits."""
    running = WebTestNode(tmp_path_factory.mktemp("node"))
    try:
        running.start_listener()
        alice, bob = make_key(0), make_key(1)
        running.submit([running.transaction(alice, bob, 5 * COIN, data=b"<b>rent</b>")])
        running.mine()
        running.submit([running.transaction(bob, bob, COIN), running.transaction(bob, alice, 7)])
        running.mine()
        running.submit([running.transaction(alice, bob, 3)])
        yield running
    finally:
        running.close()


@pytest.fixture(scope="module")
def app(node: WebTestNode) -> Iterator[Flask]:
    """Its application."""
    made = create_app(node.config)
    yield made
    made.extensions[EXTENSION].close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client of it."""
    return app.test_client()


@pytest.fixture
def no_attempts(app: Flask) -> None:
    """No wrong token was tried yet."""
    app.extensions[EXTENSION].attempts = Attempts(WRONG_TOKENS, WRONG_TOKENS_UNTOLD)


@pytest.fixture
def operator(no_attempts: None, client: FlaskClient) -> FlaskClient:
    """A client that is logged in."""
    assert log_in(client).headers["Location"] == "/operator"
    return client

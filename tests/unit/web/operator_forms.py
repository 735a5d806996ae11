"""The operator's form and session through Flask's test client."""

import re
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.web import TOKEN

ORIGIN = {"Origin": "http://localhost"}


def log_in(client: FlaskClient, token: str = TOKEN, **more: Any) -> TestResponse:
    """Sends the login form."""
    return client.post("/operator/login", data={"token": token}, headers=ORIGIN, **more)


def form_token(client: FlaskClient) -> str:
    """What the forms of the page carry for who is logged in."""
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', client.get("/operator").text)
    assert found is not None
    return found[1]

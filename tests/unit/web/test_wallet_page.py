"""What the node adds to the pages that sign in the browser."""

import pytest
from flask.testing import FlaskClient

PAGES = ("/wallet", "/notarize", "/verify")


@pytest.mark.parametrize(
    ("host", "command"),
    [
        ("node.example.net", "ssh -L 8000:127.0.0.1:80 node.example.net"),
        ("node.example.net:8010", "ssh -L 8000:127.0.0.1:8010 node.example.net"),
        ("192.0.2.7:8000", "ssh -L 8000:127.0.0.1:8000 192.0.2.7"),
        ("[2001:db8::1]", "ssh -L 8000:127.0.0.1:80 2001:db8::1"),
        ("[2001:db8::1]:8020", "ssh -L 8000:127.0.0.1:8020 2001:db8::1"),
    ],
)
def test_tells_how_to_reach_it_by_ssh(client: FlaskClient, host: str, command: str) -> None:
    for path in PAGES:
        page = client.get(path, headers={"Host": host})
        assert page.status_code == 200
        assert f"<code>{command}</code>" in page.text


def test_the_old_form_leads_to_the_wallet(client: FlaskClient) -> None:
    reply = client.get("/send")
    assert (reply.status_code, reply.headers["Location"]) == (303, "/wallet")

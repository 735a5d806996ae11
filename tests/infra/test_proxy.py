"""What the proxy refuses by itself: in the API's form, or as a page for who asks for one."""

import json
from collections.abc import Iterator

import pytest

from tests.support.lab import Lab, LabHost
from tests.support.polling import wait_until
from tests.support.rest import Reply

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
UNITS = "cairn-web.socket cairn-web.service"
OVER_THE_BODY_LIMIT = bytes(8449 << 10)
BURST = 500


@pytest.fixture
def without_web(lab: Lab) -> Iterator[LabHost]:
    """A host whose web tier is stopped, its socket as well."""
    host = lab["node2"]
    host.check_output(f"systemctl stop {UNITS}")
    yield host
    host.check_output(f"systemctl start {UNITS}")
    wait_until(host.is_ready, 60, "the node is ready again")


def _problem(reply: Reply) -> tuple[int, str]:
    """Status and code of a problem document."""
    assert reply.content_type == "application/problem+json"
    document = reply.json()
    assert document["status"] == reply.status
    return reply.status, document["code"]


def test_without_the_web_tier_programs_are_told_so(without_web: LabHost) -> None:
    reply = without_web.api.call("GET", "/api/v1/status")
    assert _problem(reply) == (502, "web-unavailable")
    assert int(reply.headers["retry-after"]) > 0
    assert _problem(without_web.api.call("GET", "/api/v1/status", headers=BROWSER))[0] == 502


def test_without_the_web_tier_people_get_a_page_that_asks_again(without_web: LabHost) -> None:
    reply = without_web.api.call("GET", "/", headers=BROWSER)
    assert (reply.status, reply.content_type) == (502, "text/html")
    assert b"nothing is lost" in reply.body
    assert b'http-equiv="refresh"' in reply.body
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    # A form is not sent twice by itself.
    sent = without_web.api.call("POST", "/operator/login", b"token=x", BROWSER)
    assert sent.status == 502
    assert b"refresh" not in sent.body


def test_a_body_over_the_limit_is_refused_before_it_is_read(lab: Lab) -> None:
    reply = lab["node2"].api.call("POST", "/api/v1/transactions", OVER_THE_BODY_LIMIT)
    assert _problem(reply) == (413, "body-too-large")
    page = lab["node2"].api.call("POST", "/operator/login", OVER_THE_BODY_LIMIT, BROWSER)
    assert (page.status, page.content_type) == (413, "text/html")


def test_one_address_has_so_many_requests(lab: Lab, without_web: LabHost) -> None:
    # From another host, as this machine asks for all the tests; and without the web tier, as
    # nginx then answers by itself, many times faster than the rate that it lets through.
    ask = (
        "import collections, http.client, json\n"
        f"one = http.client.HTTPConnection('{without_web.address}')\n"
        "found = collections.Counter()\n"
        f"for _ in range({2 * BURST}):\n"
        "    one.request('GET', '/', headers={'Accept': 'text/html'})\n"
        "    answer = one.getresponse()\n"
        "    answer.read()\n"
        "    found[answer.status] += 1\n"
        "print(json.dumps(found))\n"
    )
    found = json.loads(lab["node1"].check_output(f'python3 -c "{ask}"', 120))
    assert set(found) == {"502", "429"}
    assert found["502"] >= BURST
    assert without_web.api.call("GET", "/").status == 502, "another address is still answered"

"""The operator's cookie behind proxies, under gunicorn as shipped."""

from collections.abc import Iterator

import pytest

from tests.support.gunicorn import running_gunicorn
from tests.support.network import free_ports
from tests.support.operator import OperatorBrowser
from tests.support.web import TOKEN, WebTestNode

OVER_HTTPS = {"X-Forwarded-Proto": "https"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebTestNode]:
    """With a listener that made its database."""
    made = WebTestNode(tmp_path_factory.mktemp("session"))
    try:
        made.start_listener()
        yield made
    finally:
        made.close()


def test_cookie_is_secure_where_a_trusted_proxy_speaks_https(node: WebTestNode) -> None:
    with running_gunicorn(node.config_file, free_ports(1)[0]) as (api, _):
        browser = OperatorBrowser(api, OVER_HTTPS, "https")
        assert browser.log_in(TOKEN).status == 303
        assert "; Secure" in browser.set_cookies[0]
        assert browser.open().status == 200
        plain = OperatorBrowser(api, OVER_HTTPS, "http")
        assert plain.log_in(TOKEN).status == 403, "the page came by HTTPS, the form did not"


def test_a_strangers_word_on_the_scheme_counts_for_nothing(node: WebTestNode) -> None:
    options = ["--forwarded-allow-ips=192.0.2.1"]
    with running_gunicorn(node.config_file, free_ports(1)[0], options) as (api, _):
        assert OperatorBrowser(api, OVER_HTTPS, "https").log_in(TOKEN).status == 403
        browser = OperatorBrowser(api, OVER_HTTPS, "http")
        assert browser.log_in(TOKEN).status == 303
        assert "Secure" not in browser.set_cookies[0]

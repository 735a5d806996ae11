"""The certificate that a host makes for itself, as its clients see it."""

import json
import socket
import ssl
import urllib.request
from pathlib import Path

import pytest

from tests.support.lab import LabHost
from tests.support.polling import wait_until


@pytest.fixture
def trust(node: LabHost, tmp_path: Path) -> ssl.SSLContext:
    """What trusts the host's own CA, and no other."""
    file = tmp_path / "ca.pem"
    file.write_text(node.inside.file("/etc/ssl/cairn/ca.pem").content_string, encoding="ascii")
    return ssl.create_default_context(cafile=str(file))


def _serial(node: LabHost, trust: ssl.SSLContext) -> object:
    """Of the certificate that nginx presents; raises where it does not fit the address."""
    with (
        socket.create_connection((node.address, 443), 10) as plain,
        trust.wrap_socket(plain, server_hostname=node.address) as secure,
    ):
        found = secure.getpeercert()
    assert found is not None
    return found["serialNumber"]


def test_the_node_answers_over_https(node: LabHost, trust: ssl.SSLContext) -> None:
    url = f"https://{node.address}/api/v1/status"
    with urllib.request.urlopen(url, timeout=10, context=trust) as reply:
        assert json.load(reply)["height"] >= 0


def test_nobody_else_vouches_for_it(node: LabHost) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        _serial(node, ssl.create_default_context())


def test_one_that_fits_no_more_is_renewed_by_its_unit(node: LabHost, trust: ssl.SSLContext) -> None:
    own = "/etc/ssl/cairn/own"
    host, serial = node.inside, _serial(node, trust)
    before = host.check_output("readlink %s", own)
    host.check_output(f"echo another > {own}/names; systemctl start proxy-certificate.service")
    assert host.check_output("readlink %s", own) != before
    assert node.address in host.file(f"{own}/names").content_string
    wait_until(lambda: _serial(node, trust) != serial, 30, "nginx presents the new one")


def test_a_timer_renews_it(node: LabHost) -> None:
    assert node.inside.check_output("systemctl is-enabled proxy-certificate.timer") == "enabled"
    assert node.inside.service("proxy-certificate.timer").is_running

"""A host with a public name: what serves before the authority answers, and after."""

import shlex
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.acme import Place, authority, make_place
from tests.support.lab import Lab, LabHost, play
from tests.support.polling import wait_until
from tests.support.rest import RestApi

NAME = "node2.example.net"
ROLE = "---\n- name: The proxy alone\n  hosts: node2\n  become: true\n  roles: [proxy]\n"
TRUSTED = "/usr/local/share/ca-certificates/test-authority.crt"
CERTBOT = f"certbot renew --force-renewal --no-random-sleep-on-renew --cert-name {NAME} -q"


@dataclass(frozen=True)
class Named:
    """A host that was given a public name, while nobody answers at the authority's place."""

    host: LabHost
    place: Place
    played: str

    def presented(self, trust: ssl.SSLContext) -> object:
        """The serial number of the certificate that whoever asks for the name gets.

        Raises SSLCertVerificationError where it is not trusted, or is of another name.
        """
        with (
            socket.create_connection((self.host.address, 443), 10) as plain,
            trust.wrap_socket(plain, server_hostname=NAME) as secure,
        ):
            found = secure.getpeercert()
        assert found is not None
        return found["serialNumber"]

    def first_lines(self, scheme: str, path: str) -> str:
        """Status and headers of the answer to whoever asks by this address, in small letters."""
        url = shlex.quote(f"{scheme}://{self.host.address}{path}")
        return self.host.check_output(f"curl -sk -o /dev/null -D - {url}").lower()


@pytest.fixture(scope="module")
def named(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Named]:
    host, folder = lab["node2"], tmp_path_factory.mktemp("acme")
    bridge = host.check_output("ip -4 route show default").split()[2]
    place = make_place(folder, bridge)
    certificate = shlex.quote(place.certificate.read_text(encoding="ascii"))
    host.check_output(f"echo {certificate} > {TRUSTED} && update-ca-certificates")
    variables = [f"cairn_public_name={NAME}", f"proxy_acme_directory={place.directory}"]
    try:
        yield Named(host, place, _played(folder, *variables))
    finally:
        _played(folder)
        host.run(f"certbot delete --non-interactive --cert-name {NAME}")  # there, if all tests ran
        host.check_output(f"rm {TRUSTED} && update-ca-certificates --fresh")


def _played(folder: Path, *variables: str) -> str:
    playbook = folder / "proxy.yml"
    playbook.write_text(ROLE, encoding="ascii")
    done = play(str(playbook), *(word for each in variables for word in ("-e", each)))
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return done.stdout


def test_without_the_authority_the_play_goes_on_and_says_so(named: Named) -> None:
    assert f"no certificate for {NAME} yet" in named.played
    own = named.host.inside.file("/etc/ssl/cairn/ca.pem").content_string
    assert named.presented(ssl.create_default_context(cadata=own))


def test_pages_are_asked_for_again_over_https(named: Named) -> None:
    lines = named.first_lines("http", "/chain?limit=5")
    assert lines.startswith("http/1.1 308")
    assert f"location: https://{NAME}/chain?limit=5" in lines
    assert "strict-transport-security" not in lines
    assert "strict-transport-security: max-age=31536000" in named.first_lines("https", "/chain")


def test_nodes_join_over_http_all_the_same(named: Named) -> None:
    api = RestApi(f"http://{named.host.address}")
    assert {each["name"] for each in api.get("nodes")["items"]} >= {"node1", "node3"}
    as_json = {"Content-Type": "application/json"}
    refused = api.call("POST", "/api/v1/nodes", b'{"record": "00"}', as_json)
    assert refused.json()["code"] == "node-record-invalid"


def test_the_days_run_gets_a_certificate_and_certbot_renews_it(named: Named) -> None:
    with authority(named.place, names_are_at=named.host.address) as trust:
        with pytest.raises(ssl.SSLCertVerificationError):
            named.presented(trust)
        named.host.check_output("systemctl start proxy-certificate.service", 120)
        first = wait_until(lambda: _trusted(named, trust), 30, "nginx presents it")
        named.host.check_output(CERTBOT, 120)
        wait_until(lambda: _trusted(named, trust) not in (None, first), 30, "it presents the next")
    log = named.host.check_output("journalctl -q -o cat -u proxy-certificate.service -n 20")
    assert f"got a certificate for {NAME}" in log


def _trusted(named: Named, trust: ssl.SSLContext) -> object:
    try:
        return named.presented(trust)
    except ssl.SSLCertVerificationError:
        return None

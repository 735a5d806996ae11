"""A real ACME authority for a test: Pebble, with a DNS server of its own, on the lab's bridge."""

import json
import os
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.network import free_ports
from tests.support.polling import wait_until

_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Place:
    """Where the authority is, and what shows that it is the one."""

    folder: Path
    address: str
    port: int

    @property
    def directory(self) -> str:
        """The URL that its clients are given."""
        return f"https://{self.address}:{self.port}/dir"

    @property
    def certificate(self) -> Path:
        """What its clients have to trust; with `key.pem` beside it."""
        return self.folder / "cert.pem"


def make_place(folder: Path, address: str) -> Place:
    """A place at this address, with a certificate of its own; nothing listens there yet."""
    place = Place(folder, address, free_ports(1)[0])
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-noenc", "-days", "2", "-subj", "/CN=Test authority"]
    command += ["-addext", f"subjectAltName=IP:{address}"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(place.certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return place


@contextmanager
def authority(place: Place, names_are_at: str) -> Iterator[ssl.SSLContext]:
    """An authority that finds every name at one address, where it asks at port 80.

    Yields what trusts its certificates, and no other.
    """
    dns, told, managed = free_ports(3)
    settings = {
        "listenAddress": f"{place.address}:{place.port}",
        "managementListenAddress": f"{_LOOPBACK}:{managed}",
        "certificate": str(place.certificate),
        "privateKey": str(place.folder / "key.pem"),
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
    }
    config = place.folder / "pebble.json"
    config.write_text(json.dumps({"pebble": settings}), encoding="ascii")
    resolver = ["pebble-challtestsrv", "-defaultIPv4", names_are_at, "-defaultIPv6", ""]
    resolver += ["-dns01", f"{_LOOPBACK}:{dns}", "-management", f"{_LOOPBACK}:{told}"]
    resolver += ["-http01", "", "-https01", "", "-tlsalpn01", ""]
    server = ["pebble", "-strict", "-config", str(config), "-dnsserver", f"{_LOOPBACK}:{dns}"]
    with ExitStack() as stack:
        log = stack.enter_context((place.folder / "pebble.log").open("w", encoding="utf-8"))
        for command in (resolver, server):
            program = stack.enter_context(
                subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=dict(os.environ, PEBBLE_VA_NOSLEEP="1"),
                )
            )
            stack.callback(program.kill)
        own = ssl.create_default_context(cafile=str(place.certificate))
        own.check_hostname = False  # it is asked at loopback for its root
        root = wait_until(
            lambda: _asked(f"https://{_LOOPBACK}:{managed}/roots/0", own),
            20,
            "the authority is up",
            (place.folder / "pebble.log").read_text,
        )
        yield ssl.create_default_context(cadata=root)


def _asked(url: str, context: ssl.SSLContext) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as reply:
            return str(reply.read().decode("ascii"))
    except OSError:
        return ""

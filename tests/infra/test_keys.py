"""The node's keys: root's alone, unreadable by whoever serves."""

import pytest
from testinfra.host import Host

KEYS = "/etc/cairn/keys"


def test_keys_are_roots_alone(host: Host) -> None:
    names = host.file(KEYS).listdir()
    assert names
    for name in names:
        key = host.file(f"{KEYS}/{name}")
        assert (key.user, key.mode) == ("root", 0o600), name


@pytest.mark.parametrize("user", ["cairn", "cairn-web", "cairn-miner", "deploy", "nobody"])
def test_no_service_user_reads_a_key_file(host: Host, user: str) -> None:
    for name in host.file(KEYS).listdir():
        done = host.run("runuser -u %s -- cat %s", user, f"{KEYS}/{name}")
        assert done.rc != 0
        assert "Permission denied" in done.stderr


def test_the_web_tier_does_not_see_the_listeners_credentials(host: Host) -> None:
    assert host.file("/run/credentials/cairn-listener.service").is_directory
    done = host.run("runuser -u cairn-web -- ls /run/credentials/cairn-listener.service")
    assert done.rc != 0

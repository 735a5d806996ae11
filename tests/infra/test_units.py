"""The units: that they run and start at boot, what they were given, what they are kept from."""

import re

import pytest
from testinfra.host import Host

from tests.support.lab import SERVICES
from tests.support.polling import wait_until

_USERS = {
    "cairn-listener.service": "cairn",
    "cairn-miner.service": "cairn-miner",
    "cairn-web.service": "cairn-web",
}


@pytest.mark.parametrize("unit", SERVICES)
def test_services_run_and_were_never_started_again_by_systemd(host: Host, unit: str) -> None:
    service = host.service(unit)
    assert service.is_valid
    assert service.is_running
    assert service.systemd_properties["NRestarts"] == "0"


@pytest.mark.parametrize("unit", ["cairn.target", "cairn-web.socket"])
def test_the_node_starts_at_every_boot(host: Host, unit: str) -> None:
    assert host.check_output("systemctl is-enabled %s", unit) == "enabled"
    assert host.service(unit).is_running


@pytest.mark.parametrize("unit", SERVICES)
def test_services_are_watched_limited_and_never_root(host: Host, unit: str) -> None:
    found = host.service(unit).systemd_properties
    assert found["Type"] == "notify"
    assert found["WatchdogUSec"] not in ("0", "infinity")
    assert found["MemoryMax"] != "infinity"
    assert found["User"] == _USERS[unit]
    assert found["NoNewPrivileges"] == "yes"


def test_the_listener_has_a_network(host: Host) -> None:
    assert host.service("cairn-listener").systemd_properties["PrivateNetwork"] == "no"


@pytest.mark.parametrize("unit", ["cairn-web", "cairn-miner"])
def test_only_the_listener_has_one(host: Host, unit: str) -> None:
    found = host.service(unit).systemd_properties
    assert found["PrivateNetwork"] == "yes"
    assert set(found["IPAddressDeny"].split()) == {"::/0", "0.0.0.0/0"}
    assert found["RestrictAddressFamilies"] == "AF_UNIX"


def test_a_stopped_database_server_does_not_stop_the_listener(host: Host) -> None:
    found = host.service("cairn-listener").systemd_properties
    assert "mariadb" not in found["Requires"]
    assert "mariadb" in found["After"]


def test_status_line_tells_height_and_peers(host: Host) -> None:
    def told() -> str:
        return str(host.service("cairn-listener").systemd_properties["StatusText"])

    # For a moment it may tell of a branch that was just followed.
    wait_until(lambda: re.match(r"height \d+, \d+ peers, ", told()), 10, "height and peers", told)


def test_the_target_holds_the_services(host: Host) -> None:
    wanted = host.service("cairn.target").systemd_properties["Wants"].split()
    assert {*SERVICES, "cairn-web.socket"} <= set(wanted)

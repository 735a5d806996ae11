"""The units: how exposed they are, what they were given, what they are kept from."""

import pytest

from tests.support.lab import SERVICES, LabHost


@pytest.mark.parametrize("unit", SERVICES)
def test_exposure_is_at_most_one_and_a_half(host: LabHost, unit: str) -> None:
    done = host.run(f"systemd-analyze security --no-pager --threshold=15 {unit}")
    assert done.code == 0, done.output[-400:]


@pytest.mark.parametrize("unit", SERVICES)
def test_services_are_watched_limited_and_never_root(host: LabHost, unit: str) -> None:
    found = host.unit(unit, "Type", "WatchdogUSec", "MemoryMax", "User", "NoNewPrivileges")
    assert found["Type"] == "notify"
    assert found["WatchdogUSec"] not in ("0", "infinity")
    assert found["MemoryMax"] != "infinity"
    assert (
        found["User"]
        == {
            "cairn-listener.service": "cairn",
            "cairn-miner.service": "cairn-miner",
            "cairn-web.service": "cairn-web",
        }[unit]
    )
    assert found["NoNewPrivileges"] == "yes"


def test_only_the_listener_has_a_network(host: LabHost) -> None:
    assert host.unit("cairn-listener", "PrivateNetwork") == {"PrivateNetwork": "no"}
    for unit in ("cairn-web", "cairn-miner"):
        found = host.unit(unit, "PrivateNetwork", "IPAddressDeny", "RestrictAddressFamilies")
        assert found["PrivateNetwork"] == "yes"
        assert set(found["IPAddressDeny"].split()) == {"::/0", "0.0.0.0/0"}
        assert found["RestrictAddressFamilies"] == "AF_UNIX"


def test_a_stopped_database_server_does_not_stop_the_listener(host: LabHost) -> None:
    assert "mariadb" not in host.unit("cairn-listener", "Requires")["Requires"]
    assert "mariadb" in host.unit("cairn-listener", "After")["After"]


def test_status_line_tells_height_and_peers(host: LabHost) -> None:
    text = host.unit("cairn-listener", "StatusText")["StatusText"]
    assert text.startswith("height ")
    assert " peers" in text


def test_the_target_holds_the_services(host: LabHost) -> None:
    wanted = host.unit("cairn.target", "Wants")["Wants"].split()
    assert {*SERVICES, "cairn-web.socket"} <= set(wanted)

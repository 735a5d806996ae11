"""Faults on whole hosts; after each of them the hosts agree, and nothing acknowledged is lost."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.lab import SERVICES, Lab, LabHost
from tests.support.polling import wait_until


def _main_process(host: LabHost, unit: str) -> int:
    return int(host.unit(unit, "MainPID")["MainPID"])


def _is_another(host: LabHost, unit: str, before: int) -> bool:
    found = host.unit(unit, "MainPID", "ActiveState")
    return found["ActiveState"] == "active" and int(found["MainPID"]) not in (0, before)


@pytest.fixture(autouse=True)
def _agreed_before_and_after(lab: Lab) -> Iterator[None]:
    lab.agree()
    yield
    lab.agree(150)


@pytest.mark.parametrize("unit", SERVICES)
def test_a_killed_service_comes_back(lab: Lab, unit: str) -> None:
    host = lab["node2"]
    sent = lab.send(host, f"before {unit} is killed")
    before = _main_process(host, unit)
    host.check_output(f"kill -9 {before}")
    wait_until(lambda: _is_another(host, unit, before), 60, f"{unit} runs again")
    wait_until(host.is_ready, 90, "the node is ready again")
    lab.wait_mined([sent])


def test_a_service_that_ends_again_and_again_waits_longer_each_time(lab: Lab) -> None:
    host, unit = lab["node2"], "cairn-miner.service"
    host.check_output(f"systemctl reset-failed {unit}")  # counts from here on
    waits = []
    for restarts in range(1, 5):
        started = host.unit(unit, "ExecMainStartTimestampMonotonic")
        killed = float(host.check_output("cut -d' ' -f1 /proc/uptime"))
        host.check_output(f"kill -9 {_main_process(host, unit)}")
        wait_until(
            lambda before=started: (
                host.unit(unit, "ExecMainStartTimestampMonotonic") != before
                and host.unit(unit, "ActiveState")["ActiveState"] == "active"
            ),
            60,
            "it runs again",
        )
        assert host.unit(unit, "NRestarts")["NRestarts"] == str(restarts)
        found = host.unit(unit, "ExecMainStartTimestampMonotonic")
        waits.append(int(found["ExecMainStartTimestampMonotonic"]) / 1e6 - killed)
    assert waits[1] > 1.5
    assert waits[2] > 3.5
    assert waits[3] > 7
    # The operator's own start begins anew.
    host.check_output(f"systemctl restart {unit}")
    assert host.unit(unit, "NRestarts")["NRestarts"] == "0"


def test_a_killed_database_server_loses_nothing(lab: Lab) -> None:
    host = lab["node2"]
    sent = [lab.send(host, f"number {number}") for number in range(1)]
    listener = _main_process(host, "cairn-listener.service")
    before = _main_process(host, "mariadb.service")
    host.check_output(f"kill -9 {before}")
    wait_until(lambda: _is_another(host, "mariadb.service", before), 90, "the server runs again")
    wait_until(host.is_ready, 90, "the node is ready again")
    lab.wait_mined(sent)
    assert _main_process(host, "cairn-listener.service") == listener


def test_a_database_server_that_stays_away_leaves_the_listener_waiting(lab: Lab) -> None:
    host = lab["node3"]
    listener = _main_process(host, "cairn-listener.service")
    host.check_output("systemctl stop mariadb")
    try:
        wait_until(lambda: not host.is_ready(), 60, "the node says that it is not ready")
        assert host.unit("cairn-listener", "ActiveState") == {"ActiveState": "active"}
    finally:
        host.check_output("systemctl start mariadb")
    wait_until(host.is_ready, 90, "the node is ready again")
    assert _main_process(host, "cairn-listener.service") == listener


def test_the_watchdog_takes_a_listener_that_stands_still(lab: Lab) -> None:
    host = lab["node3"]
    before, since = _main_process(host, "cairn-listener.service"), int(time.time())
    host.check_output(f"kill -STOP {before}")
    wait_until(
        lambda: _is_another(host, "cairn-listener.service", before),
        90,
        "the watchdog started another",
    )
    host.check_output(
        f"journalctl -q -n 1 -u cairn-listener --grep='[Ww]atchdog timeout' --since=@{since}"
    )
    wait_until(host.is_ready, 90, "the node is ready again")


def test_a_rebooted_host_comes_back_by_itself(lab: Lab) -> None:
    host = lab["node3"]
    sent = lab.send(host, "before the reboot")
    boot = host.check_output("journalctl --list-boots -q | tail -1")
    host.run("systemctl reboot")

    def is_back() -> bool:
        done = host.run("systemctl is-system-running")
        return done.output == "running" and _boot_differs(host, boot)

    wait_until(is_back, 120, "the host runs again")
    wait_until(host.is_ready, 120, "the node is ready again")
    lab.wait_mined([sent])


def _boot_differs(host: LabHost, boot: str) -> bool:
    return host.run("journalctl --list-boots -q | tail -1").output != boot


@contextmanager
def _cut_off(host: LabHost, others: list[LabHost]) -> Iterator[None]:
    """Nothing passes between `host` and the others, in either direction."""
    addresses = ", ".join(other.address for other in others)
    rules = (
        "table inet partition { "
        f"chain in {{ type filter hook input priority -300; ip saddr {{ {addresses} }} drop; }}; "
        f"chain out {{ type filter hook output priority -300; ip daddr {{ {addresses} }} drop; }}; "
        "}"
    )
    host.check_output(f"nft '{rules}'")
    try:
        yield
    finally:
        host.check_output("nft delete table inet partition")


def test_a_host_cut_off_while_all_mine_finds_back_to_one_chain(lab: Lab) -> None:
    lonely = lab["node3"]
    others = [host for host in lab.hosts if host is not lonely]
    with _cut_off(lonely, others):
        start = max(host.height() for host in lab.hosts)
        sent = [lab.send(lonely, "from the lonely side"), lab.send(others[0], "from the other")]
        for host in lab.hosts:
            wait_until(lambda host=host: host.height() >= start + 3, 180, f"{host.name} mines on")
        assert lonely.block_at(start + 3) != others[0].block_at(start + 3)
    lab.agree(180)
    assert len({host.block_at(start + 3) for host in lab.hosts}) == 1
    # Both spend from one account with one sequence number, so one of them alone can stand.
    mined = [one for one in sent if _is_on_all(lab, one)]
    assert len(mined) == 1


def _is_on_all(lab: Lab, identifier: str) -> bool:
    return all(
        host.api.call("GET", f"/api/v1/transactions/{identifier}").status == 200
        for host in lab.hosts
    )


def test_the_doctor_finds_every_chain_sound(lab: Lab) -> None:
    for host in lab.hosts:
        assert "state and blocks agree" in host.check_output("cd / && cairn doctor", 300)

"""The firewall: the rules that live are the rules that are written, and they drop."""

import pytest
from testinfra.host import Host

from tests.support.lab import Lab


def test_incoming_is_dropped_by_default(host: Host) -> None:
    rules = host.check_output("nft list table inet cairn")
    assert "hook input" in rules
    chain = rules[rules.index("hook input") :]
    assert "policy drop" in chain.split("\n")[0]


def test_live_rules_equal_the_rendered_ones(host: Host) -> None:
    # The rendered file read by nft in a network namespace of its own gives the same listing.
    live = host.check_output("nft -s list table inet cairn")
    rendered = host.check_output(
        "unshare --net sh -c 'nft -f /etc/nftables.conf && nft -s list table inet cairn'"
    )
    assert live == rendered


@pytest.mark.parametrize("unit", ["nftables", "fail2ban"])
def test_its_units_run_and_start_at_boot(host: Host, unit: str) -> None:
    assert host.service(unit).is_enabled
    assert host.service(unit).is_running


def test_only_nodes_of_the_inventory_reach_the_peer_ports(lab: Lab) -> None:
    inside = {host.address for host in lab.hosts}
    for host in lab.hosts:
        inner = host.inside
        assert "28600" in inner.check_output("nft list chain inet cairn input")
        # Neighbouring addresses are listed as ranges: ask for each instead of reading the list.
        for address in inside - {host.address}:
            inner.check_output(f"nft get element inet cairn peers4 '{{ {address} }}'")
        stranger = next(
            a for a in ("10.0.3.2", "10.0.3.3", "10.0.3.4", "10.0.3.5") if a not in inside
        )
        assert inner.run(f"nft get element inet cairn peers4 '{{ {stranger} }}'").rc != 0

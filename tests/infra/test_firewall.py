"""The firewall: the rules that live are the rules that are written, and they drop."""

from tests.support.lab import Lab, LabHost


def test_incoming_is_dropped_by_default(host: LabHost) -> None:
    rules = host.check_output("nft list table inet cairn")
    assert "hook input" in rules
    chain = rules[rules.index("hook input") :]
    assert "policy drop" in chain.split("\n")[0]


def test_live_rules_equal_the_rendered_ones(host: LabHost) -> None:
    # The rendered file read by nft in a network namespace of its own gives the same listing.
    live = host.check_output("nft -s list table inet cairn")
    rendered = host.check_output(
        "unshare --net sh -c 'nft -f /etc/nftables.conf && nft -s list table inet cairn'"
    )
    assert live == rendered


def test_only_nodes_of_the_inventory_reach_the_peer_ports(lab: Lab) -> None:
    for host in lab.hosts:
        rules = host.check_output("nft list table inet cairn")
        assert "28600" in rules
        for other in lab.hosts:
            assert other is host or other.address in rules

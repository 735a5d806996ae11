"""The hosts as one network: they agree, and what one takes all have."""

from tests.support.lab import Lab


def test_all_hosts_are_ready_and_on_one_chain(lab: Lab) -> None:
    lab.agree()


def test_each_host_is_connected_to_all_others(lab: Lab) -> None:
    for host in lab.hosts:
        found = host.status()
        assert found is not None
        assert found["peers"]["connected"] == len(lab.hosts) - 1
        assert found["admission"] == "allowlist"


def test_a_transaction_sent_through_any_host_is_mined_on_all(lab: Lab) -> None:
    sent = []
    for host in lab.hosts:
        sent.append(lab.send(host, f"through {host.name}"))
        lab.wait_mined(sent)


def test_peers_speak_between_their_own_addresses(lab: Lab) -> None:
    for host in lab.hosts:
        listed = host.check_output("ss -Htn state established '( dport = :28600 )'")
        others = {other.address for other in lab.hosts if other is not host}
        assert others <= {line.split()[3].rsplit(":", 1)[0] for line in listed.splitlines()}

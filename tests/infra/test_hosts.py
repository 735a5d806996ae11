"""Hosts as a whole: they run, nothing has failed, and nothing complains."""

from tests.support.lab import LabHost


def test_every_host_runs_without_a_failed_unit(host: LabHost) -> None:
    assert host.run("systemctl is-system-running --wait").output == "running"
    assert host.check_output("systemctl list-units --state=failed --no-legend") == ""


def test_cairn_logs_no_error_since_boot(host: LabHost) -> None:
    listed = host.check_output("journalctl -b -q --no-pager -p err -o cat -u 'cairn*'")
    assert listed == ""


def test_no_unit_was_started_again_by_systemd(host: LabHost) -> None:
    for unit in ("cairn-listener", "cairn-miner", "cairn-web"):
        assert host.unit(unit, "NRestarts") == {"NRestarts": "0"}


def test_the_node_starts_at_every_boot(host: LabHost) -> None:
    assert host.check_output("systemctl is-enabled cairn.target") == "enabled"
    assert host.check_output("systemctl is-enabled cairn-web.socket") == "enabled"

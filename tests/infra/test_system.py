"""The system as a whole: which one it is, that it runs, and what time it shows."""

from testinfra.host import Host


def test_it_is_one_that_the_roles_know(host: Host) -> None:
    found = host.system_info
    assert (found.type, found.distribution, found.codename) == ("linux", "debian", "bookworm")


def test_it_runs_without_a_failed_unit(host: Host) -> None:
    assert host.run("systemctl is-system-running --wait").stdout.strip() == "running"
    assert host.check_output("systemctl list-units --state=failed --no-legend") == ""


def test_the_clock_shows_universal_time(host: Host) -> None:
    assert host.check_output("date +%Z") == "UTC"

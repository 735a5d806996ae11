"""What the system under the node is made of: packages, upgrades, journal, time zone."""

from typing import Any

import yaml

from tests.support.lab import ROOT, LabHost


def _wanted_packages() -> set[str]:
    """What the roles ask apt for on Debian, of lists that need no template."""
    found = {"nginx", "openssl"}
    for path in (ROOT / "roles").glob("*/vars/*.yml"):
        if path.stem in ("main", "Debian"):
            values: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
            for name, value in values.items():
                if name.endswith("_packages") and isinstance(value, list):
                    found.update(value)
    return found


def test_the_roles_packages_are_installed(host: LabHost) -> None:
    wanted = _wanted_packages()
    assert {"mariadb-server", "fail2ban", "git", "python3-venv"} <= wanted
    listed = host.check_output("dpkg-query -W -f '${Package} ${db:Status-Status}\\n'")
    installed = {line.split()[0] for line in listed.splitlines() if line.endswith(" installed")}
    assert wanted - installed == set()


def test_security_upgrades_install_themselves(host: LabHost) -> None:
    settings = host.check_output("apt-config dump")
    assert 'APT::Periodic::Update-Package-Lists "1";' in settings
    assert 'APT::Periodic::Unattended-Upgrade "1";' in settings
    for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        assert host.check_output(f"systemctl is-active {timer}") == "active"


def test_the_journal_stays_over_reboots_and_is_bounded(host: LabHost) -> None:
    settings = host.check_output("systemd-analyze cat-config systemd/journald.conf").splitlines()
    assert "Storage=persistent" in settings
    assert "SystemMaxUse=1024M" in settings
    host.check_output("test -d /var/log/journal")


def test_the_clock_shows_universal_time(host: LabHost) -> None:
    assert host.check_output("date +%Z") == "UTC"

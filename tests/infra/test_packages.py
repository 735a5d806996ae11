"""The packages that the roles ask for, and the upgrades that install themselves."""

from typing import Any

import pytest
import yaml
from testinfra.host import Host

from tests.support.lab import ROOT


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


def test_the_roles_packages_are_installed(host: Host) -> None:
    wanted = _wanted_packages()
    assert {"mariadb-server", "fail2ban", "git", "python3-venv"} <= wanted
    # One question for all of them: one for each would be most of this folder's connections.
    listed = host.check_output("dpkg-query -W -f '${Package} ${db:Status-Status}\\n'")
    installed = {line.split()[0] for line in listed.splitlines() if line.endswith(" installed")}
    assert wanted - installed == set()


@pytest.mark.parametrize("name", ["mariadb-server", "nginx", "nftables", "fail2ban"])
def test_what_the_node_stands_on_is_installed(host: Host, name: str) -> None:
    assert host.package(name).is_installed


def test_security_upgrades_install_themselves(host: Host) -> None:
    settings = host.check_output("apt-config dump")
    assert 'APT::Periodic::Update-Package-Lists "1";' in settings
    assert 'APT::Periodic::Unattended-Upgrade "1";' in settings


@pytest.mark.parametrize("timer", ["apt-daily.timer", "apt-daily-upgrade.timer"])
def test_the_timer_of_upgrades_runs(host: Host, timer: str) -> None:
    assert host.service(timer).is_running

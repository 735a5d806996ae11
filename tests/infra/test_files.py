"""Files and their modes: whose the configuration is, and who may change the code."""

import subprocess
import sys
from pathlib import Path

import pytest
from testinfra.host import Host


@pytest.mark.parametrize(
    ("path", "owner", "group", "mode"),
    [
        ("/etc/cairn", "root", "cairn", 0o750),
        ("/etc/cairn/cairn.toml", "root", "cairn", 0o640),
        ("/etc/cairn/keys", "root", "root", 0o700),
    ],
)
def test_configuration_is_roots(host: Host, path: str, owner: str, group: str, mode: int) -> None:
    found = host.file(path)
    assert (found.user, found.group, found.mode) == (owner, group, mode)


@pytest.mark.parametrize("user", ["cairn", "cairn-web", "cairn-miner"])
def test_services_cannot_change_the_code_they_run(host: Host, user: str) -> None:
    for path in (
        "/srv/cairn",
        "/srv/cairn/releases",
        "/srv/cairn/current/",
        "/usr/local/lib/cairn",
    ):
        assert host.file(path).is_directory
        assert host.run("runuser -u %s -- test -w %s", user, path).rc == 1, path


def test_the_hooks_are_not_the_deploy_users(host: Host) -> None:
    listed = host.check_output("find /usr/local/lib/cairn ! -user root -o -perm /022 ! -type l")
    assert listed == ""


@pytest.mark.parametrize("path", ["/usr/local/lib/cairn/certificate", "/usr/local/sbin/cairn"])
def test_scripts_made_from_templates_are_clean(host: Host, path: str) -> None:
    """As `./dev lint` looks at those that are in the tree as they are."""
    command = [str(Path(sys.executable).parent / "shellcheck"), "-"]
    done = subprocess.run(
        command, input=host.file(path).content, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout.decode()

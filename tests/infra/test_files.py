"""Users, files and modes: who may read the keys, who may change the code."""

import pytest

from tests.support.lab import LabHost

KEYS = "/etc/cairn/keys"


def _stat(host: LabHost, path: str) -> str:
    return host.check_output(f"stat -c '%U:%G %a' {path}")


def test_configuration_is_roots_and_the_keys_roots_alone(host: LabHost) -> None:
    assert _stat(host, "/etc/cairn") == "root:cairn 750"
    assert _stat(host, "/etc/cairn/cairn.toml") == "root:cairn 640"
    assert _stat(host, KEYS) == "root:root 700"
    modes = set(host.check_output(f"stat -c '%U %a' {KEYS}/*").splitlines())
    assert modes == {"root 600"}


@pytest.mark.parametrize("user", ["cairn", "cairn-web", "cairn-miner", "deploy", "nobody"])
def test_no_service_user_reads_a_key_file(host: LabHost, user: str) -> None:
    for name in host.check_output(f"ls {KEYS}").split():
        done = host.run(f"runuser -u {user} -- cat {KEYS}/{name}")
        assert done.code != 0
        assert "Permission denied" in done.output


def test_the_web_tier_does_not_see_the_listeners_credentials(host: LabHost) -> None:
    done = host.run("runuser -u cairn-web -- ls /run/credentials/cairn-listener.service")
    assert done.code != 0


@pytest.mark.parametrize("user", ["cairn", "cairn-web", "cairn-miner", "cairn-migrate"])
def test_service_users_cannot_log_in(host: LabHost, user: str) -> None:
    assert host.check_output(f"getent passwd {user}").endswith("nologin")
    assert host.check_output(f"passwd --status {user}").split()[1] == "L"


@pytest.mark.parametrize("user", ["cairn", "cairn-web", "cairn-miner"])
def test_services_cannot_change_the_code_they_run(host: LabHost, user: str) -> None:
    for path in (
        "/srv/cairn",
        "/srv/cairn/releases",
        "/srv/cairn/current/",
        "/usr/local/lib/cairn",
    ):
        done = host.run(f"runuser -u {user} -- test -w {path}")
        assert done.code == 1, path


def test_the_deploy_user_may_do_one_thing_as_root(host: LabHost) -> None:
    lines = host.check_output("sudo -l -U deploy").splitlines()
    allowed = [line.strip() for line in lines if line.strip().startswith("(")]
    assert allowed == ["(root) NOPASSWD: /usr/bin/systemctl start cairn-activate.service"]
    assert host.run("runuser -u deploy -- sudo -n true").code != 0


def test_the_hooks_are_not_the_deploy_users(host: LabHost) -> None:
    listed = host.check_output("find /usr/local/lib/cairn ! -user root -o -perm /022 ! -type l")
    assert listed == ""


def test_a_certificate_that_fits_no_more_is_renewed_by_its_unit(host: LabHost) -> None:
    own = "/etc/ssl/cairn/own"
    before = host.check_output(f"readlink {own}")
    host.check_output(f"echo another > {own}/names; systemctl start proxy-certificate.service")
    assert host.check_output(f"readlink {own}") != before
    assert host.address in host.check_output(f"cat {own}/names")
    assert host.check_output("systemctl is-enabled proxy-certificate.timer") == "enabled"

"""sshd as it decides, not as its files read."""

import pytest
from testinfra.host import Host


def _effective(host: Host) -> dict[str, str]:
    lines = host.check_output("sshd -T").splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("passwordauthentication", "no"),
        ("kbdinteractiveauthentication", "no"),
        ("permitemptypasswords", "no"),
        ("pubkeyauthentication", "yes"),
        ("x11forwarding", "no"),
        ("allowagentforwarding", "no"),
        ("allowtcpforwarding", "local"),
        ("gatewayports", "no"),
    ],
)
def test_sshd_takes_keys_only(host: Host, setting: str, value: str) -> None:
    assert _effective(host)[setting] == value


def test_root_logs_in_by_no_password(host: Host) -> None:
    allowed = ("no", "prohibit-password", "without-password")
    assert _effective(host)["permitrootlogin"].lower() in allowed

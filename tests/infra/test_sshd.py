"""sshd as it decides, not as its files read."""

import pytest

from tests.support.lab import LabHost


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("passwordauthentication", "no"),
        ("kbdinteractiveauthentication", "no"),
        ("permitemptypasswords", "no"),
        ("pubkeyauthentication", "yes"),
        ("x11forwarding", "no"),
        ("allowagentforwarding", "no"),
    ],
)
def test_sshd_takes_keys_only(host: LabHost, setting: str, value: str) -> None:
    effective = dict(
        line.split(" ", 1) for line in host.check_output("sshd -T").splitlines() if " " in line
    )
    assert effective[setting] == value


def test_root_logs_in_by_no_password(host: LabHost) -> None:
    effective = host.check_output("sshd -T | grep -i ^permitrootlogin").split()[1]
    assert effective in ("no", "prohibit-password", "without-password")

"""Users: what they may become, and what they may not."""

import pytest
from testinfra.host import Host

SERVICE_USERS = ("cairn", "cairn-web", "cairn-miner", "cairn-migrate")


@pytest.mark.parametrize("name", SERVICE_USERS)
def test_service_users_cannot_log_in(host: Host, name: str) -> None:
    user = host.user(name)
    assert user.shell.endswith("nologin")
    assert host.check_output("passwd --status %s", name).split()[1] == "L"


@pytest.mark.parametrize("name", SERVICE_USERS)
def test_service_users_have_a_group_of_their_own_and_the_common_one(host: Host, name: str) -> None:
    user = host.user(name)
    assert user.group == name
    assert set(user.groups) == {name, "cairn"}


def test_the_deploy_user_may_do_one_thing_as_root(host: Host) -> None:
    lines = host.check_output("sudo -l -U deploy").splitlines()
    allowed = [line.strip() for line in lines if line.strip().startswith("(")]
    assert allowed == ["(root) NOPASSWD: /usr/bin/systemctl start cairn-activate.service"]
    assert host.run("runuser -u deploy -- sudo -n true").rc != 0

"""What the operator plays after the installation: a new release, the way back, new keys."""

import pytest

from tests.support.lab import Lab, play
from tests.support.polling import wait_until
from tests.support.releases import Clone, all_watched, commit_of, release_of


def _played(*words: str) -> str:
    done = play(*words)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return done.stdout


def test_a_release_is_rolled_out_and_back_and_no_client_notices(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clone = Clone(lab["node1"], tmp_path_factory.mktemp("deploy") / "clone")
    before = {host.name: release_of(host) for host in lab.hosts}
    old = {host.name: commit_of(host) for host in lab.hosts}
    commit = clone.commit({"README.md": clone.read("README.md") + "\nDeployed.\n"})

    with all_watched(lab.hosts):
        _played("playbooks/deploy.yml", "-e", f"git_remote_source={clone.folder}")
    assert {commit_of(host) for host in lab.hosts} == {commit}
    lab.agree()

    with all_watched(lab.hosts):
        _played("playbooks/rollback.yml")
    assert {host.name: release_of(host) for host in lab.hosts} == before
    assert {host.name: commit_of(host) for host in lab.hosts} == old
    for host in lab.hosts:
        # The branch follows, so that the next push is a fast-forward.
        branch = "git -C /srv/cairn/repo.git rev-parse refs/heads/main"
        assert host.check_output(f"runuser -u deploy -- {branch}") == old[host.name]
    lab.agree()


def test_a_node_with_a_new_key_is_known_to_all_others(lab: Lab) -> None:
    keys = "/etc/cairn/keys"
    before = lab["node3"].check_output(f"sha256sum {keys}/*")

    _played("playbooks/rotate-keys.yml", "-e", "host=node3", "-e", "kind=curve")

    after = lab["node3"].check_output(f"sha256sum {keys}/*")
    assert before != after
    assert set(lab["node3"].check_output(f"stat -c '%U %a' {keys}/*").splitlines()) == {"root 600"}

    def is_connected() -> bool:
        found = [host.status() for host in lab.hosts]
        return all(one and one["peers"]["connected"] == len(lab.hosts) - 1 for one in found)

    wait_until(
        is_connected,
        90,
        "every node is connected to all others",
        lambda: {host.name: host.status() for host in lab.hosts},
    )
    lab.agree()


def test_new_keys_are_of_a_kind_that_is_named(lab: Lab) -> None:
    before = {host.name: host.check_output("sha256sum /etc/cairn/keys/*") for host in lab.hosts}
    done = play("playbooks/rotate-keys.yml", "-e", "host=node3", "-e", "kind=all")
    assert done.returncode != 0
    assert "name a kind" in done.stdout
    assert before == {
        host.name: host.check_output("sha256sum /etc/cairn/keys/*") for host in lab.hosts
    }

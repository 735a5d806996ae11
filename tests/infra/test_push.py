"""Deploying by `git push`: what is taken, what is refused or rolled back, and in which words.

Every push goes to node2, from a clone of the commit that it runs; the last test brings it back
to where the others are.
"""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.lab import Lab, LabHost
from tests.support.polling import wait_until
from tests.support.releases import (
    DEPLOY_SSH,
    Clone,
    Pushed,
    commit_of,
    release_of,
    watched,
)


@pytest.fixture(scope="module")
def node(lab: Lab) -> LabHost:
    return lab["node2"]


@pytest.fixture(scope="module")
def module_clone(node: LabHost, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return Clone(node, tmp_path_factory.mktemp("push") / "clone")


@pytest.fixture
def clone(module_clone: Clone) -> Clone:
    module_clone.reset()
    return module_clone


@contextmanager
def nothing_changes(clone: Clone) -> Iterator[None]:
    """The old release serves all the time, and the branch is where it was."""
    before = release_of(clone.host), clone.remote()
    with watched(clone.host):
        yield
    assert (release_of(clone.host), clone.remote()) == before
    assert clone.host.is_ready()


def test_a_good_commit_deploys_and_no_client_notices(clone: Clone) -> None:
    commit = clone.commit({"README.md": clone.read("README.md") + "\nPushed.\n"})
    with watched(clone.host):
        done = clone.push()
    assert done.returncode == 0, done.stdout
    assert f"DEPLOYED {commit[:12]}" in done.stdout, done.stdout
    assert commit_of(clone.host) == commit == clone.remote()
    assert clone.host.is_ready()


def test_a_commit_that_does_not_build_is_refused(clone: Clone) -> None:
    clone.commit({"requirements/mysql.txt": "no-such-package==1.0 --hash=sha256:" + "0" * 64})
    with nothing_changes(clone):
        done = clone.push()
    assert done.returncode != 0
    assert "REFUSED: it cannot be built" in done.stdout, done.stdout


def test_a_commit_that_fails_its_self_check_is_refused(clone: Clone) -> None:
    name = "node/cairn/consensus/proof_of_work.py"
    clone.commit({name: clone.read(name) + '\nraise RuntimeError("spoilt by the lab")\n'})
    with nothing_changes(clone):
        done = clone.push()
    assert done.returncode != 0
    assert "REFUSED: its self-check failed" in done.stdout, done.stdout
    assert "spoilt by the lab" in done.stdout


def test_a_commit_that_starts_unhealthy_is_rolled_back(clone: Clone) -> None:
    # The self-check does not start services: this shows only when the listener runs.
    name = "node/cairn/services/listener/__init__.py"
    broken = (
        '\n\ndef main(arguments: list[str] | None = None) -> int:\n    """Ends."""\n    return 1\n'
    )
    clone.commit({name: clone.read(name) + broken})
    before = release_of(clone.host), clone.remote()
    with watched(clone.host):
        done = clone.push()
    assert "NOT DEPLOYED" in done.stdout, done.stdout
    assert (release_of(clone.host), clone.remote()) == before
    wait_until(clone.host.is_ready, 60, "the old release is ready again")


def test_another_branch_is_refused(clone: Clone) -> None:
    clone.commit({})
    with nothing_changes(clone):
        done = clone.push("HEAD:side")
    assert done.returncode != 0
    assert "only the branch main is deployed here" in done.stdout


def test_a_force_push_is_refused(clone: Clone) -> None:
    clone.git("reset", "-q", "--hard", "HEAD~1")
    clone.commit({})
    with nothing_changes(clone):
        done = clone.push("--force", "HEAD:main")
    assert done.returncode != 0
    assert "no force push is taken" in done.stdout


def test_deleting_the_branch_is_refused(clone: Clone) -> None:
    with nothing_changes(clone):
        done = clone.push(":main")
    assert done.returncode != 0
    assert "is not deleted" in done.stdout, done.stdout


def test_a_second_push_meanwhile_fails_fast_and_says_who_has_the_lock(clone: Clone) -> None:
    commit = clone.commit({})
    first: list[Pushed] = []
    thread = threading.Thread(target=lambda: first.append(clone.push()))
    thread.start()
    try:
        held = "python3 -c 'import json;print(len(json.load(open(\"/srv/cairn/push.lock\"))))'"
        wait_until(
            lambda: clone.host.run(held).output not in ("", "0"), 30, "the first has the lock"
        )
        second = clone.push()
    finally:
        thread.join()
    assert second.returncode != 0
    assert "lab" in second.stdout
    assert "is deploying here since" in second.stdout
    assert f"DEPLOYED {commit[:12]}" in first[0].stdout, first[0].stdout
    assert commit_of(clone.host) == commit


def test_the_deploy_key_opens_no_shell(node: LabHost) -> None:
    for command in ([], ["id"], ["cat /etc/passwd"]):
        done = subprocess.run(
            [*DEPLOY_SSH.split(), f"deploy@{node.address}", *command],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=30,
            check=False,
        )
        assert done.returncode != 0
        assert "and nothing else" in done.stderr


def test_good_releases_are_kept_for_a_way_back(node: LabHost) -> None:
    good = node.check_output("ls -d /srv/cairn/releases/*/.good").splitlines()
    assert 2 <= len(good) <= 5
    before = release_of(node)
    told = node.check_output("runuser -u deploy -- /usr/local/lib/cairn/rollback", 120)
    assert release_of(node) != before, told
    wait_until(node.is_ready, 60, "the release before is ready")

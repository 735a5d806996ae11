"""The lab for a whole test run: the one that is up, or one built and destroyed around it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from testinfra.host import Host

from tests.support.lab import ROOT, Lab, LabHost, Played, play, read_hosts
from tools.lab import commands, machine

NAMES = ("node1", "node2", "node3")
# What only looks at the hosts as the playbook left them goes first, what hurts them last.
LAST = (
    "test_play_again",
    "test_certificate",
    "test_proxy",
    "test_acme",
    "test_playbooks",
    "test_push",
    "test_faults",
    "test_remove",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.path.is_relative_to(ROOT / "tests" / "infra")]
    reason = machine.why_not()
    for item in ours:
        item.add_marker(pytest.mark.lab)
        item.add_marker(pytest.mark.timeout(900))
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
    ours.sort(key=lambda item: LAST.index(item.path.stem) if item.path.stem in LAST else -1)
    # After all others: those need not share the processors with three mining hosts.
    items[:] = [item for item in items if item not in set(ours)] + ours


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Iterator[Lab]:
    was_up = commands.is_up()
    if not was_up:
        command = [sys.executable, str(ROOT / "dev"), "lab", "up"]
        capture = pytestconfig.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():  # minutes, so one sees how far it is
            print(flush=True)
            done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            pytest.fail(f"./dev lab up ended with {done.returncode}; its words are above")
    try:
        yield Lab(read_hosts())
    finally:
        if not was_up and not os.environ.get("CAIRN_LAB_KEEP"):
            command = [sys.executable, str(ROOT / "dev"), "lab", "down"]
            subprocess.run(command, capture_output=True, check=False)


@pytest.fixture(scope="session", autouse=True)
def dry_run(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Future[Played]]:
    """A play that changes nothing, if one of the chosen tests judges it: a minute and a half, in
    which others look at the hosts."""
    with ThreadPoolExecutor(1) as background:
        if any(item.get_closest_marker("dry_run") for item in request.session.items):
            yield background.submit(play, "playbooks/site.yml", "--check", "--diff")
        else:
            undone: Future[Played] = Future()
            undone.set_exception(RuntimeError("no test with the mark dry_run was chosen"))
            yield undone


@pytest.fixture(params=NAMES)
def node(request: pytest.FixtureRequest, lab: Lab) -> LabHost:
    """Each host in turn, to act on."""
    return lab[request.param]


@pytest.fixture
def host(node: LabHost) -> Host:
    """Each host in turn, to be looked at."""
    return node.inside

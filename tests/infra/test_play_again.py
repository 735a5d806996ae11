"""The play over hosts that it has already made."""

import re
from concurrent.futures import Future

import pytest

from tests.support.lab import Lab, Played, play

_RECAP = re.compile(
    r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE
)


def _recap(text: str) -> dict[str, tuple[int, int, int]]:
    """Changed, unreachable, failed by host."""
    found = _RECAP.findall(text)
    return {name: (int(a), int(b), int(c)) for name, _, a, b, c in found}


def _changed(text: str) -> str:
    return "\n".join(re.findall(r"TASK \[[^\n]*\n(?:(?!TASK)[^\n]*\n)*?changed:[^\n]*", text))


@pytest.mark.dry_run
def test_a_dry_run_succeeds_and_would_change_nothing(lab: Lab, dry_run: Future[Played]) -> None:
    done = dry_run.result()
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert _recap(done.stdout) == {host.name: (0, 0, 0) for host in lab.hosts}, _changed(
        done.stdout
    )


def test_a_second_run_changes_nothing(lab: Lab) -> None:
    done = play("playbooks/site.yml")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert _recap(done.stdout) == {host.name: (0, 0, 0) for host in lab.hosts}, _changed(
        done.stdout
    )


def test_the_status_table_names_every_host(lab: Lab) -> None:
    done = play("playbooks/status.yml")
    assert done.returncode == 0, done.stdout[-3000:]
    for host in lab.hosts:
        assert host.name in done.stdout

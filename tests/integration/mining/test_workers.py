"""Workers of both kinds with real threads and processes."""

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from cairn.mining.effort import Effort
from cairn.mining.native import KernelUnavailable, load_native_kernel
from cairn.mining.workers import (
    NONCES_PER_WORKER,
    Found,
    Job,
    ProcessWorkers,
    ThreadWorkers,
    Workers,
    start_workers,
)
from tests.support.ipc import wait_until

HEADER = bytes(range(96))
EASY = 2**244
IMPOSSIBLE = 1

Make = Callable[[int], Workers]


@pytest.fixture(params=["threads", "processes"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    made: list[Workers] = []
    if request.param == "threads" and shutil.which("cc") is None:
        pytest.skip("no C compiler (cc) here")

    def start(count: int) -> Workers:
        if request.param == "threads":
            kernel = load_native_kernel({"CACHE_DIRECTORY": str(tmp_path)})
            workers: Workers = ThreadWorkers(count, kernel)
        else:
            workers = ProcessWorkers(count)
        made.append(workers)
        return workers

    yield start
    for workers in made:
        workers.close()


def wait_found(workers: Workers, job: int = 1, seconds: float = 30.0) -> Found:
    """The first answer to `job`; a worker may have answered an older one meanwhile."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        select.select(workers.descriptors(), [], [], 1.0)
        for found in workers.take_found():
            if found.job == job:
                return found
    raise AssertionError("nothing was found in time")


def meets(header: bytes, nonce: int, target: int) -> bool:
    whole = header[:88] + nonce.to_bytes(8, "big")
    return int.from_bytes(sha256(sha256(whole).digest()).digest(), "big") <= target


def test_finds_solving_nonces_one_job_after_another(make: Make) -> None:
    workers = make(2)
    for number in range(1, 20):
        header = bytes([number]) * 96
        workers.search(Job(number, header, EASY))
        found = wait_found(workers, number)
        assert meets(header, found.nonce, EASY)
        assert found.nonce % NONCES_PER_WORKER < 2**40


def test_new_job_takes_the_place_of_a_hopeless_one_at_once(make: Make) -> None:
    workers = make(2)
    workers.search(Job(1, HEADER, IMPOSSIBLE))
    wait_until(lambda: workers.take_found() == [] and workers.hashes_per_second() > 0)
    began = time.monotonic()
    workers.search(Job(2, HEADER, 2**255))
    wait_found(workers, 2)
    assert time.monotonic() - began < 2.0


def test_rate_is_measured_while_working_and_zero_at_rest(make: Make) -> None:
    workers = make(1)
    assert workers.hashes_per_second() == 0
    workers.search(Job(1, HEADER, IMPOSSIBLE))
    wait_until(lambda: workers.take_found() == [] and workers.hashes_per_second() > 10_000)
    workers.rest()
    assert workers.hashes_per_second() == 0
    assert workers.take_found() == []


def test_search_begins_at_the_given_nonce(make: Make) -> None:
    workers = make(1)
    workers.search(Job(1, HEADER, 2**255, first_nonce=5_000))
    assert 5_000 <= wait_found(workers).nonce < 5_100


def test_worker_processes_end_with_their_parent_even_when_it_is_killed() -> None:
    script = (
        "import sys, time\n"
        "from cairn.mining.workers import ProcessWorkers, Job\n"
        "w = ProcessWorkers(2)\n"
        "w.search(Job(1, bytes(96), 1))\n"
        "print(*(p.pid for p in w._processes), flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    children = [int(text) for text in parent.stdout.readline().split()]
    assert len(children) == 2
    assert all(is_running(pid) for pid in children)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not any(is_running(pid) for pid in children), 10)


def test_dead_worker_process_is_told_of() -> None:
    workers = ProcessWorkers(2)
    try:
        workers.search(Job(1, HEADER, IMPOSSIBLE))
        workers._processes[1].kill()
        with pytest.raises(OSError, match="worker ended"):
            wait_found(workers)
    finally:
        workers.close()


def test_falls_back_to_processes_and_says_why() -> None:
    def unavailable() -> object:
        raise KernelUnavailable("there is no C compiler")

    reasons: list[str] = []
    workers = start_workers(1, unavailable, reasons.append)  # type: ignore[arg-type]
    try:
        assert workers.kernel_name == "pure Python"
        assert reasons == ["there is no C compiler"]
        workers.search(Job(1, HEADER, EASY))
        assert meets(HEADER, wait_found(workers).nonce, EASY)
    finally:
        workers.close()


@pytest.mark.parametrize("count", [0, 257])
def test_number_of_workers_is_bounded(count: int) -> None:
    with pytest.raises(ValueError, match="256"):
        start_workers(count)


def test_effort_starts_workers_for_hard_headers_only_and_ends_them_when_idle(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path))
    started: list[str] = []
    effort = Effort(1, lambda kernel, _: started.append(kernel), idle_seconds=0.0)
    effort.search(HEADER, 2**255)
    nonce = effort.take_nonce()
    assert nonce is not None
    assert meets(HEADER, nonce, 2**255)
    assert started == []
    assert effort.descriptors() == []

    effort.search(HEADER, 2**240)
    assert len(started) == 1
    wait_until(lambda: (found := effort.take_nonce()) and meets(HEADER, found, 2**240), 30)
    effort.rest()
    wait_until(lambda: effort.is_working() and effort.descriptors() == [])
    effort.close()


def test_effort_forgets_what_was_found_for_a_dropped_search(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path))
    effort = Effort(1)
    try:
        effort.search(HEADER, 2**240)
        wait_until(lambda: select.select(effort.descriptors(), [], [], 0)[0], 30)
        effort.search(HEADER, IMPOSSIBLE)
        assert effort.take_nonce() is None
        wait_until(lambda: effort.hashes_per_second() > 0)
        assert effort.is_working()
        effort.search(HEADER, 2**255)
        effort.rest()
        assert effort.take_nonce() is None
        assert effort.hashes_per_second() == 0
    finally:
        effort.close()


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"

"""Workers that search one header together: threads with the native kernel, else processes.

The native kernel frees the interpreter lock, so its threads use every core at hardly any
memory. The pure one needs processes for that. Both start with the first job.
"""

import os
import selectors
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from cairn.mining.native import KernelUnavailable, NativeKernel, load_native_kernel
from cairn.mining.worker import FIRST_SLICE, JOB, REPORT, next_slice

NONCES_PER_WORKER = 2**56
"""Worker i searches from i · 2^56, so up to 256 workers never meet."""
MAX_WORKERS = 256
RATE_WINDOW_SECONDS = 10.0
STOP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """A header to solve."""

    number: int
    """1 or more; a greater number for each new job."""
    header: bytes
    """96 bytes; the nonce in it does not matter."""
    target: int
    first_nonce: int = 0
    """Where worker 0 begins."""


@dataclass(frozen=True, slots=True)
class Found:
    """A nonce that solves a job."""

    job: int
    nonce: int


class Workers(Protocol):
    """What the miner needs of workers. For one thread."""

    kernel_name: str

    def search(self, job: Job) -> None:
        """Starts on `job`, dropping what was under way."""

    def rest(self) -> None:
        """Drops what is under way."""

    def take_found(self) -> list[Found]:
        """What was found since the last call, jobs that were dropped meanwhile included."""

    def descriptors(self) -> list[int]:
        """Descriptors that can be read when `take_found` should be called."""

    def hashes_per_second(self) -> int:
        """The rate over the last seconds of work; 0 while resting."""

    def close(self) -> None:
        """Ends the workers."""


def start_workers(
    count: int,
    load_kernel: Callable[[], NativeKernel] = load_native_kernel,
    on_fallback: Callable[[str], None] = lambda reason: None,
) -> Workers:
    """`count` workers (1 … 256). `on_fallback` hears why they are not native, if so."""
    if not 1 <= count <= MAX_WORKERS:
        raise ValueError(f"from 1 to {MAX_WORKERS} workers, got {count}")
    try:
        return ThreadWorkers(count, load_kernel())
    except KernelUnavailable as error:
        on_fallback(str(error))
        return ProcessWorkers(count)


class RateMeter:
    """Nonces per second over a sliding window of work."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()
        self._since: float | None = None

    def start(self) -> None:
        """Work begins, unless it has."""
        if self._since is None:
            self._samples.clear()
            self._since = monotonic()

    def stop(self) -> None:
        """Work ends: the rate is 0."""
        self._since = None

    def add(self, tried: int) -> None:
        """So many nonces were tried up to now."""
        now = monotonic()
        self._samples.append((now, tried))
        while self._samples and self._samples[0][0] < now - RATE_WINDOW_SECONDS:
            self._samples.popleft()

    def rate(self) -> int:
        """Nonces per second."""
        if self._since is None:
            return 0
        now = monotonic()
        seconds = min(now - self._since, RATE_WINDOW_SECONDS)
        begin = now - RATE_WINDOW_SECONDS
        return int(sum(n for at, n in list(self._samples) if at >= begin) / max(seconds, 0.05))


class ThreadWorkers:
    """Threads of this process, each calling the native kernel a slice at a time."""

    def __init__(self, count: int, kernel: NativeKernel) -> None:
        self.kernel_name = kernel.name
        self._kernel = kernel
        self._job: Job | None = None
        self._generation = 0
        self._closed = False
        self._found: deque[Found] = deque()
        self._meter = RateMeter()
        self._changed = threading.Condition()
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._threads = [
            threading.Thread(target=self._work, args=(index,), name=f"search-{index}", daemon=True)
            for index in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def search(self, job: Job) -> None:
        """See Workers."""
        self._order(job)

    def rest(self) -> None:
        """See Workers."""
        self._order(None)

    def take_found(self) -> list[Found]:
        """See Workers."""
        try:
            os.read(self._reader, 4096)
        except BlockingIOError:
            return []
        found = []
        while self._found:
            found.append(self._found.popleft())
        return found

    def descriptors(self) -> list[int]:
        """See Workers."""
        return [self._reader]

    def hashes_per_second(self) -> int:
        """See Workers."""
        with self._changed:
            return self._meter.rate()

    def close(self) -> None:
        """See Workers."""
        with self._changed:
            self._closed = True
            self._generation += 1
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(STOP_SECONDS)
        os.close(self._reader)
        os.close(self._writer)

    def _order(self, job: Job | None) -> None:
        with self._changed:
            self._job = job
            self._generation += 1
            if job is None:
                self._meter.stop()
            else:
                self._meter.start()
            self._changed.notify_all()

    def _work(self, index: int) -> None:
        """One thread: a slice of the job, then a look whether it is still wanted."""
        generation, size, job, nonce = 0, FIRST_SLICE, None, 0
        while True:
            with self._changed:
                while self._generation == generation and job is None and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                if self._generation != generation:
                    generation, job = self._generation, self._job
                    nonce = first_nonce_of(job, index) if job else 0
            if job is None:
                continue
            began = monotonic()
            found = self._kernel.search(job.header, job.target, nonce, size)
            seconds = monotonic() - began
            tried = size if found is None else found - nonce + 1
            nonce += tried
            with self._changed:
                self._meter.add(tried)
                if found is not None and not self._closed:
                    self._found.append(Found(job.number, found))
                    os.write(self._writer, b"x")
            if found is None:
                size = next_slice(size, seconds)
            else:
                job = None


class ProcessWorkers:
    """Processes of `cairn.mining.worker`, tied to this one by their pipes."""

    kernel_name = "pure Python"

    def __init__(self, count: int) -> None:
        self._meter = RateMeter()
        self._selector = selectors.DefaultSelector()
        self._processes: list[subprocess.Popen[bytes]] = []
        for _ in range(count):
            process = subprocess.Popen(
                [sys.executable, "-m", "cairn.mining.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
            )
            self._processes.append(process)
            if process.stdout is not None:
                self._selector.register(process.stdout, selectors.EVENT_READ)
        self._job = 0

    def search(self, job: Job) -> None:
        """See Workers. Raises OSError when a worker has died."""
        self._job = job.number
        self._meter.start()
        for index, process in enumerate(self._processes):
            nonce = first_nonce_of(job, index)
            self._order(
                process, JOB.pack(job.number, job.header, job.target.to_bytes(32, "big"), nonce)
            )

    def rest(self) -> None:
        """See Workers. Raises OSError when a worker has died."""
        if self._job:
            self._job = 0
            self._meter.stop()
            for process in self._processes:
                self._order(process, JOB.pack(0, b"", b"", 0))

    def take_found(self) -> list[Found]:
        """See Workers. Raises OSError when a worker has died."""
        found = []
        for key, _ in self._selector.select(0):
            record = os.read(key.fd, REPORT.size)  # written in one piece, so read in one
            if len(record) != REPORT.size:
                raise BrokenPipeError("a search worker ended")
            job, tried, is_found, nonce = REPORT.unpack(record)
            if job == self._job:
                self._meter.add(tried)
            if is_found:
                found.append(Found(job, nonce))
        return found

    def descriptors(self) -> list[int]:
        """See Workers."""
        return [int(key.fd) for key in self._selector.get_map().values()]

    def hashes_per_second(self) -> int:
        """See Workers."""
        return self._meter.rate()

    def close(self) -> None:
        """See Workers."""
        self._selector.close()
        for process in self._processes:
            if process.stdin is not None:
                process.stdin.close()
            if process.stdout is not None:
                process.stdout.close()
        for process in self._processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @staticmethod
    def _order(process: "subprocess.Popen[bytes]", record: bytes) -> None:
        if process.stdin is not None:
            process.stdin.write(record)  # far below a pipe's capacity: a worker reads each slice


def first_nonce_of(job: Job, index: int) -> int:
    """Where worker `index` begins with `job`."""
    return index * NONCES_PER_WORKER + (job.first_nonce if index == 0 else 0)

"""One worker process of the pure kernel: `python -m cairn.mining.worker`.

It reads jobs on stdin and reports on stdout, both in records of fixed size. A new job (or
job 0: rest) takes effect within a slice. It ends with its stdin, hence with its parent,
however that ended. It imports nothing it does not need.
"""

import os
import select
import signal
import struct
import time

from cairn.mining.kernel import HEADER_BYTES, search

JOB = struct.Struct(f">Q{HEADER_BYTES}s32sQ")
"""Job number (0: rest), header, target, first nonce."""
REPORT = struct.Struct(">QQBQ")
"""Job number, nonces tried since the last report, whether one was found, the nonce."""
SLICE_SECONDS = 0.02
"""How long a search goes on before new orders are looked at."""
REPORT_SECONDS = 0.5
FIRST_SLICE = 2_000
MAX_SLICE = 50_000_000


def next_slice(count: int, seconds: float) -> int:
    """How many nonces to try next, after `count` took so long, to fill SLICE_SECONDS."""
    fitting = count * SLICE_SECONDS / max(seconds, 1e-6)
    return int(min(max(fitting, count / 4, 100), count * 4, MAX_SLICE))


class _State:
    """No dataclass: their module would be a third of this process's memory."""

    __slots__ = ("header", "job", "nonce", "reported_at", "target", "tried")

    def __init__(self) -> None:
        self.job = 0
        self.header = b""
        self.target = 1
        self.nonce = 0
        self.tried = 0
        self.reported_at = 0.0


def main() -> None:
    """Works until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to obey
    state, size = _State(), FIRST_SLICE
    try:
        while _take_orders(state):
            began = time.monotonic()
            found = search(state.header, state.target, state.nonce, size)
            now = time.monotonic()
            tried = size if found is None else found - state.nonce + 1
            state.nonce += tried
            state.tried += tried
            if found is not None or now - state.reported_at >= REPORT_SECONDS:
                _report(state, found, now)
            if found is None:
                size = next_slice(size, now - began)
            else:
                state.job = 0
    except (BrokenPipeError, EOFError):
        pass


def _take_orders(state: _State) -> bool:
    """Takes the newest job; waits while there is none. False when the parent is gone."""
    while state.job == 0 or select.select([0], [], [], 0)[0]:
        record = _read_record()
        if record is None:
            return False
        state.job, state.header, target, state.nonce = JOB.unpack(record)
        state.target = int.from_bytes(target, "big")
        state.tried = 0
        state.reported_at = time.monotonic()
    return True


def _read_record() -> bytes | None:
    record = b""
    while len(record) < JOB.size:
        part = os.read(0, JOB.size - len(record))
        if not part:
            return None
        record += part
    return record


def _report(state: _State, found: int | None, now: float) -> None:
    record = REPORT.pack(state.job, state.tried, found is not None, found or 0)
    state.tried = 0
    state.reported_at = now
    os.write(1, record)  # shorter than PIPE_BUF: whole or not at all


if __name__ == "__main__":
    main()

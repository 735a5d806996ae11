"""The last lines of the listener's log, kept in memory for the operator's page."""

import logging
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from cairn.ipc.messages import MAX_LOG_LINES, LogLine
from cairn.services.logs import sentence

LOG_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
"""What can be asked for, with the least severe record it stands for."""
MAX_LINE_CHARACTERS = 1_000

_PASSWORD = re.compile(r"(://[^\s:/@]*):[^\s/@]+@")
"""Of a URL. Nothing logs one on purpose; a library's message might hold one."""


class RecentLog(logging.Handler):
    """Keeps the last MAX_LOG_LINES records as text. For any thread."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._kept: deque[tuple[int, LogLine]] = deque(maxlen=MAX_LOG_LINES)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """In its body everything that the log takes is kept as well."""
        root = logging.getLogger()
        root.addHandler(self)
        try:
            yield
        finally:
            root.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps the record; one that cannot be written is left out."""
        try:
            text = _PASSWORD.sub(r"\1:…@", sentence(record))
        except Exception:  # noqa: BLE001 - arguments that do not fit their message
            self.handleError(record)
            return
        if len(text) > MAX_LINE_CHARACTERS:
            text = text[:MAX_LINE_CHARACTERS] + "…"
        line = LogLine(int(record.created * 1_000), record.levelname.lower(), text)
        self._kept.append((record.levelno, line))

    def lines(self, level: str, limit: int) -> list[LogLine]:
        """The latest `limit` lines of this level of LOG_LEVELS and above, oldest first."""
        least = LOG_LEVELS[level]
        self.acquire()
        try:
            found = [line for number, line in self._kept if number >= least]
        finally:
            self.release()
        return found[-limit:]

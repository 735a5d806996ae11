"""Logging for people (text), for programs (JSON lines) and for systemd's journal.

An event is a constant message and named values: `log_event(logger, "block connected",
height=7)`. Values may come from anybody, so control characters never reach the log as such.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from typing import TextIO

from cairn.config import LogSection

_FIELDS = "cairn_fields"
_MAX_VALUE_CHARACTERS = 2_000
_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.NOTSET, 7),
)
"""Lowest logging level of each syslog priority."""


def log_event(
    logger: logging.Logger, message: str, /, *, level: int = logging.INFO, **values: object
) -> None:
    """Logs `message` with named values; bytes are shown as hex, None is left out."""
    if logger.isEnabledFor(level):
        shown = {name: _plain(value) for name, value in values.items() if value is not None}
        logger.log(level, "%s", message, extra={_FIELDS: shown}, stacklevel=2)


def setup_logging(section: LogSection, stream: TextIO | None = None) -> None:
    """Sends everything logged to `stream` (default stderr) in the form `section` asks for."""
    stream = sys.stderr if stream is None else stream
    form = section.format
    if form == "auto":
        form = "journal" if is_journal(stream) else "text"
    formatter = {"text": TextFormatter, "json": JsonFormatter, "journal": JournalFormatter}[form]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(section.level.upper())
    logging.getLogger("alembic").setLevel(logging.WARNING)  # its steps are of no interest here
    logging.raiseExceptions = False  # a log that cannot be written must not spill over


def is_journal(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether `stream` goes to systemd's journal, as JOURNAL_STREAM (device:inode) tells."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    if journal := environment.get("JOURNAL_STREAM"):
        return journal == f"{status.st_dev}:{status.st_ino}"
    return "NOTIFY_SOCKET" in environment and not stream.isatty()


class TextFormatter(logging.Formatter):
    """`2026-01-31 12:00:00.123 info  block connected height=7`, local time."""

    def format(self, record: logging.LogRecord) -> str:
        """One record; a traceback follows on lines of its own, indented."""
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        head = f"{moment}.{int(record.msecs):03d} {record.levelname.lower():<7} "
        trace = _traceback(self, record)
        return head + sentence(record) + "".join(f"\n    {line}" for line in trace)


class JournalFormatter(logging.Formatter):
    """`<6>block connected height=7`; the journal knows the time, and takes each line apart."""

    def format(self, record: logging.LogRecord) -> str:
        """One record; every line of it carries the priority."""
        priority = next(number for level, number in _PRIORITIES if record.levelno >= level)
        lines = [sentence(record), *_traceback(self, record)]
        return "\n".join(f"<{priority}>{line}" for line in lines)


class JsonFormatter(logging.Formatter):
    """One object a line: time (UTC), level, logger, message, then the event's values."""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in getattr(record, _FIELDS, {}).items():
            line.setdefault(name, value)
        if trace := _traceback(self, record):
            line["traceback"] = "\n".join(trace)
        return json.dumps(line)


def sentence(record: logging.LogRecord) -> str:
    """The record in one line: its message, then its values as `name=value`."""
    values = getattr(record, _FIELDS, {})
    words = [_printable(record.getMessage())]
    words += [f"{name}={_quoted(value)}" for name, value in values.items()]
    return " ".join(words)


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    if not record.exc_info:
        return []
    return [_printable(line) for line in formatter.formatException(record.exc_info).splitlines()]


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if len(text) <= _MAX_VALUE_CHARACTERS else text[:_MAX_VALUE_CHARACTERS] + "…"


def _quoted(value: object) -> str:
    text = str(value)
    if text and text.isprintable() and not any(character in text for character in ' "=\\'):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _printable(text: str) -> str:
    """`text` with line breaks and other control characters written as escapes."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )

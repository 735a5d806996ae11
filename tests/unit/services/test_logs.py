"""The three forms of the log."""

import io
import json
import logging
import os
from collections.abc import Iterator

import pytest

from cairn.config import LogSection
from cairn.services.logs import is_journal, log_event, setup_logging

logger = logging.getLogger("cairn.test")


@pytest.fixture(autouse=True)
def root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = raises


def logged(form: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    setup_logging(LogSection(level, form), stream)
    return stream


def test_text_is_for_people() -> None:
    stream = logged("text")
    log_event(logger, "block connected", height=7, hash=b"\x00\xff", missing=None, note="a b")
    line = stream.getvalue()
    assert line.endswith(' info    block connected height=7 hash=00ff note="a b"\n')
    assert line[4] == line[7] == "-"


def test_json_is_one_object_a_line() -> None:
    stream = logged("json")
    log_event(logger, "block connected", level=logging.WARNING, height=7, hash=b"\xff", level_="x")
    log_event(logger, "second", message="not the message")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["message"] == "block connected"
    assert first["level"] == "warning"
    assert first["height"] == 7
    assert first["hash"] == "ff"
    assert first["time"].endswith("Z")
    assert second["message"] == "second"


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6),
     (logging.DEBUG, 7)],
)  # fmt: skip
def test_journal_lines_carry_their_priority(level: int, priority: int) -> None:
    stream = logged("journal", "debug")
    log_event(logger, "event", level=level, height=7)
    assert stream.getvalue() == f"<{priority}>event height=7\n"


def test_every_line_of_a_traceback_carries_the_priority() -> None:
    stream = logged("journal")
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        logger.exception("it failed")
    lines = stream.getvalue().splitlines()
    assert len(lines) > 3
    assert all(line.startswith("<3>") for line in lines)
    assert lines[-1] == "<3>second"


@pytest.mark.parametrize("form", ["text", "journal"])
def test_hostile_values_cannot_forge_lines_or_control_a_terminal(form: str) -> None:
    stream = logged(form)
    hostile = 'x"\n<2>forged\x1b[2J\u2028=\\ \ud800'
    log_event(logger, "peer said", text=hostile)
    logger.info("plain %s", hostile)
    lines = stream.getvalue().split("\n")
    assert len(lines) == 3
    assert "\x1b" not in stream.getvalue()
    assert "\u2028" not in stream.getvalue()


def test_long_values_are_cut() -> None:
    stream = logged("text")
    log_event(logger, "peer said", text="x" * 100_000)
    assert len(stream.getvalue()) < 3_000


def test_level_is_kept() -> None:
    stream = logged("text", "warning")
    log_event(logger, "quiet")
    log_event(logger, "loud", level=logging.WARNING)
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()


def test_journal_is_known_by_its_device_and_inode() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        status = os.fstat(writer)
        here = f"{status.st_dev}:{status.st_ino}"
        assert is_journal(stream, {"JOURNAL_STREAM": here})
        assert not is_journal(stream, {"JOURNAL_STREAM": "1:1", "NOTIFY_SOCKET": "/x"})
        assert is_journal(stream, {"NOTIFY_SOCKET": "/x"})
        assert not is_journal(stream, {})
    os.close(reader)
    assert not is_journal(io.StringIO(), {"NOTIFY_SOCKET": "/x"})

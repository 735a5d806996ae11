"""The last lines of the log, as the operator's page gets them."""

import logging
from collections.abc import Iterator

import pytest

from cairn.ipc.messages import MAX_LOG_LINES
from cairn.services.listener.recent import MAX_LINE_CHARACTERS, RecentLog
from cairn.services.logs import log_event

LOGGER = logging.getLogger("tests.recent")


@pytest.fixture
def recent(caplog: pytest.LogCaptureFixture) -> Iterator[RecentLog]:
    caplog.set_level(logging.DEBUG)
    kept = RecentLog()
    with kept.listening():
        yield kept


def texts(recent: RecentLog, level: str = "info", limit: int = MAX_LOG_LINES) -> list[str]:
    return [line.text for line in recent.lines(level, limit)]


def test_keeps_events_with_their_values_and_levels(recent: RecentLog) -> None:
    log_event(LOGGER, "block connected", height=7, hash=b"\x01\xff")
    log_event(LOGGER, "alert", level=logging.ERROR, code="disk-low")
    LOGGER.warning("%d peers", 3)
    LOGGER.debug("a detail")
    assert texts(recent) == [
        "block connected height=7 hash=01ff", "alert code=disk-low", "3 peers",
    ]  # fmt: skip
    assert texts(recent, "warning") == ["alert code=disk-low", "3 peers"]
    assert texts(recent, "error") == ["alert code=disk-low"]
    assert texts(recent, limit=1) == ["3 peers"]
    assert [line.level for line in recent.lines("info", 3)] == ["info", "error", "warning"]


def test_is_bounded_in_lines_and_in_their_length(recent: RecentLog) -> None:
    for number in range(MAX_LOG_LINES + 50):
        LOGGER.info("line %d", number)
    LOGGER.info("x" * 100_000)
    kept = texts(recent)
    assert len(kept) == MAX_LOG_LINES
    assert kept[0] == "line 51"
    assert len(kept[-1]) == MAX_LINE_CHARACTERS + 1


def test_lines_are_one_line_each_without_control_characters(recent: RecentLog) -> None:
    log_event(LOGGER, "peer connected", name="\x1b[31mred\nblock connected")
    (line,) = texts(recent)
    assert line.isprintable()


def test_a_password_in_a_url_is_not_kept(recent: RecentLog) -> None:
    log_event(LOGGER, "waiting", problem="mysql+mysqldb://cairn:s3cret@localhost/cairn is away")
    LOGGER.info("at %s", "https://:hunter2@example.net/")
    first, second = texts(recent)
    assert "s3cret" not in first
    assert "cairn:…@localhost/cairn" in first
    assert "hunter2" not in second


def test_a_message_that_cannot_be_written_is_left_out(recent: RecentLog) -> None:
    broken = logging.LogRecord("x", logging.INFO, "f", 1, "%d", ("no number",), None)
    before = logging.raiseExceptions
    logging.raiseExceptions = False
    try:
        recent.handle(broken)
    finally:
        logging.raiseExceptions = before
    assert texts(recent) == []


def test_stops_listening() -> None:
    kept = RecentLog()
    with kept.listening():
        pass
    LOGGER.error("after")
    assert texts(kept) == []

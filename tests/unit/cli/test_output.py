"""Text for people: figures that read well, and nothing from outside that moves the cursor."""

import pytest

from cairn.cli.chain_commands import note_text
from cairn.cli.failures import ExitCode, Failure, explain
from cairn.cli.output import (
    age,
    bytes_size,
    counted,
    duration,
    hashes,
    moment,
    one_line,
    plain,
    scaled,
    short,
)
from cairn.config import ConfigError
from cairn.consensus.errors import Rule, RuleError
from cairn.storage.errors import StorageError
from cairn.wallet import WalletError, notarization_data


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2J",
        "\x1b]0;title\x07",
        "a\rb",
        "\x9b31m",
        "\u202ereversed",
        "\u200b",
        "\x00",
        "\u2028",
    ],
)
def test_control_characters_never_reach_the_terminal(text: str) -> None:
    shown = plain(text)
    assert "�" in shown
    assert all(ord(character) >= 32 or character in "\n\t" for character in shown)
    assert "\n" not in one_line(text + "\nx")


def test_plain_keeps_what_people_write() -> None:
    assert plain("grüße 北京 🙂\n\ttab") == "grüße 北京 🙂\n\ttab"
    assert one_line("a\n b\t c") == "a b c"
    assert one_line("x" * 100, 10) == "x" * 9 + "…"


def test_figures() -> None:
    assert bytes_size(0) == "0 B"
    assert bytes_size(999) == "999 B"
    assert bytes_size(1_234) == "1.23 kB"
    assert bytes_size(64 * 1024 * 1024) == "67.1 MB"
    assert scaled(1.5e9, "H/s") == "1.5 GH/s"
    assert counted(1, "block") == "1 block"
    assert counted(2_000, "address", "addresses") == "2,000 addresses"
    assert duration(59) == "59 s"
    assert duration(7_300) == "2 h"
    assert age(100, now=100.5) == "now"
    assert age(100, now=190) == "1 min ago"
    assert age(200, now=100) == "in 1 min"
    assert moment(1_700_000_000) == "2023-11-14 22:13:20 UTC"
    assert moment(2**64 - 1) == f"{2**64 - 1} s since 1970"
    assert short("ab" * 32) == "abababab…ababab"
    assert hashes(12) == "12 hashes"
    assert hashes(2**40) == "2^40 hashes"


def test_notes_are_shown_as_what_they_are() -> None:
    assert note_text(b"for lunch") == "for lunch"
    assert note_text(b"\x00\xff") == "00ff"
    assert note_text(b"\x1b[2J") == "1b5b324a"
    assert note_text(notarization_data(b"\x07" * 32)) == f"document with SHA-256 {'07' * 32}"


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (WalletError("it is locked", "unlock it"), "wallet", ExitCode.FOUND),
        (RuleError(Rule.SEQUENCE_MISMATCH, "3 is not 4", sequence=3), "sequence-mismatch", 1),
        (RuleError(Rule.GENESIS_INVALID, "no name"), "genesis-invalid", ExitCode.CONFIGURATION),
        (ConfigError("node.name: bad"), "configuration", ExitCode.CONFIGURATION),
        (StorageError("no tables: run it"), "storage", ExitCode.CONFIGURATION),
        (PermissionError(13, "Permission denied", "/x"), "file", ExitCode.FOUND),
        (Failure("known"), "found", ExitCode.FOUND),
    ],
)
def test_expected_errors_are_explained(error: Exception, code: str, exit_code: int) -> None:
    failure = explain(error)
    assert failure is not None
    assert (failure.code, failure.exit_code) == (code, exit_code)
    assert failure.problem


def test_unexpected_errors_are_not_hidden() -> None:
    assert explain(ZeroDivisionError()) is None
    assert explain(KeyError("x")) is None

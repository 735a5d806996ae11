"""The command line's own shape: every command explains itself, and loading it costs little."""

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from cairn.cli.app import SECTIONS, cairn
from cairn.cli.failures import FIXES, ExitCode
from cairn.consensus.errors import Rule

API_CODES = {"unauthorized", "listener-unavailable", "miner-unavailable", "network-mismatch"}


def _commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(cairn)
    for name in cairn.list_commands(context):
        command = cairn.get_command(context, name)
        assert command is not None
        if not isinstance(command, click.Group):
            yield name, command
            continue
        if command.invoke_without_command:
            yield name, command
        for inner, each in command.commands.items():
            yield f"{name} {inner}", each


COMMANDS = dict(_commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_summary_and_an_example(name: str) -> None:
    result = CliRunner().invoke(cairn, [*name.split(), "--help"])
    assert result.exit_code == 0
    assert "Example:" in result.output
    assert f"cairn {name.split(maxsplit=1)[0]}" in result.output.split("Example:")[1]
    assert COMMANDS[name].get_short_help_str(200).strip()


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"devnet"}))
def test_every_command_speaks_json(name: str) -> None:
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert "--json" in options


def test_help_names_every_command_and_exit_code() -> None:
    result = CliRunner().invoke(cairn, ["--help"])
    assert result.exit_code == 0
    for entries in SECTIONS.values():
        for name in entries:
            assert f"  {name} " in result.output
    for code in ExitCode:
        assert f"\n    {code.value} " in result.output


def test_help_loads_no_library_but_click() -> None:
    program = (
        "import sys\nimport cairn.cli\nassert 'click' not in sys.modules\n"
        "sys.argv = ['cairn', '--help']\n"
        "try:\n    cairn.cli.main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'rich', 'cryptography', 'sqlalchemy', 'zmq', 'flask', 'msgspec', 'fastecdsa'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.splitlines()[-1] == "loaded: []"


def test_module_and_script_are_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cairn.cli", "--version"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.startswith("cairn ")


def test_fixes_are_for_codes_that_exist() -> None:
    assert set(FIXES) <= {rule.value for rule in Rule} | API_CODES


def test_a_reader_that_leaves_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m cairn.cli genesis show --network regtest --json | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == "{"
    assert done.stderr == ""

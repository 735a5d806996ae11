"""The developer script and its locks: what it promises to those who have nothing but Python."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("node", "mysql", "dev")


@pytest.fixture(scope="module")
def dev() -> ModuleType:
    """The script as a module; importing it does nothing."""
    loader = importlib.machinery.SourceFileLoader("cairn_dev_script", str(ROOT / "dev"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[loader.name] = module  # dataclasses look their module up
    was_writing = sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # or it would leave a `devc` beside the script
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = was_writing
    return module


def run_dev(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The script as a person runs it, with the standard library alone (-S: no site-packages)."""
    command = [sys.executable, "-S", "-E", str(ROOT / "dev"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("command", ["up", "test", "lint", "bench", "setup", "lock"])
def test_each_command_explains_itself_with_examples(command: str) -> None:
    done = run_dev(command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"examples:\n  ./dev {command}" in done.stdout


@pytest.mark.parametrize(
    "option", ["--nodes", "--base-port", "--data", "--database", "--traffic", "--fresh"]
)
def test_help_of_up_names_every_option(option: str) -> None:
    assert option in run_dev("up", "--help").stdout


def documented_commands() -> list[str]:
    """What follows `./dev` in the documents, as code of its own or inside a line."""
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in documents)
    found = re.findall(r"(?:^ {4}|`)(?:sudo )?\./dev ([^`\n]*)", text, re.MULTILINE)
    commands = {re.split(r" +#| && ", command)[0].strip() for command in found}
    return sorted(command for command in commands if "--help" not in command)


@pytest.mark.parametrize("command", documented_commands())
def test_takes_every_command_of_the_documents(dev: ModuleType, command: str) -> None:
    options, rest = dev.build_parser().parse_known_args(command.split())
    takes_more = options.command in ("test", "bench") or (
        options.command == "lab" and options.action in ("test", "ssh")
    )
    assert takes_more or rest == []


def test_refuses_words_that_setup_does_not_know() -> None:
    done = run_dev("setup", "--for", "node", "everything")
    assert done.returncode == 1
    assert "does not know: everything" in done.stderr


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_belongs_to_the_dependencies_named_now(dev: ModuleType, lock: str) -> None:
    dev.check_lock_is_current(lock)


def test_refuses_a_lock_made_from_other_dependencies(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "node.txt").write_text("# inputs: 0123\nflask==3.0.0 \\\n    --hash=sha256:00\n")
    monkeypatch.setattr(dev, "REQUIREMENTS", tmp_path)
    with pytest.raises(dev.Failure, match=r"Remake the locks with: \./dev lock"):
        dev.check_lock_is_current("node")


def test_the_environment_of_another_folder_is_left_alone(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others, link = tmp_path / "others", tmp_path / ".venv"
    others.mkdir()
    link.symlink_to(others)
    for name, file in (("MARKER", ".cairn-setup.json"), ("SETUP_LOG", "setup.log")):
        (others / file).write_text("{}")
        monkeypatch.setattr(dev, name, link / file)
    monkeypatch.setattr(dev, "VENV", link)
    with pytest.raises(dev.Failure, match=r"\.venv is a link to .*others.*: rm \.venv"):
        dev.build_venv("node")
    assert {each.name for each in others.iterdir()} == {".cairn-setup.json", "setup.log"}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_line_by_hash_and_names_no_address(dev: ModuleType, lock: str) -> None:
    text = dev.lock_path(lock).read_text()
    blocks = dev.lock_blocks(dev.lock_path(lock))
    body = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    assert "".join(blocks.values()) == body
    for block in blocks.values():
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


def test_larger_locks_hold_the_smaller_ones(dev: ModuleType) -> None:
    node, mysql, everything = (dev.pins(lock).items() for lock in LOCKS)
    assert node < mysql < everything


def test_running_on_sqlite_needs_no_mysql_library(dev: ModuleType) -> None:
    assert "mysqlclient" not in dev.pins("node")
    assert "mysqlclient" in dev.pins("mysql")


def test_test_vectors_have_the_version_of_their_library(dev: ModuleType) -> None:
    pins = dev.pins("dev")
    assert pins["cryptography-vectors"] == pins["cryptography"]


def test_names_the_command_that_installs_what_is_missing(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(dev, "has_program", lambda *names: names == ("apt-get",))
    need = dev.SystemNeed("libstone-dev", "stones", lambda: False)
    there = dev.SystemNeed("libsand-dev", "sand", lambda: True)
    with pytest.raises(dev.Failure) as raised:
        dev.require_system([there, need])
    assert "sudo apt-get update && sudo apt-get install" in str(raised.value)
    assert "libstone-dev" in str(raised.value)
    assert "libsand-dev" not in str(raised.value)


def test_runs_every_check_and_fails_when_one_failed(
    dev: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    checks = [
        ("first", [sys.executable, "-c", "print('one'); raise SystemExit(3)"]),
        ("second", [sys.executable, "-c", "print('two')"]),
    ]
    assert dev.run_checks(checks) == 1
    said = capfd.readouterr().out
    assert said.index("one") < said.index("two") < said.index("== summary")
    assert re.search(r"first +FAILED \(exit 3\)", said)
    assert re.search(r"second +ok ", said)
    assert dev.run_checks(checks[1:]) == 0


def test_the_whole_suite_has_every_folder_once(dev: ModuleType) -> None:
    for with_lab, alone in ((True, ["tests/browser", "tests/infra"]), (False, ["tests/browser"])):
        (name, shared), *others = dev.test_runs([], with_lab=with_lab)
        assert (name, [name for name, _ in others]) == ("tests", alone)
        assert all(command[-1] == name for name, command in others)
        left_out = {word[len("--ignore=") :] for word in shared if word.startswith("--ignore=")}
        assert left_out == {"tests/browser", "tests/infra"}
        assert shared[-1 - len(left_out)] == "tests"


def test_words_choose_tests_in_one_run(dev: ModuleType) -> None:
    ((_, command),) = dev.test_runs(["-k", "reorg"], with_lab=True)
    assert command[-2:] == ["-k", "reorg"]
    assert "not lab" not in command
    ((_, command),) = dev.test_runs(["-k", "reorg"], with_lab=False)
    assert command[-4:] == ["-m", "not lab", "-k", "reorg"]


def test_a_failed_step_shows_the_end_of_what_it_said_and_the_way_out(
    dev: ModuleType, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", "print('\\n'.join(map(str, range(99)))); raise SystemExit(1)"]
    with pytest.raises(dev.Failure) as raised:
        dev.run_step("counting", command, tmp_path / "log", "Count again.")
    text = str(raised.value)
    assert "    98\n" in text
    assert "    73\n" not in text
    assert text.endswith("Count again.")
    assert (tmp_path / "log").read_text().splitlines()[1] == "0"


def test_a_stopped_script_ends_the_step_under_way(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = (
        "import pathlib, runpy, signal, sys\n"
        "script, folder = map(pathlib.Path, sys.argv[1:])\n"
        "dev = runpy.run_path(str(script), run_name='dev')\n"
        "signal.signal(signal.SIGTERM, dev['stop_on_terminate'])\n"
        "step = 'import os, sys, time, pathlib; '\n"
        "step += 'pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(60)'\n"
        "command = [sys.executable, '-c', step, str(folder / 'pid')]\n"
        "dev['run_step']('waiting', command, folder / 'log', '')\n"
    )
    command = [sys.executable, "-c", code, str(ROOT / "dev"), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as script:
        deadline = time.monotonic() + 30
        while not (pid_file.exists() and pid_file.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        script.send_signal(signal.SIGTERM)
        assert script.wait(30) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)

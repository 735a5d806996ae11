"""Speaking to the person at the keyboard, and running programs for them."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TAIL_LINES = 25


class Failure(Exception):
    """Something the person at the keyboard has to know; the text says what to do about it."""


def say(text: str = "", end: str = "\n") -> None:
    """Print at once, so that our lines and those of the programs we start keep their order."""
    print(text, end=end, flush=True)


def child_environment() -> dict[str, str]:
    """Our environment without what would make another Python read this one's files."""
    unwanted = ("PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX")
    environment = {key: value for key, value in os.environ.items() if key not in unwanted}
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    return environment


def run_step(title: str, command: Sequence[str], log: Path, advice: str, **more: str) -> None:
    """Run one noisy command: its output goes to `log`, a line of ours to the person.

    `more` is added to its environment. On failure the tail of the output and `advice` are told.
    """
    interactive = sys.stdout.isatty()
    say(f"  {title} ... ", end="")
    started = time.monotonic()
    lines: list[str] = []
    with log.open("a", encoding="utf-8") as sink:
        sink.write(f"$ {' '.join(command)}\n")
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=child_environment() | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            try:
                for line in process.stdout or ():
                    sink.write(line)
                    lines.append(line.rstrip())
                    if interactive and line.startswith(("Collecting ", "Unpacking ", "Building ")):
                        say(f"\r\033[K  {title} ... {line.strip()[:60]}", end="")
                code = process.wait()
            except BaseException:
                process.terminate()
                raise
    if interactive:
        say(f"\r\033[K  {title} ... ", end="")
    seconds = time.monotonic() - started
    if code == 0:
        say(f"done ({seconds:.1f} s)")
        return
    say(f"failed ({seconds:.1f} s)")
    tail = "\n".join(f"    {line}" for line in lines[-TAIL_LINES:]) or "    (it said nothing)"
    raise Failure(f"The end of what it said:\n{tail}\n{advice}")

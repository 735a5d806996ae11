"""The linters: what they are called and what they look at."""

import subprocess

from tools.console import ROOT

_TOOLS = ROOT / ".venv" / "bin"


def shell_scripts() -> list[str]:
    """Every shell script of the project, by its first line, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    scripts = []
    for name in sorted(filter(None, listed.stdout.split("\0"))):
        path = ROOT / name
        if path.is_symlink() or not path.is_file() or path.suffix == ".j2":
            continue
        with path.open("rb") as handle:
            first = handle.readline(80)
        if first.startswith(b"#!") and first.strip().endswith((b"sh", b"bash")):
            scripts.append(name)
    return scripts


def checks() -> list[tuple[str, list[str]]]:
    """The linters by name, in the order in which they run."""
    found = [
        ("ruff check", [str(_TOOLS / "ruff"), "check", "."]),
        ("ruff format", [str(_TOOLS / "ruff"), "format", "--check", "."]),
        ("mypy", [str(_TOOLS / "mypy"), "--strict", "node/"]),
        ("import-linter", [str(_TOOLS / "lint-imports"), "--no-logo"]),
        ("yamllint", [str(_TOOLS / "yamllint"), "--strict", "."]),
        ("shellcheck", [str(_TOOLS / "shellcheck"), *shell_scripts()]),
    ]
    deno = str(_TOOLS / "deno")
    found.append(("deno lint", [deno, "lint", "--quiet"]))
    found.append(("deno fmt", [deno, "fmt", "--quiet", "--check"]))
    if (ROOT / "playbooks").is_dir():
        found.append(("ansible-lint", [str(_TOOLS / "ansible-lint"), "--offline", "--nocolor"]))
    return found

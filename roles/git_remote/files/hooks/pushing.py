"""What the hooks share: the settings, the story told to the pusher, the lock, the releases.

Plain Python 3.11 without packages, owned by root: pushed code never changes how it is judged.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SETTINGS = Path("/usr/local/lib/cairn/settings.json")
NOTHING = "0" * 40
RELEASE_NAME = re.compile(r"\d{8}T\d{6}-[0-9a-f]{7,40}")
STORY = Path("/run/cairn-activate/story")
RESULT = Path("/run/cairn-activate/result.json")


class Refused(Exception):
    """The push cannot be taken; the message is for the pusher."""


class Site:
    """This host's folders and the branch that is deployed."""

    def __init__(self) -> None:
        settings = json.loads(SETTINGS.read_text(encoding="utf-8"))
        self.root = Path(settings["root"])
        self.branch: str = settings["branch"]
        self.config_file: str = settings["config_file"]
        self.kept_releases: int = settings["kept_releases"]
        self.free_bytes: int = settings["free_megabytes"] * 2**20
        self.repository = self.root / "repo.git"
        self.releases = self.root / "releases"
        self.lock_file = self.root / "push.lock"

    @property
    def ref(self) -> str:
        """The one ref that is deployed."""
        return f"refs/heads/{self.branch}"

    def current(self) -> str:
        """The name of the release that serves; empty before the first."""
        link = self.root / "current"
        return link.readlink().name if link.is_symlink() else ""


# -- the story ------------------------------------------------------------------------------------


def say(text: str = "") -> None:
    """A line to the pusher. A pusher who left does not stop what was begun."""
    try:
        print(text, flush=True)
    except OSError:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until we end


@contextmanager
def step(title: str) -> Iterator[None]:
    """Tells a step's title and, when it ends, how long it took."""
    started = time.monotonic()
    say(f"-> {title} ...")
    try:
        yield
    except BaseException:
        say(f"   failed after {time.monotonic() - started:.1f} s")
        raise
    say(f"   done in {time.monotonic() - started:.1f} s")


def run(command: list[str | Path], why: str, **options: object) -> str:
    """What the command printed. Raises Refused with its last lines when it fails."""
    done = subprocess.run(  # type: ignore[call-overload]
        command,
        stdin=options.pop("stdin", subprocess.DEVNULL),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        **options,
    )
    output: str = done.stdout.strip()
    if done.returncode != 0:
        tail = "\n".join(f"   | {line}" for line in output.splitlines()[-25:])
        raise Refused(f"{why} (exit code {done.returncode}):\n{tail}")
    return output


def git(*arguments: str) -> str:
    """What git says about the repository that the hook runs in."""
    return run(["git", *arguments], f"git {arguments[0]} failed")


# -- the lock -------------------------------------------------------------------------------------


def _is_alive(process: int, started: str) -> bool:
    return bool(started) and _start_of(process) == started


def _start_of(process: int) -> str:
    """When the process started, in the kernel's ticks: with the number, it names one process."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]


@contextmanager
def _lock_content(site: Site) -> Iterator[dict[str, object]]:
    """The lock's content, to be changed in the body; nobody else looks meanwhile."""
    with site.lock_file.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        try:
            content = json.loads(file.read() or "{}")
        except ValueError:
            content = {}
        yield content
        file.seek(0)
        file.truncate()
        json.dump(content, file)


def take_lock(site: Site, who: str, holder: int) -> None:
    """Takes the lock for the process `holder`; it ends with it, or with `drop_lock`.

    Raises Refused that names who has it.
    """
    with _lock_content(site) as lock:
        process = int(str(lock.get("process", 0)))
        if process != holder and _is_alive(process, str(lock.get("started", ""))):
            seconds = int(time.time()) - int(str(lock.get("since", 0)))
            raise Refused(
                f"{lock.get('who')} is deploying here since {seconds} s; try again when that is "
                "over"
            )
        lock.clear()
        lock.update(process=holder, started=_start_of(holder), who=who, since=int(time.time()))


def note_in_lock(site: Site, release: str) -> None:
    """Leaves the release's name for the hook that runs next."""
    with _lock_content(site) as lock:
        lock["release"] = release


def release_in_lock(site: Site) -> str:
    """The release that was built under this lock; empty if none was."""
    with _lock_content(site) as lock:
        return str(lock.get("release", ""))


def drop_lock(site: Site) -> None:
    """Lets the next one in."""
    with _lock_content(site) as lock:
        lock.clear()


# -- releases -------------------------------------------------------------------------------------


def release_facts(folder: Path) -> dict[str, str]:
    """Commit, subject and pusher of a release; empty when it has none."""
    try:
        facts: dict[str, str] = json.loads((folder / ".release.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts


def good_releases(site: Site) -> list[str]:
    """The releases that once were healthy, newest first."""
    names = [path.parent.name for path in site.releases.glob("*/.good")]
    return sorted(names, reverse=True)


def prune(site: Site, besides: str = "") -> int:
    """Removes all but the newest good releases, the one that serves, and `besides`; how many.

    That is for the release that failed just now: it stays, to be looked at, until the next push.
    """
    kept = {site.current(), besides, *good_releases(site)[: site.kept_releases]}
    removed = [path for path in site.releases.iterdir() if path.name not in kept]
    for folder in removed:
        shutil.rmtree(folder, ignore_errors=True)
    return len(removed)


def activate(site: Site, release: str) -> str:
    """Has root's unit switch to the release, telling its story; the reason it failed, or ''."""
    link = site.root / "next.new"
    link.unlink(missing_ok=True)
    link.symlink_to(Path("releases") / release)
    link.replace(site.root / "next")
    command = ["sudo", "-n", "/usr/bin/systemctl", "start", "cairn-activate.service"]
    began = time.time()
    unit = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    shown = 0
    while True:
        ended = unit.poll() is not None
        shown = _tell_story(shown, began)
        if ended:
            break
        time.sleep(0.2)
    result = _result(began)
    if result.get("release") != release:
        output = unit.communicate()[0].decode(errors="replace").strip()
        return f"the activation ended without a result: {output or 'see its journal'}"
    return str(result.get("problem", "") or "")


def _tell_story(shown: int, began: float) -> int:
    """Tells the lines that are new since `shown`; how many characters are told now."""
    try:
        if STORY.stat().st_mtime < began - 1:
            return shown
        text = STORY.read_text(encoding="utf-8")
    except OSError:
        return shown
    end = text.rfind("\n") + 1
    for line in text[shown:end].splitlines():
        say(line)
    return max(shown, end)


def _result(began: float) -> dict[str, object]:
    try:
        if RESULT.stat().st_mtime < began - 1:
            return {}
        result: dict[str, object] = json.loads(RESULT.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return result

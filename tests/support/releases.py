"""What changes the release that hosts run: a clone to push from, clients that must not notice."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.lab import STATE, LabHost, Watcher

DEPLOY_SSH = (
    "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
    f"-o LogLevel=ERROR -o IdentitiesOnly=yes -i {STATE / 'deploy_key'}"
)
_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_SSH_COMMAND": DEPLOY_SSH,
    **{f"GIT_{who}_NAME": "Lab" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "lab@example.net" for who in ("AUTHOR", "COMMITTER")},
}


Pushed = subprocess.CompletedProcess[str]


class Clone:
    """A clone of what a host runs."""

    def __init__(self, host: LabHost, folder: Path) -> None:
        self.host = host
        self.folder = folder
        self.url = f"ssh://deploy@{host.address}/srv/cairn/repo.git"
        self.git("clone", "-q", "-b", "main", self.url, str(folder), where=folder.parent)

    def git(self, *words: str, where: Path | None = None) -> str:
        """What git printed; it has to succeed."""
        done = self._run(words, where)
        assert done.returncode == 0, done.stdout
        return done.stdout.strip()

    def _run(self, words: tuple[str, ...], where: Path | None = None) -> Pushed:
        return subprocess.run(
            ["git", *words],
            cwd=where or self.folder,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=400,
            check=False,
        )

    def commit(self, changes: dict[str, str]) -> str:
        """A commit with these files changed; its hash."""
        for name, text in changes.items():
            (self.folder / name).write_text(text, encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a change from the lab")
        return self.git("rev-parse", "HEAD")

    def read(self, name: str) -> str:
        """A file of the clone."""
        return (self.folder / name).read_text(encoding="utf-8")

    def push(self, *words: str) -> Pushed:
        """A push; its story is the output."""
        return self._run(("push", self.url, *(words or ("HEAD:main",))))

    def remote(self) -> str:
        """The commit that the host's branch is at."""
        return self.git("ls-remote", self.url, "refs/heads/main").split()[0]

    def reset(self) -> None:
        """Back to what the host runs."""
        self.git("fetch", "-q", self.url, "main")
        self.git("reset", "-q", "--hard", "FETCH_HEAD")


@contextmanager
def watched(host: LabHost) -> Iterator[Watcher]:
    """Clients ask the proxy all the time; none of them may notice anything."""
    watcher = Watcher(host)
    thread = threading.Thread(target=watcher.watch)
    thread.start()
    try:
        yield watcher
    finally:
        watcher.stop()
        thread.join()
    assert watcher.asked > 0
    assert watcher.failures == []


@contextmanager
def all_watched(hosts: tuple[LabHost, ...]) -> Iterator[None]:
    """The same on several hosts at once."""
    with ExitStack() as stack:
        for host in hosts:
            stack.enter_context(watched(host))
        yield


def release_of(host: LabHost) -> str:
    """The release that serves."""
    return host.check_output("readlink /srv/cairn/current")


def commit_of(host: LabHost) -> str:
    """The commit that serves."""
    return host.check_output(
        "python3 -c 'import json;"
        'print(json.load(open("/srv/cairn/current/.release.json"))["commit"])\''
    )

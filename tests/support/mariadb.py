"""A MariaDB server of one's own: private, temporary, reached through a unix socket alone.

It is a real server with durable settings, run by an unprivileged user in a temporary folder, and
touches no server that the machine may already run. It ends with the thread that started it, even
when that is killed.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import MySQLdb
import MySQLdb.connections

START_SECONDS = 60.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.02
LOCK_WAIT_SECONDS = 10
UNPRIVILEGED_USERS = ("mysql", "nobody")
SERVER_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
SERVER_PACKAGE = "mariadb-server-core"
TOOLS_PACKAGE = "mariadb-client-core"

SERVER_OPTIONS = (
    "--skip-networking",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--character-set-server=utf8mb4",
    # A 202 must survive a kill, in tests as in production.
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=48M",
    # io_uring is often forbidden in containers; the server then only complains and falls back.
    "--innodb-use-native-aio=OFF",
    "--key-buffer-size=1M",
    "--aria-pagecache-buffer-size=8M",
    "--performance-schema=OFF",
)


class MariaDBError(RuntimeError):
    """The server is missing or did not do what it was told; the text names the way out."""


def find_program(package: str, *names: str) -> str:
    """Path of the first of these programs that is installed; MariaDBError names the package."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *SERVER_FOLDERS])
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return found
    raise MariaDBError(
        f"{names[0]} is not installed; it comes with Debian's package {package}: "
        f"sudo apt-get install --no-install-recommends {package}"
    )


def unprivileged_user() -> str | None:
    """Name of the user to run the server as, since it refuses to run as root; None to stay."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in UNPRIVILEGED_USERS:
        if name in known:
            return name
    raise MariaDBError(f"none of the users {', '.join(UNPRIVILEGED_USERS)} exists on this machine")


class PrivateMariaDB:
    """One server with its data, from `start` to `stop`; also a context manager.

    `kill` and `restart` keep the data, `stop` removes it.
    """

    def __init__(self) -> None:
        """Find the programs; MariaDBError if they are not installed. Nothing is started."""
        self._server = find_program(SERVER_PACKAGE, "mariadbd", "mysqld")
        self._installer = find_program(SERVER_PACKAGE, "mariadb-install-db", "mysql_install_db")
        find_program(TOOLS_PACKAGE, "my_print_defaults")  # the installer calls it
        self._user = unprivileged_user()
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def folder(self) -> Path:
        """The temporary folder with data, socket and log; MariaDBError before `start`."""
        if self._folder is None:
            raise MariaDBError("the server has no data: it was not started, or stopped")
        return self._folder

    @property
    def socket_path(self) -> Path:
        """The unix socket on which the server listens."""
        return self.folder / "socket"

    @property
    def is_running(self) -> bool:
        """Whether the server's process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Make a data directory if there is none, start the server, wait until it answers."""
        if self.is_running:
            return
        if self._folder is None:
            self._folder = self._make_folder()
            self._install_data()
        self.socket_path.unlink(missing_ok=True)
        command = [self._server, "--no-defaults", *self._paths(), *SERVER_OPTIONS]
        setpriv = shutil.which("setpriv")
        if setpriv:  # so that no server outlives a test run that was killed
            command = [setpriv, "--pdeathsig", "KILL", "--", *command]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=self._user,
                group=self._group(),
                extra_groups=[] if self._user else None,
            )
        self._wait_until_it_answers()

    def kill(self) -> None:
        """End the server as a power cut would, with SIGKILL; its data stays for `restart`."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def suspend(self) -> None:
        """Freeze the server: connections stay open and nothing is answered until `resume`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen server go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Shut the server down in order if it runs, then start it on the same data."""
        self._shut_down()
        self.start()

    def stop(self) -> None:
        """Shut the server down and remove everything it wrote. Again is no error."""
        self._shut_down()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def connect(self, database: str = "") -> MySQLdb.connections.Connection:
        """A plain autocommitting connection as the server's root user; the caller closes it."""
        return MySQLdb.connect(
            user="root",
            unix_socket=str(self.socket_path),
            database=database,
            charset="utf8mb4",
            autocommit=True,
        )

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Run one statement as root on a connection of its own; its rows."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                # A table that someone still uses is an error soon, not in a day.
                cursor.execute(f"SET SESSION lock_wait_timeout={LOCK_WAIT_SECONDS}")
                cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def create_database(self, name: str) -> str:
        """Make an empty database; its SQLAlchemy URL."""
        self.execute(f"CREATE DATABASE `{_checked(name)}`")
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, if it is there, with all in it."""
        self.execute(f"DROP DATABASE IF EXISTS `{_checked(name)}`")

    def url(self, name: str, user: str = "root") -> str:
        """SQLAlchemy URL of a database on this server, for a user without a password."""
        socket = quote(str(self.socket_path), safe="/")
        return f"mysql+mysqldb://{user}@/{_checked(name)}?unix_socket={socket}&charset=utf8mb4"

    def log_tail(self, lines: int = 20) -> str:
        """The last lines that the server, or what prepared its data, wrote."""
        log = self.folder / "server.log"
        if not log.exists():
            return "(it wrote nothing)"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])

    def _make_folder(self) -> Path:
        """A temporary folder that belongs to the server's user."""
        folder = Path(tempfile.mkdtemp(prefix="cairn-mariadb-"))
        (folder / "data").mkdir()
        (folder / "temporary").mkdir()
        if self._user:
            for path in (folder, folder / "data", folder / "temporary"):
                shutil.chown(path, self._user, self._group())
        return folder

    def _group(self) -> int | None:
        """Group id of the server's user; None to stay."""
        return pwd.getpwnam(self._user).pw_gid if self._user else None

    def _paths(self) -> list[str]:
        """Options that keep every file of the server in its folder."""
        return [
            f"--datadir={self.folder / 'data'}",
            f"--socket={self.socket_path}",
            f"--pid-file={self.folder / 'pid'}",
            f"--tmpdir={self.folder / 'temporary'}",
        ]

    def _install_data(self) -> None:
        """Make the server's own tables, with a root user who needs no password on the socket."""
        command = [
            self._installer,
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--tmpdir={self.folder / 'temporary'}",
            "--auth-root-authentication-method=normal",
            "--skip-name-resolve",
            "--skip-test-db",
            "--innodb-buffer-pool-size=64M",
            "--innodb-log-file-size=48M",
            "--innodb-use-native-aio=OFF",
        ]
        done = subprocess.run(
            command,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            user=self._user,
            group=self._group(),
            extra_groups=[] if self._user else None,
            timeout=START_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            text = done.stdout.decode(errors="replace")
            self.stop()
            raise MariaDBError(f"{self._installer} failed with {done.returncode}:\n{text}")

    def _wait_until_it_answers(self) -> None:
        """Poll until a connection is taken; MariaDBError with the log if the server gives up."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.connect().close()
                return
            except MySQLdb.OperationalError as error:
                problem = str(error)
            if not self.is_running or time.monotonic() > deadline:
                tail = self.log_tail()
                self.stop()
                raise MariaDBError(f"the server did not start: {problem}\n{tail}")
            time.sleep(POLL_SECONDS)

    def _shut_down(self) -> None:
        """End the process in order, by force when it takes too long."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None


def _checked(name: str) -> str:
    """`name` itself if it can be a database's name without quoting; MariaDBError otherwise."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
        raise MariaDBError(f"not a plain database name: {name!r}")
    return name

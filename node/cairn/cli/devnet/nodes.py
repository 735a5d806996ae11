"""One node of a network on this machine: its ports, files, configuration and programs."""

import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cairn.cli.devnet.processes import STOP_SECONDS, Program, stop_all

PROGRAMS = ("listener", "miner", "web")
HOST = "127.0.0.1"

Table = Mapping[str, Mapping[str, object]]
"""A configuration: section, key, value."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """Where a node lives."""

    index: int
    directory: Path
    """Its configuration, keys, database and logs."""
    run_directory: Path
    """Its local sockets; a short path."""
    http_port: int
    publish_port: int
    request_port: int
    genesis_file: Path
    database_url: str = ""
    """SQLAlchemy URL; empty: an SQLite file in the directory."""
    alphas: tuple[str, ...] = ()
    faucet_key: Path | None = None
    """The account that its faucet gives from; None: it has no faucet."""

    @property
    def name(self) -> str:
        """As people see it."""
        return f"node-{self.index}"

    @property
    def url(self) -> str:
        """Of its page and API."""
        return f"http://{HOST}:{self.http_port}"

    @property
    def config_file(self) -> Path:
        """Its TOML file."""
        return self.directory / "cairn.toml"

    @property
    def token_file(self) -> Path:
        """Holds the operator's token."""
        return self.directory / "operator.token"

    @property
    def ports(self) -> dict[str, int]:
        """What each of its ports is for."""
        return {
            "HTTP": self.http_port,
            "broadcasts": self.publish_port,
            "peers' requests": self.request_port,
        }

    def log(self, program: str) -> Path:
        """Where the program writes."""
        return self.directory / "logs" / f"{program}.log"

    def configuration(self) -> dict[str, dict[str, object]]:
        """Settings of a node on a development network."""
        table: dict[str, dict[str, object]] = {
            "node": {
                "name": self.name,
                "network": str(self.genesis_file),
                "data_directory": str(self.directory),
                "run_directory": str(self.run_directory),
            },
            "database": {"url": self.database_url},
            "web": {"url": self.url, "operator_token_file": str(self.token_file)},
            "peers": {
                "publish": f"tcp://{HOST}:{self.publish_port}",
                "request": f"tcp://{HOST}:{self.request_port}",
                "admission": "open",
                "alphas": list(self.alphas),
                "allowed_ranges": ["127.0.0.0/8"],
                "announce_seconds": 5,
            },
            "miner": {
                "mode": "auto",
                "min_transactions": 25,
                "max_wait_seconds": 2,
                # Two miners may find a block at once; the next block settles whose stays.
                "heartbeat_seconds": 10,
            },
        }
        if self.faucet_key is not None:
            table["faucet"] = {"key_file": str(self.faucet_key), "seconds_per_address": 60}
        return table


class Node:
    """A node whose programs run on this machine."""

    def __init__(self, spec: NodeSpec) -> None:
        self.spec = spec
        environment = clean_environment() | {
            "CAIRN_CONFIG": str(spec.config_file),
            # With the native kernel easy blocks would be found by all miners at the same moment.
            "CAIRN_NATIVE_KERNEL": "0",
        }
        self.programs = {
            name: Program(
                f"{spec.name} {name}", program_command(name, spec), environment, spec.log(name)
            )
            for name in PROGRAMS
        }

    def write_files(self, overrides: Table | None = None) -> None:
        """Writes its configuration anew, and an operator token where there is none."""
        spec = self.spec
        spec.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        spec.run_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        table = spec.configuration()
        for section, values in (overrides or {}).items():
            table.setdefault(section, {}).update(values)
        header = f"# {spec.name} of a development network; written anew at every start.\n"
        write_private(spec.config_file, header + to_toml(table))
        if not spec.token_file.exists():
            write_private(spec.token_file, secrets.token_urlsafe(32) + "\n")

    def migrate(self) -> None:
        """Brings its database to this version's tables. Raises StorageError."""
        from cairn.config import load_config
        from cairn.storage.migrate import migrate

        migrate(load_config(self.spec.config_file, clean_environment()).database_url)

    def start(self, *names: str) -> None:
        """Starts these programs, or all."""
        for name in names or PROGRAMS:
            self.programs[name].start()

    def stop(self, *names: str, timeout_seconds: float = STOP_SECONDS) -> list[Program]:
        """SIGTERM to these programs, or all; those that had to be killed in the end."""
        return stop_all([self.programs[name] for name in names or PROGRAMS], timeout_seconds)

    def kill(self, *names: str) -> None:
        """SIGKILL to these programs, or all."""
        for name in names or PROGRAMS:
            self.programs[name].kill()

    def restart(self, *names: str) -> None:
        """Stops, where they run, and starts these programs, or all."""
        self.stop(*names)
        self.start(*names)


def program_command(name: str, spec: NodeSpec) -> list[str]:
    """The command line of a node's program."""
    if name != "web":
        script = Path(sys.executable).with_name(f"cairn-{name}")
        return [str(script), "--config", str(spec.config_file)]
    settings = ["--config=python:cairn.web.gunicorn_config", f"--name=cairn-web-{spec.name}"]
    address = f"--bind={HOST}:{spec.http_port}"
    return [sys.executable, "-m", "gunicorn", *settings, address, "cairn.web:create_app()"]


def clean_environment() -> dict[str, str]:
    """Our environment without what would change a node's configuration or its server's."""
    foreign = ("CAIRN_", "GUNICORN_CMD_ARGS", "NOTIFY_SOCKET", "WATCHDOG_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    return kept | {"PYTHONUNBUFFERED": "1"}


def to_toml(table: Table) -> str:
    """TOML text of sections with strings, integers and lists of strings."""
    lines: list[str] = []
    for section, values in table.items():
        lines += ["", f"[{section}]"]
        lines += [f"{key} = {_toml_value(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def write_private(path: Path, text: str) -> None:
    """Writes a file that its owner alone may read."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


def _toml_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        if any(ord(character) < 32 for character in value):
            raise ValueError(f"a control character in {value!r}")
        return f'"{escaped}"'
    if isinstance(value, Sequence):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    raise TypeError(f"no TOML for {value!r}")

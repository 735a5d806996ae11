"""A development network's data folder: who uses it, its genesis file and demo wallets."""

import fcntl
import json
import os
import shutil
import stat
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cairn.cli.devnet.nodes import write_private
from cairn.cli.failures import Failure
from cairn.consensus.crypto import encode_address
from cairn.consensus.errors import RuleError
from cairn.consensus.params import UNITS_PER_COIN, NetworkParams, parse_genesis
from cairn.consensus.proof_of_work import target_to_bits
from cairn.wallet import AccountKey, WalletError, generate_key, load_key, save_key

MARKER = "devnet.json"
LOCK = "devnet.lock"
GENESIS = "genesis.toml"
WALLETS = "wallets"
FAUCETS = "faucets"
DEMO_WALLETS = 24
DEMO_COINS = 1_000_000
FAUCET_KEYS = 10
"""One a node, as two that sign with one key would take the same sequence twice; nodes beyond have
no faucet."""
_RUN_PREFIX = "cairn-"

_GENESIS_TEXT = """\
# A development network, made by `cairn devnet`. Another file is another network.
name = "devnet"
address_prefix = "dcairn"
symbol = "DCRN"
genesis_time = {genesis_time}
target_interval_seconds = 3
half_life_seconds = 60
# About {expected} hashes for a block at first, and never fewer.
initial_target = {bits:#x}
target_limit = {bits:#x}
initial_subsidy = {subsidy}
halving_interval_blocks = 1_000_000
max_block_bytes = 1_000_000
max_data_bytes = 1_024

[allocations]
{allocations}
"""
_EXPECTED_HASHES_BITS = 18
"""As a power of two: long enough that two miners seldom find a block at once, and a part of a
second for the kernel in Python, which the nodes of a development network use."""


@dataclass(frozen=True, slots=True)
class Marker:
    """What a folder says of the network in it, and that a devnet made it."""

    database: str = ""
    """URL template; empty: SQLite files in the folder."""
    run_directory: str = ""
    """Of the latest run, so that one that was killed can be cleaned up after."""
    migrated: tuple[str, ...] = ()
    """Database URLs whose tables a devnet made."""


class Folder:
    """A data folder held by this process alone; a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.marker = Marker()
        self._lock: int | None = None

    @property
    def genesis_file(self) -> Path:
        """The network's definition."""
        return self.path / GENESIS

    def __enter__(self) -> Self:
        """Makes the folder or checks that it is ours, and takes it. Raises Failure."""
        self._check_ours()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._take_lock()
        except OSError as error:
            raise Failure(
                f"cannot use the folder {self.path}: {error.strerror}",
                "name one that you may write to: --data DIR",
            ) from None
        self._read_marker()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def save(self, marker: Marker) -> None:
        """Writes the marker; databases' passwords may be in it, so it is private."""
        self.marker = marker
        write_private(self.path / MARKER, json.dumps(asdict(marker), indent=2) + "\n")

    def clear(self) -> None:
        """Removes what a devnet made here, and nothing else."""
        for path in [self.genesis_file, self.path / MARKER]:
            path.unlink(missing_ok=True)
        for path in [self.path / WALLETS, self.path / FAUCETS, *self.path.glob("node-*")]:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
        self.remove_run_directory()
        self.marker = Marker()

    def make_run_directory(self) -> Path:
        """A new folder for this run's sockets, with a short path."""
        base = os.environ.get("XDG_RUNTIME_DIR", "")
        usable = base and Path(base).is_dir() and os.access(base, os.W_OK) and len(base) <= 40
        return Path(tempfile.mkdtemp(prefix=_RUN_PREFIX, dir=base if usable else None))

    def remove_run_directory(self) -> None:
        """Removes the sockets' folder that the marker names, if it is one and ours."""
        name = self.marker.run_directory
        if not name:
            return
        path = Path(name)
        try:
            status = path.lstat()
        except OSError:
            return
        ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
        if ours and path.name.startswith(_RUN_PREFIX):
            shutil.rmtree(path, ignore_errors=True)

    def open_network(self, now: int) -> tuple[NetworkParams, list[AccountKey]]:
        """The network's numbers and its demo wallets, made on first use."""
        try:
            if not self.genesis_file.exists():
                keys = self._make_keys(WALLETS, "demo", DEMO_WALLETS)
                keys += self._make_keys(FAUCETS, "node", FAUCET_KEYS)
                self.genesis_file.write_text(genesis_text(keys, now), encoding="utf-8")
            params = parse_genesis(self.genesis_file.read_text(encoding="utf-8"))
            files = sorted((self.path / WALLETS).glob("*.pem"))
            return params, [load_key(file) for file in files]
        except (OSError, UnicodeDecodeError, RuleError, WalletError) as error:
            raise Failure(
                f"the network in {self.path} cannot be used: {error}",
                "begin anew with --fresh, or use another folder: --data DIR",
            ) from None

    def faucet_key(self, index: int) -> Path | None:
        """The file of what this node's faucet gives from; None where the network has none."""
        file = self.path / FAUCETS / f"node-{index:02d}.pem"
        return file if file.exists() else None

    def _make_keys(self, name: str, prefix: str, count: int) -> list[AccountKey]:
        folder = self.path / name
        shutil.rmtree(folder, ignore_errors=True)  # left by a run that ended before its genesis
        keys = [generate_key() for _ in range(count)]
        for number, key in enumerate(keys):
            save_key(folder / f"{prefix}-{number:02d}.pem", key)
        return keys

    def _check_ours(self) -> None:
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise Failure(f"{self.path} is no folder", "name one: --data DIR")
        if (self.path / MARKER).exists():
            return
        if any(entry.name != LOCK for entry in self.path.iterdir()):
            raise Failure(
                f"{self.path} holds files that no devnet made ({MARKER} is missing)",
                "name an empty or new folder: --data DIR",
            )

    def _take_lock(self) -> None:
        descriptor = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise Failure(
                f"{self.path} belongs to a devnet that is running (pid {holder})",
                f"stop it (kill {holder}), or use another folder and ports: "
                "--data DIR --base-port P",
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._lock = descriptor

    def _read_marker(self) -> None:
        file = self.path / MARKER
        if not file.exists():
            self.save(Marker())
            return
        try:
            table = json.loads(file.read_text(encoding="utf-8"))
            self.marker = Marker(
                database=str(table["database"]),
                run_directory=str(table["run_directory"]),
                migrated=tuple(str(url) for url in table["migrated"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Failure(
                f"{file} is damaged: {error}", f"remove {self.path} yourself and start again"
            ) from None


def genesis_text(keys: list[AccountKey], now: int) -> str:
    """A new development network that begins now and funds these keys."""
    bits = target_to_bits(2 ** (256 - _EXPECTED_HASHES_BITS))
    return _GENESIS_TEXT.format(
        genesis_time=now,
        expected=f"{2**_EXPECTED_HASHES_BITS:,}",
        bits=bits,
        subsidy=UNITS_PER_COIN,
        allocations="\n".join(
            f'"{encode_address("dcairn", key.address)}" = {DEMO_COINS * UNITS_PER_COIN}'
            for key in keys
        ),
    )

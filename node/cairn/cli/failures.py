"""What a command says when it cannot do what was asked, and the exit code it says it with."""

import sys
from collections.abc import Mapping
from enum import IntEnum


class ExitCode(IntEnum):
    """What the end of a command means to a script."""

    OK = 0
    FOUND = 1
    """A problem was found, or the request was refused."""
    USAGE = 2
    """The command line is wrong."""
    UNREACHABLE = 3
    """No node answered, or it answered as no Cairn node does."""
    NOT_FOUND = 4
    CONFIGURATION = 78
    """A configuration or genesis file, or the database, cannot be used."""


class Failure(Exception):
    """An expected failure: `problem` in plain words, the `fix` to type, a stable `code`."""

    def __init__(
        self,
        problem: str,
        fix: str = "",
        *,
        exit_code: ExitCode = ExitCode.FOUND,
        code: str = "",
        numbers: Mapping[str, int | str] | None = None,
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix
        self.exit_code = exit_code
        self.code = code or exit_code.name.lower().replace("_", "-")
        self.numbers = dict(numbers or {})

    def document(self) -> dict[str, object]:
        """What `--json` prints in place of the result."""
        error: dict[str, object] = {"code": self.code, "detail": self.problem}
        if self.numbers:
            error["numbers"] = self.numbers
        if self.fix:
            error["fix"] = self.fix
        return {"error": error}


FIXES = {
    "sequence-mismatch": "see the next sequence with `cairn balance NAME`, then send again",
    "balance-insufficient": "see what can be spent with `cairn balance NAME`",
    "pool-fee-too-low": "leave --fee out, or give the minimum named above",
    "pool-replacement-fee-too-low": "give a --fee at least 10 % above the waiting one's",
    "pool-sender-full": "wait for a block: `cairn status` shows the last one",
    "pool-full": "give a higher --fee",
    "pool-timestamp": "set this machine's clock: `timedatectl`",
    "transaction-data-too-large": "shorten the note, or notarize the file: `cairn notarize FILE`",
    "address-wrong-network": "ask the recipient for an address on this network",
    "address-invalid": "copy the address again, whole",
    "network-mismatch": "see which network each side has: `cairn genesis show`, `cairn status`",
    "unauthorized": "name the node's operator token with --token-file FILE",
    "listener-unavailable": "start the node's listener: `systemctl start cairn-listener`",
    "miner-unavailable": "start the node's miner (`systemctl start cairn-miner`), its mode not off",
    "genesis-invalid": "compare with a sound one: `cairn genesis new --help`",
    "proof-invalid": "ask for the proof again: `cairn proof ID`",
}
"""The fixing command, or thing to do, for problem codes that have one."""


def explain(error: BaseException) -> Failure | None:
    """The failure to tell a person for an exception of the layers below; None when unexpected.

    Looks only into modules that are loaded: an error of another one cannot have been raised.
    """
    if isinstance(error, Failure):
        return error
    for module, explained in (
        ("cairn.wallet.errors", _wallet),
        ("cairn.consensus.errors", _rule),
        ("cairn.config", _config),
        ("cairn.storage.errors", _storage),
        ("cairn.ipc.client", _listener),
    ):
        if module in sys.modules:
            failure = explained(error)
            if failure is not None:
                return failure
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return Failure(f"{where}{error.strerror or error}", code="file")
    return None


def _wallet(error: BaseException) -> Failure | None:
    from cairn.wallet.errors import WalletError

    if isinstance(error, WalletError):
        return Failure(error.problem, error.fix, code="wallet")
    return None


def _rule(error: BaseException) -> Failure | None:
    from cairn.consensus.errors import RuleError

    if not isinstance(error, RuleError):
        return None
    code = error.rule.value
    exit_code = ExitCode.CONFIGURATION if code == "genesis-invalid" else ExitCode.FOUND
    return Failure(
        error.detail, FIXES.get(code, ""), exit_code=exit_code, code=code, numbers=error.numbers
    )


def _config(error: BaseException) -> Failure | None:
    from cairn.config import ConfigError

    if isinstance(error, ConfigError):
        return Failure(str(error), exit_code=ExitCode.CONFIGURATION)
    return None


def _storage(error: BaseException) -> Failure | None:
    from cairn.storage.errors import StorageError

    if isinstance(error, StorageError):
        return Failure(str(error), exit_code=ExitCode.CONFIGURATION, code="storage")
    return None


def _listener(error: BaseException) -> Failure | None:
    from cairn.ipc.client import ListenerUnavailable

    if isinstance(error, ListenerUnavailable):
        return Failure(
            str(error),
            FIXES["listener-unavailable"],
            exit_code=ExitCode.UNREACHABLE,
            code="listener-unavailable",
        )
    return None

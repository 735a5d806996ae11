"""Which network a command is about: from a genesis file, a built-in name, or the node."""

from pathlib import Path

from cairn.cli.command import NetworkChoice, NodeAt
from cairn.cli.failures import ExitCode, Failure
from cairn.consensus.params import REGTEST_GENESIS, NetworkParams, is_address_prefix, parse_genesis

_PATIENCE_SECONDS = 3.0
"""For a node that is asked only how addresses are written."""
MAX_GENESIS_BYTES = 16 * 1024 * 1024
"""Room for some hundred thousand allocations."""


def load_genesis(path: Path) -> NetworkParams:
    """The network that a genesis file defines. Raises Failure or RuleError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_GENESIS_BYTES + 1)
        if len(content) > MAX_GENESIS_BYTES:
            raise _bad_file(path, f"is larger than {MAX_GENESIS_BYTES} bytes")
        return parse_genesis(content.decode())
    except FileNotFoundError:
        raise Failure(
            f"{path}: no such file",
            "name the network's genesis file: --genesis FILE",
            exit_code=ExitCode.NOT_FOUND,
        ) from None
    except OSError as error:
        raise _bad_file(path, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _bad_file(path, "is no text") from None


def offline_params(network: NetworkChoice) -> NetworkParams | None:
    """The network that is named; None when none is."""
    if network.built_in == "regtest":
        return parse_genesis(REGTEST_GENESIS)
    return load_genesis(Path(network.genesis_file)) if network.genesis_file else None


def required_params(network: NetworkChoice) -> NetworkParams:
    """As `offline_params`; Failure when no network is named."""
    params = offline_params(network)
    if params is None:
        raise Failure(
            "which network? A proof says little without the genesis file it is checked against",
            "add --genesis FILE (the file your network's nodes use), or --network regtest",
            exit_code=ExitCode.USAGE,
        )
    return params


def _bad_file(path: Path, what: str) -> Failure:
    return Failure(f"{path} {what}", exit_code=ExitCode.CONFIGURATION)


def address_prefix(given: str | None, network: NetworkChoice, node: NodeAt) -> str | None:
    """How addresses begin: as given, else in the named network, else in the node's.

    None when nothing says it: no network is named, and no node answers.
    """
    if given:
        if not is_address_prefix(given):
            raise Failure(
                f"{given[:40]!r} is no address prefix",
                "it is what stands before the 1 of an address: 1 to 16 letters a to z",
                exit_code=ExitCode.USAGE,
            )
        return given
    params = offline_params(network)
    if params is not None:
        return params.address_prefix
    from cairn.cli.replies import Status, read

    quick = NodeAt(node.url, min(node.timeout_seconds, _PATIENCE_SECONDS))
    try:
        return read(quick.client().get("status"), Status).address_prefix
    except Failure as failure:
        if failure.exit_code is not ExitCode.UNREACHABLE:
            raise
        return None

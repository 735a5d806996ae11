"""`cairn doctor --self-check`: whether this release can run here, before anything depends on it.

It needs no key, no running node and no account on the database, so whoever installs a release
can ask. It changes nothing.
"""

import pkgutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import cairn
from cairn.cli.failures import Failure

# One frozen vector of each kind, from tests/vectors: two releases that disagree on any of them
# would be on two networks.
REGTEST_ID = "45cc3bf621b3403142b1980a3e7b45ff563b3e70e8e4022381bc87b928572767"
PUBLIC_KEY = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
ADDRESS = "cairn1w2778cg8htj9h3m6msawkhen2ugwxvsqrh6vas"
TRANSACTION = (
    "0102e4bb1dc0f32fe6463c0b786fb88fa71d2ecd89f77e2c8ad462f66bcde927e1da0000000000000000fdc3"
    "686fc29503e82f41b3843d886d573ebd17a10000000008f0d18000000000000003e8000000006553f17b0000"
    "031182a3806d3a857a9e18f2241d8dd3c1a519dffeb3520e447ea892a22a72543c86a61b8e776d799618b46d"
    "3060dcae99a8929efbef738f132d717ec1f30802"
)
TRANSACTION_ID = "b35ef897f1202001f8d799ef41566d233c24b75bd55cdabfaeb7d2c80134d659"
BLOCK_NETWORK_ID = "b6d1a1e9ef6c5041a9a283bdcb68e7635672d7ff599388e329df51ae7a3c3796"
BLOCK = (
    "00000001000000026f0a3a1540bba88f5a4b46474dc45be997dd5f89b0722f94283050068f93f0f5f5195651"
    "4ba7bdb152f0f8a075212229004de036b96b224f27ab5d9a09cdfabb000000006861d3bc207fffff00000000"
    "0000000000000004147da69730a0e30f74d049138d11bc632f24c75e000000004a818451066e6f6465203100"
    "0000010102e4bb1dc0f32fe6463c0b786fb88fa71d2ecd89f77e2c8ad462f66bcde927e1da00000000000000"
    "00fdc3686fc29503e82f41b3843d886d573ebd17a100000005d21dba0000000000000007d0000000006553f1"
    "0000006391583371250a81f77aba4efd7916fe6195e07c77a3fc40fbbe37fc3c410a36663374952cea137c5d"
    "c30cc07c8cfbb0a412c496385e6c9c18246eba0634f09f"
)
BLOCK_HASH = "1baa315028b95314f160df75cd7799434e3fa60a076cb70a2340e1a49c032f46"

_NOT_IMPORTED = ("cairn.storage.migrations.", "cairn.cli.__main__")
"""Alembic imports its own; the other would run."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A check that was passed: its name, what it saw, how long it took."""

    name: str
    detail: str
    seconds: float


def self_check(config_file: str | None) -> Iterator[CheckResult]:
    """The checks one after the other. Raises Failure naming the first that is not passed."""
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("imports", _imports),
        ("vectors", _vectors),
        ("mining kernel", _kernel),
        ("configuration", lambda: _configuration(config_file)),
        ("migrations", _migrations),
    )
    for name, check in checks:
        started = time.monotonic()
        try:
            detail = check()
        except Exception as error:
            problem = str(error) or type(error).__name__
            if not isinstance(error, Failure):
                problem = f"{type(error).__name__}: {problem}"
            raise Failure(f"{name}: {problem}", code="self-check") from error
        yield CheckResult(name, detail, time.monotonic() - started)


def _imports() -> str:
    names = [
        module.name
        for module in pkgutil.walk_packages(cairn.__path__, "cairn.")
        if not module.name.startswith(_NOT_IMPORTED)
    ]
    for name in names:
        import_module(name)
    return f"{len(names)} modules of cairn {cairn.__version__}"


def _vectors() -> str:
    from cairn.consensus.block import decode_block
    from cairn.consensus.crypto import address_of, encode_address, verify_signature
    from cairn.consensus.params import REGTEST_GENESIS, parse_genesis
    from cairn.consensus.transaction import decode_transaction

    network_id = bytes.fromhex(REGTEST_ID)
    transaction = decode_transaction(bytes.fromhex(TRANSACTION), network_id)
    message = transaction.signing_message(network_id)
    block = decode_block(bytes.fromhex(BLOCK), bytes.fromhex(BLOCK_NETWORK_ID), 1_000_000)
    computed = {
        "network id": (parse_genesis(REGTEST_GENESIS).network_id().hex(), REGTEST_ID),
        "address": (encode_address("cairn", address_of(bytes.fromhex(PUBLIC_KEY))), ADDRESS),
        "transaction id": (transaction.id.hex(), TRANSACTION_ID),
        "block hash": (block.hash.hex(), BLOCK_HASH),
    }
    for what, (found, frozen) in computed.items():
        if found != frozen:
            raise Failure(f"the {what} is {found}, and must be {frozen}")
    if not verify_signature(transaction.public_key, message, transaction.signature):
        raise Failure("a good signature is refused")
    if verify_signature(transaction.public_key, message + b"x", transaction.signature):
        raise Failure("a bad signature is accepted")
    return f"{len(computed) + 2} as frozen"


def _kernel() -> str:
    from cairn.mining.native import KernelUnavailable, load_native_kernel

    try:
        return load_native_kernel().name
    except KernelUnavailable as error:
        return f"pure Python: {error}"


def _configuration(config_file: str | None) -> str:
    from cairn.config import load_config

    config = load_config(config_file)
    return f"good, node {config.node.name} of network {config.params.name}"


def _migrations() -> str:
    """All of them, on a scratch database; what they make must be what the queries expect."""
    from sqlalchemy import inspect

    from cairn.storage.engine import open_engine
    from cairn.storage.migrate import migrate
    from cairn.storage.tables import metadata

    with tempfile.TemporaryDirectory(prefix="cairn-self-check-") as folder:
        url = f"sqlite:///{Path(folder) / 'scratch.db'}"
        applied = migrate(url)
        engine = open_engine(url, read_only=True)
        try:
            inspector = inspect(engine)
            for table in metadata.sorted_tables:
                made = {column["name"] for column in inspector.get_columns(table.name)}
                if wrong := made ^ set(table.columns.keys()):
                    raise Failure(f"table {table.name} differs in {', '.join(sorted(wrong))}")
        finally:
            engine.dispose()
    return (
        f"{len(applied)} applied to a scratch database, {len(metadata.tables)} tables as expected"
    )

"""A network's definition: the genesis file, and the genesis block that follows from it.

Every field is committed to by the genesis block, so two nodes with the same file have the
same genesis hash, the network id, and any change to the file makes another network.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from hashlib import sha256

from cairn.consensus.block import Block, Coinbase, build_block, build_header
from cairn.consensus.crypto import decode_address
from cairn.consensus.encoding import ADDRESS_BYTES, HASH_BYTES
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.proof_of_work import bits_to_target

UNITS_PER_COIN = 10**8
MAX_SUPPLY = 2**63 - 1
"""Allocations and all subsidies together stay below this, so every balance fits a signed
64-bit database column and no sum of balances can overflow."""

_COMMITMENT_TAG = b"cairn:genesis:v1"
_TEXT_RULES = {
    "name": re.compile(r"[a-z0-9][a-z0-9-]{0,31}"),
    "address_prefix": re.compile(r"[a-z]{1,16}"),
    "symbol": re.compile(r"[A-Z]{1,8}"),
}
_INTEGER_RANGES = {
    "genesis_time": (0, 2**40),
    "target_interval_seconds": (1, 86_400),
    "half_life_seconds": (1, 31_536_000),
    "initial_target": (1, 2**32 - 1),
    "target_limit": (1, 2**32 - 1),
    "initial_subsidy": (0, MAX_SUPPLY),
    "halving_interval_blocks": (1, 2**32 - 1),
    "max_block_bytes": (10_000, 4_000_000),
    "max_data_bytes": (0, 65_535),
}


@dataclass(frozen=True, slots=True)
class NetworkParams:
    """The rules' numbers on one network. Made by `parse_genesis`, which checks them."""

    name: str
    address_prefix: str
    """Human-readable part of addresses (Bech32m), 1 to 16 lower-case letters."""
    symbol: str
    """How the coin is written, as in `1.5 CRN`."""
    genesis_time: int
    """Seconds since the epoch: the genesis block's timestamp."""
    target_interval_seconds: int
    half_life_seconds: int
    """Delay against schedule that doubles the target (ASERT)."""
    initial_target: int
    """Compact bits of the genesis block, the anchor of the schedule."""
    target_limit: int
    """Compact bits of the easiest target allowed."""
    initial_subsidy: int
    """Base units a block may create at height 1."""
    halving_interval_blocks: int
    max_block_bytes: int
    max_data_bytes: int
    allocations: tuple[tuple[bytes, int], ...]
    """(address, base units) credited at genesis, sorted by address."""

    @property
    def is_development(self) -> bool:
        """Whether the difficulty begins at its easiest: nobody means such a chain to be hard
        to rewrite."""
        return self.initial_target == self.target_limit

    def subsidy(self, height: int) -> int:
        """Base units the block at `height` may create; rounds down at each halving."""
        if height == 0:
            return 0
        halvings = (height - 1) // self.halving_interval_blocks
        return self.initial_subsidy >> halvings if halvings < 64 else 0

    def genesis_block(self) -> Block:
        """Block 0: no transactions, no work asked of it; its coinbase commits to the file."""
        coinbase = Coinbase(bytes(ADDRESS_BYTES), 0, self._commitment())
        header = build_header(
            bytes(HASH_BYTES), 0, self.genesis_time, self.initial_target, coinbase, ()
        )
        return build_block(header, coinbase, ())

    def network_id(self) -> bytes:
        """The genesis hash, 32 bytes: what makes this network this network."""
        return self.genesis_block().hash

    def _commitment(self) -> bytes:
        texts = [self.name, self.address_prefix, self.symbol]
        parts = [_COMMITMENT_TAG]
        parts += [len(text).to_bytes(1, "big") + text.encode("ascii") for text in texts]
        parts += [getattr(self, name).to_bytes(8, "big") for name in _INTEGER_RANGES]
        parts.append(len(self.allocations).to_bytes(8, "big"))
        parts += [address + amount.to_bytes(8, "big") for address, amount in self.allocations]
        return sha256(b"".join(parts)).digest()


def is_address_prefix(text: str) -> bool:
    """Whether a network's addresses may begin so."""
    return _TEXT_RULES["address_prefix"].fullmatch(text) is not None


def parse_genesis(text: str) -> NetworkParams:
    """The network that a genesis file (TOML text) defines.

    Raises RuleError `genesis-invalid` (or an address rule) that names the field at fault.
    """
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also an integer of thousands of digits
        raise _bad_genesis(f"not TOML: {error}") from None
    wanted = {field.name for field in fields(NetworkParams)}
    if unknown := sorted(set(table) - wanted):
        raise _bad_genesis(f"unknown field {unknown[0]}")
    if missing := sorted(wanted - set(table) - {"allocations"}):
        raise _bad_genesis(f"missing field {missing[0]}")
    values: dict[str, object] = {}
    for name, pattern in _TEXT_RULES.items():
        values[name] = _checked_text(name, table[name], pattern)
    for name, (low, high) in _INTEGER_RANGES.items():
        values[name] = _checked_integer(name, table[name], low, high)
    prefix = str(values["address_prefix"])
    values["allocations"] = _parse_allocations(table.get("allocations", {}), prefix)
    params = NetworkParams(**values)  # type: ignore[arg-type]
    _check_together(params)
    return params


def _parse_allocations(table: object, prefix: str) -> tuple[tuple[bytes, int], ...]:
    if not isinstance(table, Mapping):
        raise _bad_genesis("allocations is a table of address = base units")
    allocations = {}
    for text, amount in table.items():
        address = decode_address(prefix, text)
        if address in allocations:
            raise _bad_genesis(f"allocations name {text} twice")
        allocations[address] = _checked_integer(f"allocations.{text}", amount, 1, MAX_SUPPLY)
    return tuple(sorted(allocations.items()))


def _check_together(params: NetworkParams) -> None:
    if _checked_target(params, "initial_target") > _checked_target(params, "target_limit"):
        raise _bad_genesis("initial_target is easier than target_limit")
    allocated = sum(amount for _, amount in params.allocations)
    halvings = (params.initial_subsidy >> halving for halving in range(64))
    supply = allocated + params.halving_interval_blocks * sum(halvings)
    if supply > MAX_SUPPLY:
        raise _bad_genesis(f"allocations and subsidies reach {supply}, at most {MAX_SUPPLY}")
    if params.max_data_bytes + 1_000 > params.max_block_bytes:
        raise _bad_genesis("max_data_bytes leaves no room in max_block_bytes")


def _checked_target(params: NetworkParams, name: str) -> int:
    try:
        return bits_to_target(getattr(params, name))
    except RuleError as error:
        raise _bad_genesis(f"{name}: {error.detail}") from None


def _checked_text(name: str, value: object, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _bad_genesis(f"{name} must match {pattern.pattern}, got {value!r}")
    return value


def _checked_integer(name: str, value: object, low: int, high: int) -> int:
    # bool is an int in Python, yet `true` is no amount
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise _bad_genesis(f"{name} must be an integer from {low} to {high}, got {value!r}")
    return value


def _bad_genesis(reason: str) -> RuleError:
    return RuleError(Rule.GENESIS_INVALID, reason)


REGTEST_GENESIS = """\
# For tests and laptops: a block is found at once, and the difficulty stays there.
name = "regtest"
address_prefix = "rcairn"
symbol = "RCRN"
genesis_time = 1700000000
target_interval_seconds = 1
half_life_seconds = 86400
initial_target = 0x207fffff
target_limit = 0x207fffff
initial_subsidy = 5000000000
halving_interval_blocks = 100000
max_block_bytes = 1000000
max_data_bytes = 1024
"""
"""The built-in network `regtest`: any hash with a zero first bit is a block."""

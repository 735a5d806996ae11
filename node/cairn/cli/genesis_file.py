"""Writes a genesis file that a person can read, with defaults that suit a private network."""

from collections.abc import Sequence
from dataclasses import dataclass

from cairn.consensus.crypto import encode_address
from cairn.consensus.params import UNITS_PER_COIN, NetworkParams, parse_genesis
from cairn.consensus.proof_of_work import bits_to_target, target_to_bits

DEFAULT_HASH_RATE = 500_000
"""Hashes a second of one core that mines in Python, on the slow side."""
HALF_LIFE_INTERVALS = 288
"""As on the network ASERT was made for: two days there, with blocks of ten minutes."""
EASIEST_BITS = 0x207FFFFF
EASIER_AT_MOST = 4
"""How much easier than at the start the difficulty may become. At the default hash rate and
interval a block at the limit takes 7.5 million hashes: a core that mines in Python 15 s, with
the native kernel 0.7 s. Blocks so far below the real rate are for those who rewrite history."""
_HALVING_SECONDS = 4 * 365 * 86_400


@dataclass(frozen=True, slots=True)
class GenesisChoices:
    """What the founder of a network decides. None: the default that follows from the rest."""

    name: str
    prefix: str
    symbol: str
    time: int
    interval_seconds: int = 60
    half_life_seconds: int | None = None
    hash_rate: int = DEFAULT_HASH_RATE
    """Expected of the whole network at its start, hashes a second."""
    subsidy: int = 50 * UNITS_PER_COIN
    halving_blocks: int | None = None
    max_block_bytes: int = 1_000_000
    max_data_bytes: int = 1_024
    allocations: Sequence[tuple[bytes, int]] = ()
    """(address, base units)."""


def target_for(hash_rate: int, interval_seconds: int) -> int:
    """The target that `hash_rate` meets once in `interval_seconds` on average."""
    return min(2**256 // max(hash_rate * interval_seconds, 2), bits_to_target(EASIEST_BITS))


def write_genesis(choices: GenesisChoices) -> tuple[str, NetworkParams]:
    """The commented file, and the network it defines. Raises RuleError `genesis-invalid`."""
    target = target_for(choices.hash_rate, choices.interval_seconds)
    limit = min(target * EASIER_AT_MOST, bits_to_target(EASIEST_BITS))
    half_life = choices.half_life_seconds or HALF_LIFE_INTERVALS * choices.interval_seconds
    halving = choices.halving_blocks or max(_HALVING_SECONDS // choices.interval_seconds, 1)
    text = _TEMPLATE.format(
        name=_toml(choices.name),
        prefix=_toml(choices.prefix),
        symbol=_toml(choices.symbol),
        time=choices.time,
        interval=choices.interval_seconds,
        half_life=half_life,
        hash_rate=f"{choices.hash_rate:,}",
        initial=target_to_bits(target),
        limit=target_to_bits(limit),
        easier=EASIER_AT_MOST,
        subsidy=choices.subsidy,
        halving=halving,
        max_block=choices.max_block_bytes,
        max_data=choices.max_data_bytes,
    )
    for address, amount in choices.allocations:
        text += f'"{encode_address(choices.prefix, address)}" = {amount}\n'
    return text, parse_genesis(text)


def _toml(text: str) -> str:
    """A TOML string; parse_genesis then refuses whatever is no plain name."""
    escaped = "".join(
        character if character.isalnum() or character in "-_" else f"\\U{ord(character):08X}"
        for character in text
    )
    return f'"{escaped}"'


_TEMPLATE = """\
# A Cairn network. Two nodes with the same values here are on the same network; whoever
# changes one makes another network. Give this file to every node: [node] network = "FILE".

name = {name}
# Addresses begin with this, then 1.
address_prefix = {prefix}
# How the coin is written.
symbol = {symbol}

# The clock of the schedule starts here (seconds since 1970, UTC). Start mining soon after:
# a network that starts late catches up with quick blocks.
genesis_time = {time}

# A block every so many seconds, on average.
target_interval_seconds = {interval}
# A chain this far behind its schedule gets twice as easy, this far ahead twice as hard.
half_life_seconds = {half_life}
# Difficulty of the first blocks, for about {hash_rate} hashes a second: one core that mines
# in Python finds a block in about the interval. It follows the real rate from then on.
initial_target = {initial:#010x}
# It never becomes easier than this: {easier} times the initial target, or half of all hashes.
# With less hash rate than that takes, blocks come late, and the nodes raise an alert.
target_limit = {limit:#010x}

# What a block may create, in base units of 1/100,000,000 coin; it halves after so many blocks.
initial_subsidy = {subsidy}
halving_interval_blocks = {halving}

max_block_bytes = {max_block}
# The longest note a transaction carries.
max_data_bytes = {max_data}

# Address = base units it holds from the start.
[allocations]
"""

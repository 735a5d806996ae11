"""What the commands read of the API's answers: decoded once, checked by type and range.

Fields the commands do not use are ignored, so that a newer node is understood too.
"""

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from cairn.cli.failures import ExitCode, Failure

Amount = Annotated[str, Meta(pattern=r"^-?(0|[1-9][0-9]{0,39})$")]
Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Hex = Annotated[str, Meta(pattern=r"^([0-9a-f]{2})*$")]
Count = Annotated[int, Meta(ge=0)]

Answer = TypeVar("Answer")


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all."""


class Tip(Reply, frozen=True):
    """The last block."""

    hash: Hash
    height: Count
    timestamp: Count


class PoolTotals(Reply, frozen=True):
    """What waits."""

    transactions: Count
    bytes: Count


class PeerCounts(Reply, frozen=True):
    """Nodes."""

    known: Count
    connected: Count


class Miner(Reply, frozen=True):
    """`mode` is null when none reports."""

    mode: str | None
    hashes_per_second: Count


class Alert(Reply, frozen=True):
    """Something the operator should know."""

    code: str
    detail: str
    since: Count


class Versions(Reply, frozen=True):
    """Of the software."""

    node: str


class Status(Reply, frozen=True):
    """`GET status`."""

    name: str
    network: str
    network_id: Hash
    address_prefix: Annotated[str, Meta(pattern=r"^[a-z]{1,16}$")]
    symbol: Annotated[str, Meta(pattern=r"^[A-Z]{1,8}$")]
    height: Count
    tip: Tip
    chain_work: Amount
    target_interval_seconds: Annotated[int, Meta(ge=1)]
    hash_rate: Amount
    transactions: Count
    supply: Amount
    pool: PoolTotals
    peers: PeerCounts
    sync_state: str
    best_peer_height: Count
    listener: str
    miner: Miner
    recipient: str | None
    max_data_bytes: Count
    min_fee_per_byte: Count
    versions: Versions
    alerts: list[Alert]


class Coinbase(Reply, frozen=True):
    """What the miner took."""

    recipient: str
    amount: Amount
    extra: Hex


class Block(Reply, frozen=True):
    """A block without its transactions."""

    hash: Hash
    height: Count
    previous_hash: Hash
    merkle_root: Hash
    timestamp: Count
    bits: str
    nonce: Amount
    chain_work: Amount
    transaction_count: Count
    size_bytes: Count
    fees: Amount
    coinbase: Coinbase


class BlockPage(Reply, frozen=True):
    """`GET blocks`: newest first."""

    items: list[Block]


class Transaction(Reply, frozen=True):
    """Mined or waiting."""

    id: Hash
    sender: str
    sequence: Count
    recipient: str
    amount: Amount
    fee: Amount
    timestamp: Count
    data: Hex
    size_bytes: Count


class BlockDetail(Block, frozen=True):
    """`GET blocks/{height or hash}`."""

    confirmations: Count
    transactions: list[Transaction]


class BlockPosition(Reply, frozen=True):
    """Where a transaction is."""

    hash: Hash
    height: Count
    position: Count
    timestamp: Count


class FoundTransaction(Transaction, frozen=True):
    """`GET transactions/{id}`; `block` is null while it waits."""

    status: str
    block: BlockPosition | None
    confirmations: Count
    received_at: int | None


class Proof(Reply, frozen=True):
    """`GET transactions/{id}/proof`."""

    transaction_id: Hash
    transaction: Hex
    height: Annotated[int, Meta(ge=1)]
    leaf_index: Count
    leaf_count: Count
    path: Annotated[list[Hash], Meta(max_length=64)]


class PendingState(Reply, frozen=True):
    """Once all that waits is mined."""

    balance: Amount
    next_sequence: Count
    sent: Amount
    received: Amount
    transactions: Count


class Account(Reply, frozen=True):
    """`GET accounts/{address}`."""

    address: str
    balance: Amount
    next_sequence: Count
    pending: PendingState


class PoolPage(Reply, frozen=True):
    """`GET pool`."""

    items: list[FoundTransaction]
    next: str | None


class ProblemDetail(Reply, frozen=True):
    """What is wrong with one of many."""

    code: str
    detail: str
    numbers: dict[str, int | str] = {}


class PoolFault(Reply, frozen=True):
    """A waiting transaction that no block can take."""

    id: Hash
    problem: ProblemDetail


class PoolCheck(Reply, frozen=True):
    """`GET pool/check`."""

    checked: Count
    valid: Count
    problems: list[PoolFault]
    next: str | None


class Accepted(Reply, frozen=True):
    """`POST transactions` of one."""

    id: Hash


class Node(Reply, frozen=True):
    """A known node."""

    curve_key: str
    name: str
    url: str
    publish: str
    version: str
    state: str
    connected: bool
    height: Count
    lag_milliseconds: Count
    score: Count
    banned_until: Count
    last_seen: Count


class NodePage(Reply, frozen=True):
    """`GET nodes`."""

    items: list[Node]
    next: str | None


class Done(Reply, frozen=True):
    """It was carried out."""

    detail: str


def read(document: Any, reply_type: type[Answer]) -> Answer:
    """The answer as its type. Raises Failure when it is none: then this is no Cairn node."""
    try:
        return msgspec.convert(document, reply_type)
    except msgspec.ValidationError as error:
        raise Failure(
            f"the node's answer is not what this version reads: {error}",
            "compare versions: `cairn --version`, `cairn status --json`",
            exit_code=ExitCode.UNREACHABLE,
            code="not-a-node",
        ) from None

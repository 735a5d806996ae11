"""The shapes of the REST API: what comes in and goes out, and the schemas in its OpenAPI document.

Here: problems and the ledger; of the node itself: `node_models`.

Amounts, fees, balances and other numbers that may pass 2^53 are strings of decimal digits;
hashes, keys and bytes are lower-case hex; times are seconds since the epoch.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Amount = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]*)$", description="Base units, decimal.")]
Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$", description="32 bytes, hex.")]
Hex = Annotated[str, Meta(pattern=r"^([0-9a-f]{2})*$", description="Bytes, hex.")]
Address = Annotated[str, Meta(description="Bech32m with the network's prefix.")]
Time = Annotated[int, Meta(ge=0, description="Seconds since the epoch, UTC.")]
Count = Annotated[int, Meta(ge=0)]
Cursor = Annotated[str | None, Meta(description="Pass as `cursor` for what follows; null: end.")]


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything the API answers."""


# -- problems ---------------------------------------------------------------------------------


class ProblemDetail(Model, frozen=True):
    """What is wrong with one item of a batch."""

    code: Annotated[str, Meta(description="Stable: the rule that was broken.")]
    detail: Annotated[str, Meta(description="One line that names the numbers.")]
    numbers: dict[str, int | str] = {}


class ProblemDocument(Model, frozen=True):
    """RFC 9457 problem details; `code` is stable and says which rule was broken."""

    type: str
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    code: str
    numbers: dict[str, int | str] = {}


# -- chain ------------------------------------------------------------------------------------


class GenesisView(Model, frozen=True):
    """The network's definition, as in its genesis file."""

    hash: Annotated[Hash, Meta(description="Of the genesis block: the network id.")]
    name: str
    address_prefix: str
    symbol: str
    genesis_time: Time
    target_interval_seconds: Count
    half_life_seconds: Count
    initial_target: Count
    target_limit: Count
    initial_subsidy: Amount
    halving_interval_blocks: Count
    max_block_bytes: Count
    max_data_bytes: Count
    allocations: dict[str, Amount]


class CoinbaseView(Model, frozen=True):
    """What the miner took."""

    recipient: Address
    amount: Amount
    extra: Hex


class BlockView(Model, frozen=True):
    """A block of the active chain without its transactions."""

    hash: Hash
    height: Count
    previous_hash: Hash
    merkle_root: Hash
    timestamp: Time
    bits: str
    nonce: Amount
    chain_work: Amount
    transaction_count: Count
    size_bytes: Count
    fees: Amount
    coinbase: CoinbaseView


class BlockPosition(Model, frozen=True):
    """Where a transaction is in the active chain."""

    hash: Hash
    height: Count
    position: Annotated[Count, Meta(description="Within the block, from 0.")]
    timestamp: Time


class TransactionView(Model, frozen=True):
    """A transaction, mined or waiting."""

    id: Hash
    sender: Address
    public_key: Hex
    sequence: Count
    recipient: Address
    amount: Amount
    fee: Amount
    timestamp: Annotated[Count, Meta(description="The sender's claim, any 64-bit number.")]
    data: Hex
    signature: Hex
    size_bytes: Count


class FoundTransaction(TransactionView, frozen=True):
    """A transaction and where it is."""

    status: Literal["mined", "waiting"]
    block: Annotated[BlockPosition | None, Meta(description="null while it waits.")]
    confirmations: Annotated[Count, Meta(description="Blocks from its own on; 0: it waits.")]
    received_at: Annotated[Time | None, Meta(description="When it came to the pool; null: mined.")]


class BlockDetail(BlockView, frozen=True):
    """A block of the active chain with its transactions in order."""

    confirmations: Count
    transactions: list[TransactionView]


class BlockPage(Model, frozen=True):
    """Blocks, newest first. `next` is the `before` of the next page."""

    items: list[BlockView]
    next: Annotated[str | None, Meta(description="Pass as `before`; null: end.")]


class ProofView(Model, frozen=True):
    """A merkle proof. With headers 1 to any at or past `height` it verifies offline."""

    transaction_id: Hash
    transaction: Annotated[Hex, Meta(description="Canonical bytes: the merkle leaf.")]
    height: Count
    block_hash: Hash
    header: Annotated[Hex, Meta(description="The block's header, 96 bytes.")]
    leaf_index: Annotated[Count, Meta(description="The coinbase is leaf 0.")]
    leaf_count: Count
    path: Annotated[list[Hash], Meta(description="Sibling hashes from the leaf up.")]
    network_id: Hash


class BranchView(Model, frozen=True):
    """Stored blocks outside the active chain, up to a tip that none builds on."""

    tip: Hash
    height: Annotated[Count, Meta(description="Of the tip.")]
    status: Annotated[
        Literal["valid", "invalid"],
        Meta(description="invalid: a block of it broke a rule when it was followed."),
    ]
    fork_height: Annotated[
        Count | None, Meta(description="Of the active block it builds on; null: too deep to say.")
    ]
    fork_hash: Hash | None
    depth: Annotated[Count | None, Meta(description="Blocks of the active chain above the fork.")]
    blocks: Annotated[Count, Meta(description="Of the branch, at least.")]
    transactions: Count
    chain_work: Amount
    branch_work: Annotated[Amount | None, Meta(description="Above the fork.")]
    active_work: Annotated[
        Amount | None, Meta(description="Of the active chain above the same fork.")
    ]
    first_received_at: Time
    last_received_at: Time


class BranchPage(Model, frozen=True):
    """Branches that are not followed, the highest tips first."""

    items: list[BranchView]
    next: Cursor


class ReorganisationView(Model, frozen=True):
    """A move of the tip that undid blocks."""

    number: Count
    happened_at: Time
    fork_height: Count
    fork_hash: Hash
    old_tip: Hash
    new_tip: Hash
    old_height: Count
    new_height: Count
    old_work: Amount
    new_work: Amount
    blocks_undone: Count
    blocks_connected: Count
    transactions_undone: Count
    transactions_mined_again: Annotated[Count, Meta(description="Of the undone.")]
    transactions_returned: Annotated[Count, Meta(description="Of the undone, to the pool.")]
    transactions_dropped: Annotated[
        Count, Meta(description="Of the undone: the new branch excludes them, or the pool is full.")
    ]


class ReorganisationPage(Model, frozen=True):
    """The last reorganisations, newest first. A node keeps 1,000."""

    items: list[ReorganisationView]
    next: Cursor


# -- accounts ---------------------------------------------------------------------------------


class PendingState(Model, frozen=True):
    """The account once all that waits is mined."""

    balance: Annotated[str, Meta(pattern=r"^-?(0|[1-9][0-9]*)$")]
    next_sequence: Count
    sent: Amount
    received: Amount
    transactions: Annotated[Count, Meta(description="Waiting ones that this account sent.")]


class AccountView(Model, frozen=True):
    """An account; an address never seen has zeros."""

    address: Address
    balance: Annotated[Amount, Meta(description="Confirmed, base units.")]
    confirmed_sequence: Annotated[Count, Meta(description="How many mined ones it has sent.")]
    next_sequence: Annotated[
        Count, Meta(description="What its next transaction carries, waiting ones counted.")
    ]
    pending: PendingState


class HistoryPage(Model, frozen=True):
    """Mined transactions of an account, sent and received, newest first."""

    items: list[FoundTransaction]
    next: Cursor


# -- pool -------------------------------------------------------------------------------------


class PoolPage(Model, frozen=True):
    """Waiting transactions."""

    items: list[FoundTransaction]
    next: Cursor


class PoolFault(Model, frozen=True):
    """A waiting transaction that would not be taken into a block."""

    id: Hash
    problem: ProblemDetail


class PoolCheck(Model, frozen=True):
    """What checking a page of the pool again found: signatures, sequences, balances."""

    checked: Count
    valid: Count
    problems: list[PoolFault]
    next: Cursor


class FeesView(Model, frozen=True):
    """Fees per byte of a transaction, base units, by what waits now: none below another."""

    minimum: Annotated[Amount, Meta(description="Less is refused.")]
    low: Annotated[Amount, Meta(description="Among the best three blocks full.")]
    normal: Annotated[Amount, Meta(description="Among the best block full: the next block.")]
    high: Annotated[Amount, Meta(description="Among the better half of the next block.")]


# -- submitting -------------------------------------------------------------------------------


class NewTransaction(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A signed transaction. The signature is over tag ‖ network id ‖ canonical bytes."""

    public_key: Annotated[str, Meta(description="33 bytes, hex, compressed SEC1.")]
    sequence: Annotated[int | str, Meta(description="A number below 2^53, or decimal digits.")]
    recipient: Annotated[str, Meta(description="Bech32m address.")]
    amount: Annotated[str, Meta(description="Base units, decimal digits.")]
    fee: Annotated[str, Meta(description="Base units, decimal digits.")]
    timestamp: Annotated[int | str, Meta(description="A number below 2^53, or decimal digits.")]
    signature: Annotated[str, Meta(description="64 bytes r ‖ s, hex, low s.")]
    data: Annotated[str | msgspec.UnsetType, Meta(description="Hex.")] = msgspec.UNSET


class AcceptedView(Model, frozen=True):
    """The transaction is checked and durable, and waits for a block."""

    id: Hash


class SubmittedItem(Model, frozen=True):
    """The fate of one of a batch."""

    id: Annotated[Hash | None, Meta(description="null: not a transaction at all.")]
    status: Literal["accepted", "refused"]
    problem: ProblemDetail | None = None


class SubmittedPage(Model, frozen=True):
    """One item for each transaction of the batch, in order."""

    items: list[SubmittedItem]
    next: None = None

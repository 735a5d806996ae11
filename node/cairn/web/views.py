"""From what storage answers to what the API shows. Also what the pages are rendered from."""

from cairn.chain.node_store import NodeRow
from cairn.chain.store import BlockStatus
from cairn.consensus.block import Block
from cairn.consensus.encoding import HASH_BYTES
from cairn.consensus.params import UNITS_PER_COIN
from cairn.consensus.transaction import Transaction
from cairn.storage.answers import BlockSummary, MinedTransaction, WaitingTransaction
from cairn.storage.rows import read_block, read_transaction
from cairn.web.bodies import decimal_number, hex_bytes
from cairn.web.models import (
    AccountView,
    BlockDetail,
    BlockPosition,
    BlockView,
    CoinbaseView,
    FoundTransaction,
    PendingState,
    TransactionView,
)
from cairn.web.node import WebNode
from cairn.web.node_models import NodeView
from cairn.web.problems import ApiProblem

MAX_HEIGHT = 2**32 - 1


def transaction_fields(transaction: Transaction, node: WebNode) -> dict[str, object]:
    """The fields of a TransactionView."""
    return {
        "id": transaction.id.hex(),
        "sender": node.encode_address(transaction.sender),
        "public_key": transaction.public_key.hex(),
        "sequence": transaction.sequence,
        "recipient": node.encode_address(transaction.recipient),
        "amount": str(transaction.amount),
        "fee": str(transaction.fee),
        "timestamp": transaction.timestamp,
        "data": transaction.data.hex(),
        "signature": transaction.signature.hex(),
        "size_bytes": len(transaction.raw),
    }


def mined_view(mined: MinedTransaction, tip_height: int, node: WebNode) -> FoundTransaction:
    """A transaction of the active chain."""
    transaction = read_transaction(mined.id, mined.raw, node.network_id)
    block = BlockPosition(
        hash=mined.block_hash.hex(),
        height=mined.height,
        position=mined.position,
        timestamp=mined.block_time,
    )
    return FoundTransaction(
        **transaction_fields(transaction, node),  # type: ignore[arg-type]
        status="mined",
        block=block,
        confirmations=max(1, tip_height - mined.height + 1),
        received_at=None,
    )


def waiting_view(waiting: WaitingTransaction, node: WebNode) -> FoundTransaction:
    """A transaction of the pool."""
    transaction = read_transaction(waiting.id, waiting.raw, node.network_id)
    return FoundTransaction(
        **transaction_fields(transaction, node),  # type: ignore[arg-type]
        status="waiting",
        block=None,
        confirmations=0,
        received_at=waiting.received_at,
    )


def find_transaction(text: str, node: WebNode) -> FoundTransaction:
    """The transaction with this id (hex). Raises ApiProblem `not-found` or `hex-invalid`."""
    transaction_id = hex_bytes(text, "id", length=HASH_BYTES)
    found = node.queries.transaction(transaction_id)
    if found is None:
        raise ApiProblem("not-found", f"no transaction {text} is in the chain or waits")
    if isinstance(found, WaitingTransaction):
        return waiting_view(found, node)
    return mined_view(found, tip_height(node), node)


def block_fields(block: BlockSummary, node: WebNode) -> dict[str, object]:
    """The fields of a BlockView."""
    header = block.header
    coinbase = CoinbaseView(
        recipient=node.encode_address(block.coinbase_recipient),
        amount=str(block.coinbase_amount),
        extra=block.coinbase_extra.hex(),
    )
    return {
        "hash": block.hash.hex(),
        "height": header.height,
        "previous_hash": header.previous_hash.hex(),
        "merkle_root": header.merkle_root.hex(),
        "timestamp": header.timestamp,
        "bits": f"{header.bits:08x}",
        "nonce": str(header.nonce),
        "chain_work": str(block.chain_work),
        "transaction_count": block.transaction_count,
        "size_bytes": block.size_bytes,
        "fees": str(block.fees),
        "coinbase": coinbase,
    }


def block_view(block: BlockSummary, node: WebNode) -> BlockView:
    """A block without its transactions."""
    return BlockView(**block_fields(block, node))  # type: ignore[arg-type]


def find_block(text: str, node: WebNode) -> BlockSummary:
    """The active block with this height or hash. Raises ApiProblem."""
    if len(text) == 2 * HASH_BYTES:
        block = node.queries.block_by_hash(hex_bytes(text, "hash", length=HASH_BYTES))
    else:
        block = node.queries.block_by_height(decimal_number(text, "height", MAX_HEIGHT))
    if block is None or block.status is not BlockStatus.ACTIVE:
        raise ApiProblem("not-found", f"no block {text} is in the chain")
    return block


def load_block(block: BlockSummary, node: WebNode) -> Block:
    """The whole block."""
    raw = node.queries.block_bytes(block.hash)
    if raw is None:
        raise ApiProblem("not-found", f"block {block.hash.hex()} left the chain just now")
    return read_block(block.hash, raw, node.network_id)


def block_detail(summary: BlockSummary, node: WebNode) -> BlockDetail:
    """The block with its transactions."""
    block = load_block(summary, node)
    return BlockDetail(
        **block_fields(summary, node),  # type: ignore[arg-type]
        confirmations=max(1, tip_height(node) - summary.height + 1),
        transactions=[transaction_view(each, node) for each in block.transactions],
    )


def transaction_view(transaction: Transaction, node: WebNode) -> TransactionView:
    """A transaction by itself."""
    return TransactionView(**transaction_fields(transaction, node))  # type: ignore[arg-type]


def tip_height(node: WebNode) -> int:
    """Of the active chain; 0 before genesis."""
    tip = node.queries.tip()
    return tip.height if tip else 0


def account_view(text: str, node: WebNode) -> AccountView:
    """The account at this address. Raises RuleError for a bad one."""
    address = node.decode_address(text)
    account = node.queries.account(address)
    return AccountView(
        address=node.encode_address(address),
        balance=str(account.confirmed.balance),
        confirmed_sequence=account.confirmed.next_sequence,
        next_sequence=account.next_sequence,
        pending=PendingState(
            balance=str(account.pending_balance),
            next_sequence=account.next_sequence,
            sent=str(account.pending_sent),
            received=str(account.pending_received),
            transactions=account.pending_count,
        ),
    )


def node_view(row: NodeRow, connected: bool | None, node: WebNode) -> NodeView:
    """A known node; `connected` as the listener sees it now, None: only the row is known."""
    is_connected = row.state == "connected" if connected is None else connected
    state = row.state
    if state in ("connected", "disconnected"):
        state = "connected" if is_connected else "disconnected"
    return NodeView(
        curve_key=row.curve_key,
        name=row.name,
        url=row.url,
        publish=row.publish,
        request=row.request,
        address=node.encode_address(row.address),
        version=row.version,
        state=state,
        connected=is_connected,
        height=row.height,
        lag_milliseconds=row.lag_milliseconds,
        score=row.score,
        banned_until=row.banned_until,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        record=row.record.hex(),
    )


def coins(units: str | int) -> str:
    """Base units as a decimal number of coins, without trailing zeros."""
    number = int(units)
    whole, rest = divmod(abs(number), UNITS_PER_COIN)
    sign = "-" if number < 0 else ""
    return f"{sign}{whole:,}" + (f".{rest:08d}".rstrip("0") if rest else "")

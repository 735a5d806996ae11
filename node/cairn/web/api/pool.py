"""What waits for a block, and checking all of it again."""

from itertools import groupby

from cairn.chain.pool_entry import FEE_RATE_BITS
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.ledger import EMPTY_ACCOUNT, Account
from cairn.consensus.transaction import decode_transaction
from cairn.consensus.validation import check_signature, check_transaction_sanity
from cairn.storage.answers import PoolOrder, WaitingTransaction
from cairn.web.api.routing import CURSOR, LIMIT, Answer, Parameter, api
from cairn.web.cursors import encode_cursor, pool_cursor
from cairn.web.models import FeesView, PoolCheck, PoolFault, PoolPage, ProblemDetail
from cairn.web.node import WebNode, this_node
from cairn.web.views import waiting_view

MAX_CHECKED = 2_000
MAX_PER_SENDER = 80
"""What the pool holds of one sender: a page of checks has room for all of them."""
_ATTEMPTS = 3
ORDER = Parameter(
    "order",
    "`fee-rate` (default): dearest per byte first; `age`: longest waiting first.",
    choices=(PoolOrder.FEE_RATE.value, PoolOrder.AGE.value),
)
CHECK_LIMIT = Parameter(
    "limit", "How many to check.", low=MAX_PER_SENDER + 1, high=MAX_CHECKED, default=500
)


@api.route("GET /pool", "pool", PoolPage, parameters=(ORDER, CURSOR, LIMIT), problems=(400,))
def list_pool() -> Answer:
    """Transactions that wait for a block."""
    order = PoolOrder(ORDER.text() or PoolOrder.FEE_RATE)
    return pool_page(order, CURSOR.text(), LIMIT.number(), this_node())


def pool_page(order: PoolOrder, cursor: str | None, limit: int, node: WebNode) -> PoolPage:
    """A page of the pool."""
    found = node.queries.pool(order, pool_cursor(cursor, order), limit)
    following = encode_cursor(found[-1].cursor(order)) if len(found) == limit else None
    return PoolPage(items=[waiting_view(each, node) for each in found], next=following)


@api.route("GET /fees", "pool", FeesView)
def get_fees() -> Answer:
    """What to pay per byte, as the pool is now."""
    return fees_view(this_node())


def fees_view(node: WebNode) -> FeesView:
    """Suggested fees: to outbid what stands where a half, one and three blocks are full.

    Where that is follows from the mean size of what waits, so that it needs no reading of all.
    """
    minimum = node.config.pool.min_fee_per_byte
    totals = node.queries.pool_totals()
    mean_size = totals.size_bytes // totals.transactions if totals.transactions else 1
    in_block = node.params.max_block_bytes // max(1, mean_size)
    ranks = (3 * in_block, in_block, in_block // 2)
    low, normal, high = (max(minimum, _outbidding(rate)) for rate in node.queries.pool_rates(ranks))
    return FeesView(minimum=str(minimum), low=str(low), normal=str(normal), high=str(high))


def _outbidding(rate: int) -> int:
    """The least whole fee per byte above a stored rate (per byte times 2^20)."""
    return (rate >> FEE_RATE_BITS) + 1 if rate else 0


@api.route(
    "GET /pool/check",
    "pool",
    PoolCheck,
    parameters=(CURSOR, CHECK_LIMIT),
    problems=(400, 503),
)
def check_pool() -> Answer:
    """Check signatures, sequences and balances of waiting transactions again.

    Whole senders are checked, as many as the limit allows; `next` goes on with the others. A
    transaction that waits for an earlier sequence is no fault.
    """
    return pool_check(CURSOR.text(), CHECK_LIMIT.number(), this_node())


def pool_check(cursor: str | None, limit: int, node: WebNode) -> PoolCheck:
    """Checks the waiting transactions of as many senders as `limit` allows.

    Raises ApiProblem `node-busy` while another check is under way.
    """
    with node.pool_checks.one():
        for _ in range(_ATTEMPTS):
            before = node.queries.tip()
            page = _check_page(cursor, limit, node)
            if not page.problems or node.queries.tip() == before:
                break  # a block that came in between would make mined ones look stale
        return page


def _check_page(cursor: str | None, limit: int, node: WebNode) -> PoolCheck:
    order = PoolOrder.SENDER
    found = node.queries.pool(order, pool_cursor(cursor, order), limit)
    following = None
    if len(found) == limit:  # the last sender may have more: leave it for the next page
        complete = [each for each in found if each.sender != found[-1].sender] or found
        following, found = encode_cursor(complete[-1].cursor(order)), complete
    accounts = node.queries.accounts({each.sender for each in found})
    faults = []
    for sender, group in groupby(found, key=lambda each: each.sender):
        account = accounts.get(sender, EMPTY_ACCOUNT)
        faults += _sender_faults(list(group), account, node)
    return PoolCheck(
        checked=len(found), valid=len(found) - len(faults), problems=faults, next=following
    )


def _sender_faults(
    group: list[WaitingTransaction], account: Account, node: WebNode
) -> list[PoolFault]:
    """What is wrong with one sender's transactions, in order of sequence."""
    faults = []
    left = account.balance
    for waiting in group:
        try:
            transaction = decode_transaction(waiting.raw, node.network_id)
            _check_row(waiting, transaction.id)
            check_transaction_sanity(transaction, node.params)
            check_signature(transaction, node.network_id)
            left -= transaction.cost
            _check_affordable(waiting, account, left)
        except RuleError as error:
            problem = ProblemDetail(
                code=error.rule.value, detail=error.detail, numbers=error.numbers
            )
            faults.append(PoolFault(id=waiting.id.hex(), problem=problem))
    return faults


def _check_row(waiting: WaitingTransaction, transaction_id: bytes) -> None:
    if waiting.id != transaction_id:
        raise RuleError(
            Rule.SIGNATURE_INVALID,
            f"stored as {waiting.id.hex()}, its bytes are those of {transaction_id.hex()}",
        )


def _check_affordable(waiting: WaitingTransaction, account: Account, left: int) -> None:
    if waiting.sequence < account.next_sequence:
        raise RuleError(
            Rule.SEQUENCE_MISMATCH,
            f"sequence {waiting.sequence}, the account's next is {account.next_sequence}",
            sequence=waiting.sequence,
            expected=account.next_sequence,
        )
    if left < 0:
        raise RuleError(
            Rule.BALANCE_INSUFFICIENT,
            f"with those before it, it spends {account.balance - left} of {account.balance}",
            spent=account.balance - left,
            balance=account.balance,
        )

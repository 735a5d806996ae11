"""Transactions that clients post: parsed, bounded, and handed to the listener, which checks all."""

from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from cairn.consensus.encoding import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, U64_MAX
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.params import NetworkParams
from cairn.consensus.transaction import (
    MINIMUM_TRANSACTION_BYTES,
    UnsignedTransaction,
    decode_transaction_at,
)
from cairn.ipc.messages import MAX_SUBMITTED, SubmitResult, Submitted, SubmitTransactions
from cairn.web.bodies import check_duplicate_keys, decimal_number, decode_json, hex_bytes
from cairn.web.models import NewTransaction, ProblemDetail, SubmittedItem, SubmittedPage
from cairn.web.node import WebNode
from cairn.web.problems import ApiProblem

MAX_SAFE_INTEGER = 2**53 - 1
"""Above it a JSON number is not exact in every program: decimal digits are then asked for."""
MAX_BODY_BYTES = 8 * 1024 * 1024
_REQUIRED_FIELDS = 7
_JSON_OVERHEAD_BYTES = 400
"""Names, punctuation and short fields of one transaction as JSON."""

Offered: TypeAlias = bytes | ApiProblem
"""Canonical bytes to submit, or why there are none."""

_one = msgspec.json.Decoder(NewTransaction)
_many = msgspec.json.Decoder(list[NewTransaction])


def max_json_bytes(params: NetworkParams) -> int:
    """The largest JSON body taken: a full batch of the largest transactions."""
    largest = 2 * (MINIMUM_TRANSACTION_BYTES + params.max_data_bytes) + _JSON_OVERHEAD_BYTES
    return min(MAX_SUBMITTED * largest, MAX_BODY_BYTES)


def max_canonical_bytes(params: NetworkParams) -> int:
    """The largest body of canonical bytes taken."""
    largest = MINIMUM_TRANSACTION_BYTES + params.max_data_bytes
    return min(MAX_SUBMITTED * largest, MAX_BODY_BYTES)


def parse_json(body: bytes, node: WebNode) -> tuple[list[Offered], bool]:
    """What a JSON body offers, in order, and whether it is a single transaction.

    A field that is no hex, number or address spoils its own transaction alone. Raises
    ApiProblem when the body itself is at fault.
    """
    single = not body.lstrip(b" \t\r\n").startswith(b"[")
    items = [decode_json(body, _one)] if single else decode_json(body, _many)
    _check_count(len(items))
    # Each object was found to have all its keys, so one more colon than keys is a key too
    # many (or a string with a colon, which is at fault anyway).
    if body.count(b":") > sum(_keys(item) for item in items):
        check_duplicate_keys(body)
    return [_offer(item, node) for item in items], single


def _keys(item: NewTransaction) -> int:
    return _REQUIRED_FIELDS + (item.data is not msgspec.UNSET)


def parse_canonical(body: bytes, node: WebNode) -> tuple[list[Offered], bool]:
    """Canonical transactions one after another, split by their own length fields.

    Raises ApiProblem: past a transaction that cannot be read, none can be found.
    """
    offered: list[Offered] = []
    start = 0
    while start < len(body):
        _check_count(len(offered) + 1)
        try:
            _, end = decode_transaction_at(body, start, node.network_id)
        except RuleError as error:
            raise ApiProblem.of_rule(error, item=len(offered), offset=start) from None
        offered.append(body[start:end])
        start = end
    return offered, len(offered) == 1


def submit(offered: list[Offered], node: WebNode) -> list[SubmitResult | ApiProblem]:
    """Hands what could be parsed to the listener; the fate of each, in order."""
    raws = [item for item in offered if isinstance(item, bytes)]
    results: Iterator[SubmitResult] = iter(())
    if raws:
        reply = node.ask(SubmitTransactions(raws), Submitted)
        if len(reply.results) != len(raws):
            raise ApiProblem("internal-error", "the listener answered another number of results")
        results = iter(reply.results)
    return [item if isinstance(item, ApiProblem) else next(results) for item in offered]


def as_page(fates: list[SubmitResult | ApiProblem]) -> SubmittedPage:
    """A batch's answer."""
    return SubmittedPage(items=[_as_item(fate) for fate in fates])


def _as_item(fate: SubmitResult | ApiProblem) -> SubmittedItem:
    if isinstance(fate, ApiProblem):
        return SubmittedItem(id=None, status="refused", problem=fate.as_detail())
    hex_id = None if fate.id is None else fate.id.hex()
    if fate.problem is None:
        return SubmittedItem(id=hex_id, status="accepted")
    problem = ProblemDetail(
        code=fate.problem.code, detail=fate.problem.detail, numbers=fate.problem.numbers
    )
    return SubmittedItem(id=hex_id, status="refused", problem=problem)


def _offer(item: NewTransaction, node: WebNode) -> Offered:
    try:
        return _canonical(item, node)
    except ApiProblem as problem:
        return problem
    except RuleError as error:
        return ApiProblem.of_rule(error, field="recipient")


def _canonical(item: NewTransaction, node: WebNode) -> bytes:
    """The bytes that the fields stand for. Raises ApiProblem, or RuleError for the address."""
    data = b""
    if not isinstance(item.data, msgspec.UnsetType):
        limit = node.params.max_data_bytes
        if len(item.data) > 2 * limit:
            raise _data_too_large(len(item.data), limit)
        data = hex_bytes(item.data, "data")
    signature = hex_bytes(item.signature, "signature", length=SIGNATURE_BYTES)
    return (
        UnsignedTransaction(
            public_key=hex_bytes(item.public_key, "public_key", length=PUBLIC_KEY_BYTES),
            sequence=_integer(item.sequence, "sequence"),
            recipient=node.decode_address(item.recipient),
            amount=decimal_number(item.amount, "amount", U64_MAX),
            fee=decimal_number(item.fee, "fee", U64_MAX),
            timestamp=_integer(item.timestamp, "timestamp"),
            data=data,
        ).encode()
        + signature
    )


def _data_too_large(digits: int, limit: int) -> ApiProblem:
    """As consensus says it of canonical bytes."""
    length = (digits + 1) // 2
    return ApiProblem(
        Rule.TRANSACTION_DATA_TOO_LARGE.value,
        f"data is {length} bytes, at most {limit}",
        field="data",
        length=length,
        limit=limit,
    )


def _integer(value: int | str, name: str) -> int:
    return decimal_number(value, name, U64_MAX if isinstance(value, str) else MAX_SAFE_INTEGER)


def _check_count(count: int) -> None:
    if count < 1:
        raise ApiProblem("value-out-of-range", "an empty batch; offer 1 transaction or more")
    if count > MAX_SUBMITTED:
        raise ApiProblem(
            "too-many",
            f"more than {MAX_SUBMITTED} transactions in one call",
            count=count,
            limit=MAX_SUBMITTED,
        )

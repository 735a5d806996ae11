"""How many points a broken rule costs a peer. 100 ban it; what honest nodes may do costs 0."""

from cairn.consensus.errors import Rule

BAN_POINTS = 100
BAN_SECONDS = 24 * 3_600

_MESSAGES = {
    Rule.MESSAGE_MALFORMED: 20,
    Rule.MESSAGE_TOO_LARGE: 20,
    Rule.NODE_RECORD_INVALID: 20,
    Rule.SIGNATURE_INVALID: 20,
}
_FAULTY_TRANSACTIONS = {
    Rule.SIGNATURE_INVALID: 50,
    Rule.ENCODING_TRUNCATED: 20,
    Rule.ENCODING_TRAILING_BYTES: 20,
    Rule.TRANSACTION_VERSION: 20,
    Rule.TRANSACTION_DATA_TOO_LARGE: 20,
    Rule.TRANSACTION_EMPTY: 20,
    Rule.AMOUNT_OVERFLOW: 20,
}
_EXCUSED_BLOCKS = {
    Rule.TIMESTAMP_TOO_NEW,  # clocks differ
    Rule.PARENT_UNKNOWN,  # an old replay, or a branch we have not heard of
}
BODY_FAULTS = frozenset(
    {
        Rule.BLOCK_TOO_LARGE,
        Rule.MERKLE_ROOT_MISMATCH,
        Rule.COINBASE_EXTRA_TOO_LARGE,
        Rule.ENCODING_TRUNCATED,
        Rule.ENCODING_TRAILING_BYTES,
        Rule.TRANSACTION_VERSION,
    }
)
"""What only whoever served the bytes is to blame for: the header may well be honest."""


def message_points(rule: Rule) -> int:
    """For a message that broke `rule`."""
    return _MESSAGES.get(rule, 0)


def transaction_points(rule: Rule) -> int:
    """For a transaction no honest node would have passed on. The pool's policy costs 0."""
    return _FAULTY_TRANSACTIONS.get(rule, 0)


def block_points(rule: Rule) -> int:
    """For a header or block that its sender claims to be of its active chain."""
    return 0 if rule in _EXCUSED_BLOCKS else BAN_POINTS

"""What it means to break a rule: one exception, one closed list of rule codes.

The code reaches the API, the log and the peer score unchanged, so codes are stable:
add to the list, never rename.
"""

from enum import StrEnum


class Rule(StrEnum):
    """Every rule that bytes from outside can break. The value is the public code."""

    # addresses and encodings
    ADDRESS_INVALID = "address-invalid"
    ADDRESS_WRONG_NETWORK = "address-wrong-network"
    ENCODING_TRUNCATED = "encoding-truncated"
    ENCODING_TRAILING_BYTES = "encoding-trailing-bytes"
    # network definition
    GENESIS_INVALID = "genesis-invalid"
    # one transaction by itself
    TRANSACTION_VERSION = "transaction-version"
    TRANSACTION_DATA_TOO_LARGE = "transaction-data-too-large"
    TRANSACTION_EMPTY = "transaction-empty"
    AMOUNT_OVERFLOW = "amount-overflow"
    SIGNATURE_INVALID = "signature-invalid"
    # a transaction against a state
    SEQUENCE_MISMATCH = "sequence-mismatch"
    BALANCE_INSUFFICIENT = "balance-insufficient"
    # a header by itself, then against its parent
    HEADER_VERSION = "header-version"
    HEADER_RESERVED = "header-reserved"
    BITS_INVALID = "bits-invalid"
    PROOF_OF_WORK = "proof-of-work"
    PARENT_UNKNOWN = "parent-unknown"
    PARENT_INVALID = "parent-invalid"
    HEIGHT_MISMATCH = "height-mismatch"
    BITS_MISMATCH = "bits-mismatch"
    TIMESTAMP_TOO_OLD = "timestamp-too-old"
    TIMESTAMP_TOO_NEW = "timestamp-too-new"
    # a block by itself, then against a state
    BLOCK_TOO_LARGE = "block-too-large"
    MERKLE_ROOT_MISMATCH = "merkle-root-mismatch"
    COINBASE_EXTRA_TOO_LARGE = "coinbase-extra-too-large"
    COINBASE_AMOUNT = "coinbase-amount"
    BLOCK_INVALID = "block-invalid"
    # proofs
    PROOF_INVALID = "proof-invalid"
    # pool policy: never a reason to call a block invalid
    POOL_DUPLICATE = "pool-duplicate"
    POOL_ALREADY_MINED = "pool-already-mined"
    POOL_FEE_TOO_LOW = "pool-fee-too-low"
    POOL_REPLACEMENT_FEE_TOO_LOW = "pool-replacement-fee-too-low"
    POOL_SENDER_FULL = "pool-sender-full"
    POOL_GAP_TOO_WIDE = "pool-gap-too-wide"
    POOL_FULL = "pool-full"
    POOL_TIMESTAMP = "pool-timestamp"
    POOL_TRANSACTION_TOO_LARGE = "pool-transaction-too-large"
    # peers
    NODE_RECORD_INVALID = "node-record-invalid"
    NETWORK_MISMATCH = "network-mismatch"
    MESSAGE_MALFORMED = "message-malformed"
    MESSAGE_TOO_LARGE = "message-too-large"
    PEER_NOT_ADMITTED = "peer-not-admitted"
    PEER_BANNED = "peer-banned"
    ADDRESS_NOT_ROUTABLE = "address-not-routable"


class RuleError(Exception):
    """Something from outside broke a rule.

    A failing database or disk is never a `RuleError`: only bytes can be at fault here.

    `rule` is the stable code, `detail` one line that names the numbers, and `numbers`
    the same figures for programs.
    """

    def __init__(self, rule: Rule, detail: str, **numbers: int | str) -> None:
        super().__init__(f"{rule.value}: {detail}")
        self.rule = rule
        self.detail = detail
        self.numbers = numbers

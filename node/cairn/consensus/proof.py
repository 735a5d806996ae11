"""Proof that a transaction is in the chain, checked offline: headers and a merkle path."""

from collections.abc import Sequence
from dataclasses import dataclass

from cairn.consensus.block import Block, Header
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.merkle import merkle_path, verify_path
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof_of_work import work_of
from cairn.consensus.transaction import decode_transaction
from cairn.consensus.validation import (
    check_header_chain,
    check_signature,
    check_transaction_sanity,
    genesis_context,
)


@dataclass(frozen=True, slots=True)
class TransactionProof:
    """Where a transaction stands in the chain, and the path that shows it."""

    transaction: bytes
    """Canonical bytes: the merkle leaf."""
    height: int
    """Of its block."""
    leaf_index: int
    """In the block's merkle tree; the coinbase is leaf 0, so 1 or more."""
    leaf_count: int
    path: tuple[bytes, ...]
    """Sibling hashes from the leaf up, 32 bytes each."""


@dataclass(frozen=True, slots=True)
class ProofResult:
    """What a valid proof shows."""

    transaction_id: bytes
    block_hash: bytes
    timestamp: int
    """Of the block, seconds since the epoch."""
    confirmations: int
    """Blocks from the transaction's on, as far as the headers reach: 1 or more."""
    work: int
    """Expected hashes spent on the block and those after it."""


def build_proof(block: Block, position: int) -> TransactionProof:
    """The proof of the transaction at `position` (from 0) in `block`."""
    leaves = block.leaves()
    path = merkle_path(leaves, position + 1)
    raw = block.transactions[position].raw
    return TransactionProof(raw, block.header.height, position + 1, len(leaves), tuple(path))


def verify_proof(
    proof: TransactionProof, headers: Sequence[Header], params: NetworkParams, now: int
) -> ProofResult:
    """Checks the proof against the chain of `headers`, heights 1 to any at or past the proof's.

    Needs the genesis file's parameters and nothing else: the headers must link back to its
    genesis block, carry their work, and be dated no farther past `now` (seconds since the
    epoch) than any node would take them. Raises RuleError when anything does not hold.
    """
    check_header_chain(headers, genesis_context(params), params, now)
    if not 1 <= proof.height <= len(headers):
        raise _bad_proof(f"block {proof.height} is not among headers 1 to {len(headers)}")
    header = headers[proof.height - 1]
    if proof.leaf_index < 1:
        raise _bad_proof("leaf 0 is the coinbase, not a transaction")
    if not verify_path(
        proof.transaction, proof.leaf_index, proof.leaf_count, proof.path, header.merkle_root
    ):
        raise _bad_proof(f"the merkle path does not lead to the root of block {proof.height}")
    network_id = params.network_id()
    transaction = decode_transaction(proof.transaction, network_id)
    check_transaction_sanity(transaction, params)
    check_signature(transaction, network_id)
    following = headers[proof.height - 1 :]
    return ProofResult(
        transaction_id=transaction.id,
        block_hash=header.hash(),
        timestamp=header.timestamp,
        confirmations=len(following),
        work=sum(work_of(later.bits) for later in following),
    )


def _bad_proof(reason: str) -> RuleError:
    return RuleError(Rule.PROOF_INVALID, reason)

"""Signatures and blocks, in this process."""

import time
from collections.abc import Iterator, Sequence
from statistics import median

from cairn.chain.admission import Admitter
from cairn.chain.blockchain import Blockchain, BlockFate
from cairn.chain.pool import Pool, PoolPolicy
from cairn.chain.signatures import SignatureChecker
from cairn.consensus.block import Block, decode_block
from cairn.consensus.crypto import verify_signature
from cairn.consensus.params import NetworkParams
from cairn.consensus.transaction import Transaction
from cairn.storage.chain_store import SqlChainStore
from cairn.storage.engine import open_engine
from cairn.storage.migrate import migrate
from tests.bench.measure import Figure, rate
from tests.support.builders import ChainBuilder, make_key, make_params, make_transaction

_SENDERS = 400
_TRANSACTIONS = 2_000
_ROUNDS = 5


def signature_figures() -> Iterator[Figure]:
    """Checks from raw bytes: 33-byte key decoded, 64-byte signature."""
    params = make_params()
    network_id = params.network_id()
    transactions = [
        make_transaction(make_key(number), params, 0, bytes(20), 1, 1_000) for number in range(500)
    ]

    def verify() -> int:
        for transaction in transactions:
            message = transaction.signing_message(network_id)
            assert verify_signature(transaction.public_key, message, transaction.signature)
        return len(transactions)

    yield Figure("signature check from raw bytes, one core", rate(verify), "/s", 7_000)

    def verify_all() -> int:
        checker = SignatureChecker(network_id)
        checker.check(transactions)
        checker.close()
        return len(transactions)

    yield Figure("signature check, threads of one node", rate(verify_all), "/s")


def block_figures(database_urls: Sequence[str]) -> Iterator[Figure]:
    """Connecting blocks of 2,000 transactions on a fresh database for each case."""
    params, blocks = _chain_of_full_blocks()
    for seen, url, reach in zip((False, True), database_urls, (400, 130), strict=True):
        title = "signatures checked in the pool" if seen else "signatures not seen before"
        seconds = _connect_all(params, blocks, url, seen=seen)
        work = f"connect a block of {_TRANSACTIONS:,} transactions, {title}, median"
        yield Figure(work, median(seconds) * 1_000, "ms", reach)


def _chain_of_full_blocks() -> tuple[NetworkParams, list[Block]]:
    keys = [make_key(number) for number in range(_SENDERS)]
    allocations = {key.address: 10**12 for key in keys}
    params = make_params(allocations=allocations, genesis_time=int(time.time()) - 3_600)
    chain = ChainBuilder(params)
    blocks = []
    each = _TRANSACTIONS // _SENDERS
    for number in range(_ROUNDS):
        transactions = [
            make_transaction(
                keys[sender],
                params,
                number * each + nth,
                keys[(sender * 7 + nth + 1) % _SENDERS].address,
                1_000,
                1_000,
                timestamp=int(time.time()),
            )
            for sender in range(_SENDERS)
            for nth in range(each)
        ]
        blocks.append(chain.mine(transactions))
    return params, blocks


def _connect_all(
    params: NetworkParams, blocks: Sequence[Block], url: str, *, seen: bool
) -> list[float]:
    migrate(url)
    engine = open_engine(url)
    store = SqlChainStore(engine)
    signatures = SignatureChecker(params.network_id())
    pool = Pool(PoolPolicy(), params.max_block_bytes)
    chain = Blockchain(store, params, pool, signatures)
    chain.reload(int(time.time()))
    admitter = Admitter(store, chain, signatures)
    seconds = []
    for block in blocks:
        if seen:
            _admit(admitter, block.transactions)
        start = time.perf_counter()
        decoded = decode_block(block.raw, chain.network_id, params.max_block_bytes)
        result = chain.accept_block(decoded, int(time.time()))
        seconds.append(time.perf_counter() - start)
        assert result.fate is BlockFate.ACCEPTED, result
        assert len(pool) == 0
    signatures.close()
    engine.dispose()
    return seconds


def _admit(admitter: Admitter, transactions: Sequence[Transaction]) -> None:
    admissions = admitter.admit([each.raw for each in transactions], int(time.time()))
    assert all(admission.problem is None for admission in admissions), admissions[0].problem

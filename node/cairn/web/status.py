"""What `GET status` says: the database's facts, and what the running listener adds."""

from typing import Literal

from cairn import __version__
from cairn.consensus.transaction import TRANSACTION_VERSION
from cairn.ipc.messages import MAX_SUBMITTED, Status
from cairn.storage.answers import BlockSummary
from cairn.web.node import WebNode
from cairn.web.node_models import (
    AlertView,
    MinerState,
    PeerCounts,
    PoolTotals,
    StatusView,
    Tip,
    Versions,
)
from cairn.web.problems import ApiProblem

API_VERSION = 1
HASH_RATE_BLOCKS = 60
_NO_MINER = MinerState(mode=None, hashes_per_second=0)


def status_view(node: WebNode) -> StatusView:
    """The node at a glance. Raises ApiProblem `database-unavailable` before the first start."""
    tip = node.queries.tip()
    if tip is None:
        raise ApiProblem("database-unavailable", "the listener has not made the genesis block yet")
    listener = node.listener_status()
    params = node.params
    pool = node.pool_totals.get()
    return StatusView(
        name=node.config.node.name,
        network=params.name,
        network_id=node.network_id.hex(),
        address_prefix=params.address_prefix,
        symbol=params.symbol,
        height=tip.height,
        tip=Tip(hash=tip.hash.hex(), height=tip.height, timestamp=tip.header.timestamp),
        chain_work=str(tip.chain_work),
        bits=f"{tip.header.bits:08x}",
        target_interval_seconds=params.target_interval_seconds,
        hash_rate=str(hash_rate(node.queries.recent_block_times(HASH_RATE_BLOCKS))),
        transactions=tip.chain_transactions,
        supply=str(node.supply(tip)),
        pool=PoolTotals(transactions=pool.transactions, bytes=pool.size_bytes),
        peers=PeerCounts(known=node.queries.node_count(), connected=connected_peers(listener)),
        sync_state=_sync_state(listener),
        best_peer_height=listener.best_peer_height if listener else 0,
        listener="running" if listener else "unavailable",
        miner=_miner(listener),
        admission=node.config.peers.admission,  # type: ignore[arg-type]
        recipient=node.encode_address(listener.recipient_address) if listener else None,
        started_at=listener.started_at if listener else None,
        faucet=str(node.config.faucet.amount) if node.has_faucet else None,
        max_data_bytes=params.max_data_bytes,
        min_fee_per_byte=node.config.pool.min_fee_per_byte,
        max_submitted=MAX_SUBMITTED,
        versions=Versions(
            node=__version__,
            listener=listener.version if listener else None,
            protocol=TRANSACTION_VERSION,
            api=API_VERSION,
        ),
        alerts=_alerts(listener, tip),
    )


def hash_rate(times: list[tuple[int, int]]) -> int:
    """Hashes per second over blocks given as (timestamp, chain work), oldest first.

    Genesis asks for no work and its time is only written down, so it is left out. 0 when
    there are too few blocks, or their times do not grow.
    """
    counted = times[1:] if len(times) < HASH_RATE_BLOCKS else times
    if len(counted) < 2:
        return 0
    seconds = counted[-1][0] - counted[0][0]
    work = counted[-1][1] - counted[0][1]
    return work // seconds if seconds > 0 else 0


def connected_peers(listener: Status | None) -> int:
    """How many peers are connected now; 0 while the listener is away."""
    return sum(1 for peer in listener.peers if peer.connected) if listener else 0


def _sync_state(listener: Status | None) -> Literal["syncing", "synced", "unknown"]:
    if listener is None:
        return "unknown"
    return "synced" if listener.sync_state == "synced" else "syncing"


def _miner(listener: Status | None) -> MinerState:
    if listener is None:
        return _NO_MINER
    return MinerState(mode=listener.miner_mode, hashes_per_second=listener.miner_hashes_per_second)


def _alerts(listener: Status | None, tip: BlockSummary) -> list[AlertView]:
    if listener is None:
        detail = "the listener does not answer: nothing new is taken"
        return [AlertView(code="listener-unavailable", detail=detail, since=tip.received_at)]
    return [
        AlertView(code=alert.code, detail=alert.detail, since=alert.since)
        for alert in listener.alerts
    ]

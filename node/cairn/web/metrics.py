"""Figures for Prometheus. Every one comes from the database or the listener, so that it does
not matter which web worker answers."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from cairn.web.node import WebNode
from cairn.web.node_models import StatusView
from cairn.web.status import status_view

CONTENT_TYPE = CONTENT_TYPE_LATEST


def metrics_text(node: WebNode) -> bytes:
    """The figures in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_NodeCollector(node))
    return generate_latest(registry)


class _NodeCollector(Collector):
    def __init__(self, node: WebNode) -> None:
        self._node = node

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        status = status_view(self._node)
        yield from _gauges(status)
        yield _info(status)
        yield _alerts(status)
        yield CounterMetricFamily(
            "cairn_chain_transactions",
            "Transactions in the active chain.",
            value=status.transactions,
        )
        listener = self._node.listener_status()
        peers = GaugeMetricFamily(
            "cairn_peer_score_points", "Misbehaviour points of each peer.", labels=["peer"]
        )
        for peer in listener.peers if listener else ():
            peers.add_metric([peer.curve_key], peer.score)
        yield peers


def _gauges(status: StatusView) -> Iterator[Metric]:
    figures = {
        "cairn_height_blocks": ("Height of the tip.", status.height),
        "cairn_best_peer_height_blocks": ("Highest tip announced.", status.best_peer_height),
        "cairn_tip_timestamp_seconds": ("Timestamp of the tip.", status.tip.timestamp),
        "cairn_chain_work_hashes": ("Expected hashes of the chain.", float(status.chain_work)),
        "cairn_hash_rate": ("Estimated hashes per second.", float(status.hash_rate)),
        "cairn_supply_units": ("Sum of all balances.", float(status.supply)),
        "cairn_pool_transactions": ("Waiting transactions.", status.pool.transactions),
        "cairn_pool_bytes": ("Bytes of waiting transactions.", status.pool.bytes),
        "cairn_peers_known": ("Known nodes.", status.peers.known),
        "cairn_peers_connected": ("Connected nodes.", status.peers.connected),
        "cairn_listener_up": ("Whether the listener answers.", status.listener == "running"),
        "cairn_miner_up": ("Whether a miner reports.", status.miner.mode is not None),
        "cairn_miner_hashes_per_second": (
            "The miner's own figure.",
            status.miner.hashes_per_second,
        ),
        "cairn_synced": ("Whether the chain is up to date.", status.sync_state == "synced"),
    }
    for name, (text, value) in figures.items():
        yield GaugeMetricFamily(name, text, value=float(value))


def _info(status: StatusView) -> Metric:
    labels = {
        "version": status.versions.node,
        "network": status.network,
        "network_id": status.network_id,
        "name": status.name,
    }
    info = GaugeMetricFamily("cairn_node_info", "What this node is.", labels=list(labels))
    info.add_metric(list(labels.values()), 1)
    return info


def _alerts(status: StatusView) -> Metric:
    alerts = GaugeMetricFamily("cairn_alert", "What the operator should know of.", labels=["code"])
    for code in sorted({alert.code for alert in status.alerts}):
        alerts.add_metric([code], 1)
    return alerts

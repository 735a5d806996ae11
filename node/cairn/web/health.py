"""Whether the node can do its work: named checks, each with its reason."""

import logging
import shutil
import time
from collections.abc import Callable

from cairn.consensus.validation import MAX_FUTURE_SECONDS
from cairn.ipc.messages import Status
from cairn.storage.errors import StorageError
from cairn.web.node import WebNode
from cairn.web.node_models import CheckView, HealthView
from cairn.web.status import connected_peers

MIN_FREE_BYTES = 256 * 1024 * 1024
MIN_PATIENCE_SECONDS = 300
"""Transactions may wait so long for a block, or …"""
PATIENCE_INTERVALS = 20
"""… so many target intervals, before the node counts as stalled."""
MAX_BEHIND_BLOCKS = 10


_logger = logging.getLogger(__name__)


def health(node: WebNode) -> HealthView:
    """Process and database."""
    return _view([CheckView(name="process", ok=True, detail="running"), _database(node)])


def readiness(node: WebNode) -> HealthView:
    """Everything that a node needs to do its work."""
    status = node.listener_status()
    checks = [_database(node), _listener(status)]
    reachable = checks[0].ok
    stored: list[Callable[[], CheckView]] = [
        lambda: _tip_age(node, status),
        lambda: _clock(node),
    ]
    if reachable:
        for name, check in zip(("tip", "clock"), stored, strict=True):
            try:
                checks.append(check())
            except StorageError as error:
                checks.append(CheckView(name=name, ok=False, detail=_unreadable(error)))
    return _view([*checks, _peers(node, status), _disk(node)])


def _view(checks: list[CheckView]) -> HealthView:
    good = all(check.ok for check in checks)
    return HealthView(status="ok" if good else "failing", checks=checks)


def _database(node: WebNode) -> CheckView:
    try:
        network_id = node.queries.network_id()
    except StorageError as error:
        return CheckView(name="database", ok=False, detail=_unreadable(error))
    if network_id is None:
        detail = "no genesis block yet: start the listener"
        return CheckView(name="database", ok=False, detail=detail)
    if network_id != node.network_id:
        detail = f"holds network {network_id.hex()}, this node is of {node.network_id.hex()}"
        return CheckView(name="database", ok=False, detail=detail)
    return CheckView(name="database", ok=True, detail="answers")


def _unreadable(error: StorageError) -> str:
    """Paths and hosts are for the log alone: anyone may ask how the node is."""
    _logger.warning("database: %s", error)
    return "cannot be read; the log of the web program says why"


def _listener(status: Status | None) -> CheckView:
    if status is None:
        return CheckView(name="listener", ok=False, detail="does not answer")
    if status.best_peer_height > status.height + MAX_BEHIND_BLOCKS:
        behind = f"at height {status.height}, peers are at {status.best_peer_height}"
        return CheckView(name="listener", ok=False, detail=f"still catching up: {behind}")
    alerts = ", ".join(alert.code for alert in status.alerts)
    detail = f"running, {status.sync_state}" + (f"; alerts: {alerts}" if alerts else "")
    return CheckView(name="listener", ok=True, detail=detail)


def _tip_age(node: WebNode, status: Status | None) -> CheckView:
    tip = node.queries.tip()
    if tip is None:
        return CheckView(name="tip", ok=False, detail="no block yet: start the listener")
    now = int(time.time())
    age = max(0, now - tip.header.timestamp)
    oldest = node.queries.pool_totals().oldest_received_at
    waited = max(0, now - oldest) if oldest is not None else 0
    interval = node.params.target_interval_seconds
    patience = max(MIN_PATIENCE_SECONDS, PATIENCE_INTERVALS * interval)
    detail = f"height {tip.height}, {age} s old; the oldest waiting transaction: {waited} s"
    mines_nothing = status is not None and status.miner_mode == "off"
    stalled = min(age, waited) > patience and not mines_nothing
    return CheckView(name="tip", ok=not stalled, detail=f"{detail}, at most {patience} s")


def _clock(node: WebNode) -> CheckView:
    """A tip that is dated ahead of the clock, past what the rules allow, shows a slow clock."""
    tip = node.queries.tip()
    now = int(time.time())
    newest = tip.header.timestamp if tip else 0
    newest = max(newest, node.params.genesis_time)
    ahead = newest - now
    if ahead > MAX_FUTURE_SECONDS:
        detail = f"the tip is dated {ahead} s ahead of this clock: set the time (`timedatectl`)"
        return CheckView(name="clock", ok=False, detail=detail)
    return CheckView(name="clock", ok=True, detail="not behind the chain")


def _peers(node: WebNode, status: Status | None) -> CheckView:
    alphas = len(node.config.peers.alphas)
    connected = connected_peers(status)
    detail = f"{connected} connected, {alphas} alpha(s) configured"
    return CheckView(name="peers", ok=connected > 0 or alphas == 0, detail=detail)


def _disk(node: WebNode) -> CheckView:
    directory = node.config.node.data_directory
    try:
        free = shutil.disk_usage(directory).free
    except OSError:
        return CheckView(name="disk", ok=True, detail="not seen from here")
    detail = f"{free // 2**20} MiB free, at least {MIN_FREE_BYTES // 2**20}"
    return CheckView(name="disk", ok=free >= MIN_FREE_BYTES, detail=detail)

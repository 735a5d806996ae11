"""The nodes this one knows: their records, standing and bans, kept across restarts."""

import asyncio
import logging
import random
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable

from cairn.chain.node_store import NodeRow
from cairn.consensus.errors import Rule, RuleError
from cairn.network.addresses import parse_ranges
from cairn.network.crowds import (
    ESTABLISHED_SECONDS,
    MAX_PER_ACCOUNT,
    MAX_PER_NEIGHBOURHOOD,
    STALE_SECONDS,
    neighbourhood,
)
from cairn.network.keys import is_curve_key
from cairn.network.known import Node, Standing, row_of, view_of
from cairn.network.records import NodeRecord, check_record, decode_record
from cairn.network.scoring import BAN_POINTS, BAN_SECONDS
from cairn.network.settings import ALLOWLIST, PeerSettings, PeerView

_logger = logging.getLogger(__name__)

MAX_KNOWN_NODES = 2_000
MAX_STRANGERS = 4_096
FORGET_SECONDS = 14 * 86_400
"""A node not heard of for so long is forgotten."""


class NodeBook:
    """Known nodes by CURVE key. Every method is called in the event loop's thread."""

    def __init__(
        self, settings: PeerSettings, network_id: bytes, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._network_id = network_id
        self._clock = clock
        self._ranges = parse_ranges(settings.allowed_ranges)
        self._allowed = frozenset(settings.allowed_keys)
        self._blocked = frozenset(settings.blocked_endpoints)
        self._nodes: dict[str, Node] = {}
        self._strangers: OrderedDict[str, Standing] = OrderedDict()
        self._reserved: set[str] = set(self._allowed)
        """Keys the operator chose, and those of the configured alphas: they have a place."""
        self.urgent = asyncio.Event()
        """Set when something changed that should be stored soon."""
        self._changed: set[str] = set()
        self._removed: set[str] = set()

    def nodes(self) -> list[Node]:
        """Every known node."""
        return list(self._nodes.values())

    def get(self, key: str) -> Node | None:
        """The node with this CURVE key."""
        return self._nodes.get(key)

    # -- admission and standing ---------------------------------------------------------------

    def refusal(self, key: str) -> RuleError | None:
        """Why this key may not connect, or None."""
        if self._settings.admission == ALLOWLIST and key not in self._allowed:
            return RuleError(Rule.PEER_NOT_ADMITTED, f"{key} is not among the allowed keys")
        standing = self._standing(key)
        if standing is not None and standing.banned_until > self._clock():
            return RuleError(
                Rule.PEER_BANNED,
                f"{key} is banned until {standing.banned_until}",
                until=standing.banned_until,
            )
        node = self._nodes.get(key)
        if node is not None and node.blocked:
            return RuleError(Rule.PEER_NOT_ADMITTED, f"{key} is at a blocked endpoint")
        return None

    def punish(self, key: str, points: int, why: str) -> bool:
        """Adds points; True when they ban the key now."""
        if points <= 0:
            return False
        now = self._clock()
        standing = self._standing(key) or self._meet(key)
        standing.score = standing.points(now) + points
        standing.scored_at = now
        self._mark(key)
        _logger.warning("peer %s: %s (+%d, %d points)", key, why, points, standing.score)
        if standing.score < BAN_POINTS or standing.banned_until > now:
            return False
        standing.banned_until = int(now) + BAN_SECONDS
        _logger.warning("peer %s is banned for %d h", key, BAN_SECONDS // 3_600)
        return True

    def set_ban(self, key: str, banned: bool) -> None:
        """The operator's word. Raises RuleError `node-record-invalid` when this is no key."""
        if not is_curve_key(key):
            raise RuleError(Rule.NODE_RECORD_INVALID, f"{key[:60]!r} is not a CURVE key in Z85")
        standing = self._standing(key) or self._meet(key)
        standing.banned_until = int(self._clock()) + BAN_SECONDS if banned else 0
        standing.score = 0
        node = self._nodes.get(key)
        if node is not None:
            node.attempt_at, node.failures = 0.0, 0
        self._mark(key)

    def _standing(self, key: str) -> Standing | None:
        node = self._nodes.get(key)
        return node.standing if node is not None else self._strangers.get(key)

    def _meet(self, key: str) -> Standing:
        """Keys cost nothing to make: strangers are remembered in bounded number."""
        standing = self._strangers[key] = Standing()
        self._removed.discard(key)
        if len(self._strangers) > MAX_STRANGERS:
            now = self._clock()
            oldest = next(iter(self._strangers))
            unbanned = (each for each, it in self._strangers.items() if it.banned_until <= now)
            forgotten = next((each for each in unbanned if each != key), oldest)
            del self._strangers[forgotten]
            self._removed.add(forgotten)
        return standing

    # -- records ------------------------------------------------------------------------------

    def reserve(self, raw: bytes) -> None:
        """The record is that of a configured alpha, which answered with it itself.

        Called before it is learned. Raises RuleError `node-record-invalid`.
        """
        self._reserved.add(decode_record(raw).curve_key)

    def learn(self, raw: bytes, *, proven_by: str | None = None) -> Node | None:
        """Takes a record in; the node when that told something new.

        `proven_by` is the CURVE key of the connection that brought it: a record of that very
        key outweighs one that somebody else had signed with another account, for good. While
        neither has come so, the latest stands: the first must not keep the owner out.
        Raises RuleError as `check_record` does, and `peer-not-admitted`.
        """
        record = decode_record(raw)
        key = record.curve_key
        if key == self._settings.curve.public:
            return None
        known = self._nodes.get(key)
        proven = proven_by == key
        now = self._clock()
        if known is not None and known.raw == raw:
            if proven:
                known.last_seen = int(now)
            return None
        check_record(record, self._network_id, self._ranges, now)
        if self._settings.admission == ALLOWLIST and key not in self._allowed:
            raise RuleError(Rule.PEER_NOT_ADMITTED, f"{key} is not among the allowed keys")
        if known is not None:
            node = self._replace(known, record, raw)
        else:
            node = self._add(record, raw, int(now))
        if node is not None and proven:
            node.last_seen = int(now)
        return node

    def _replace(self, known: Node, record: NodeRecord, raw: bytes) -> Node | None:
        if known.record.public_key != record.public_key:
            if known.proven:
                raise RuleError(
                    Rule.NODE_RECORD_INVALID,
                    f"CURVE key {record.curve_key} is another account's, {known.record.name}",
                )
        elif record.timestamp <= known.record.timestamp:
            return None
        place = neighbourhood(record, self._ranges)
        if not self._has_room(record, place, known):
            return None
        known.record, known.raw, known.neighbourhood = record, raw, place
        known.blocked = self._is_blocked(record)
        known.attempt_at, known.failures = 0.0, 0
        self._mark(record.curve_key)
        return known

    def _add(self, record: NodeRecord, raw: bytes, now: int) -> Node | None:
        place = neighbourhood(record, self._ranges)
        if not self._has_room(record, place, None):
            return None
        standing = self._strangers.pop(record.curve_key, None) or Standing()
        node = Node(record, raw, standing, self._is_blocked(record), now, place)
        self._nodes[record.curve_key] = node
        self._mark(record.curve_key)
        self._removed.discard(record.curve_key)
        return node

    def _is_blocked(self, record: NodeRecord) -> bool:
        return record.publish in self._blocked or record.request in self._blocked

    def _has_room(self, record: NodeRecord, place: str, known: Node | None) -> bool:
        """Whether the record may be kept, in the place of others if need be."""
        if record.curve_key in self._reserved:
            if self._is_full(known) and not self._make_room(self.nodes()):
                rank = [(self._is_kept(node), node.last_seen) for node in self.nodes()]
                self.forget(self.nodes()[rank.index(min(rank))])
            return True
        others = [node for node in self._nodes.values() if node is not known]
        account = [node for node in others if node.record.public_key == record.public_key]
        if len(account) >= MAX_PER_ACCOUNT and not self._make_room(account):
            return False
        around = [node for node in others if place and node.neighbourhood == place]
        around = [node for node in around if node.record.curve_key in self._nodes]
        if len(around) >= MAX_PER_NEIGHBOURHOOD and not self._make_room(around):
            return False
        return not self._is_full(known) or self._make_room(self.nodes())

    def _is_full(self, known: Node | None) -> bool:
        return known is None and len(self._nodes) >= MAX_KNOWN_NODES

    def _make_room(self, nodes: list[Node]) -> bool:
        """Forgets the one of these that never proved itself or is longest unseen, if any is."""
        stale = self._clock() - STALE_SECONDS
        idle = [node for node in nodes if not self._is_kept(node) and node.last_seen < stale]
        if not idle:
            return False
        self.forget(min(idle, key=lambda node: (node.proven, node.last_seen, node.first_seen)))
        return True

    def _is_kept(self, node: Node) -> bool:
        """Whether nobody may take this node's place: alphas, peers, and those banned."""
        reserved = node.record.curve_key in self._reserved
        return reserved or node.connected or node.standing.banned_until > self._clock()

    def forget(self, node: Node) -> None:
        """Removes a node, here and in the store."""
        key = node.record.curve_key
        self._nodes.pop(key, None)
        self._changed.discard(key)
        self._removed.add(key)

    def forget_old(self) -> None:
        """Forgets nodes not heard of for two weeks."""
        now = self._clock()
        for node in list(self._nodes.values()):
            seen = max(node.first_seen, node.last_seen)
            in_use = node.connected or node.standing.banned_until > now
            if now - seen > FORGET_SECONDS and not in_use:
                self.forget(node)

    def records(self, limit: int) -> list[bytes]:
        """Records to pass on: nodes that proved themselves first, latest first."""
        nodes = [node for node in self._nodes.values() if self._is_presentable(node)]
        nodes.sort(key=lambda node: (node.connected, node.last_seen), reverse=True)
        return [node.raw for node in nodes[:limit]]

    def _is_presentable(self, node: Node) -> bool:
        return not node.blocked and node.standing.banned_until <= self._clock()

    def candidates(self) -> list[Node]:
        """Nodes to connect to now: alphas, then those that do not fail, the long proven first.

        Among equals chance decides, and each neighbourhood has its turn.
        """
        now = self._clock()
        nodes = [
            node
            for node in self._nodes.values()
            if node.attempt_at <= now and self.refusal(node.record.curve_key) is None
        ]
        random.shuffle(nodes)
        # A neighbourhood's second node comes after every other's first.
        turns: Counter[tuple[tuple[bool, int, int], str]] = Counter()
        order: dict[str, tuple[tuple[bool, int, int], int]] = {}
        for node in nodes:
            rank = self._rank(node, now)
            turn = turns[rank, node.neighbourhood] if node.neighbourhood else 0
            turns[rank, node.neighbourhood] += 1
            order[node.record.curve_key] = rank, turn
        nodes.sort(key=lambda node: order[node.record.curve_key])
        return nodes

    def _rank(self, node: Node, now: float) -> tuple[bool, int, int]:
        established = node.proven and now - node.first_seen >= ESTABLISHED_SECONDS
        newness = 0 if established else 1 if node.proven else 2
        return node.record.curve_key not in self._reserved, node.failures, newness

    def touch(self, node: Node) -> None:
        """Marks the node as changed, and as having proved itself just now."""
        node.last_seen = int(self._clock())
        self._changed.add(node.record.curve_key)

    def mark_changed(self, node: Node, *, urgent: bool) -> None:
        """The node is to be saved."""
        self._changed.add(node.record.curve_key)
        if urgent:
            self.urgent.set()

    def _mark(self, key: str) -> None:
        self._changed.add(key)
        self.urgent.set()

    # -- views and storage ---------------------------------------------------------------------

    def views(self) -> list[PeerView]:
        """Every known node, connected ones first, then by name."""
        now = self._clock()
        nodes = sorted(
            self._nodes.values(), key=lambda node: (not node.connected, node.record.name)
        )
        return [view_of(node, now) for node in nodes]

    def load(self, rows: Iterable[NodeRow]) -> None:
        """Takes what was saved. A row this version cannot read is dropped and logged."""
        now = self._clock()
        for row in rows:
            standing = Standing(row.score, now, row.banned_until)
            if not row.record:
                self._strangers[row.curve_key] = standing
                continue
            try:
                record = decode_record(row.record)
                check_record(record, self._network_id, self._ranges, now)
            except RuleError as error:
                _logger.warning("stored node %s is forgotten: %s", row.name, error)
                self._removed.add(row.curve_key)
                continue
            place = neighbourhood(record, self._ranges)
            blocked = self._is_blocked(record)
            node = Node(record, row.record, standing, blocked, row.first_seen, place)
            node.last_seen, node.height = row.last_seen, row.height
            node.lost = row.state in ("connected", "disconnected")
            self._nodes[row.curve_key] = node
        self._reserve_remembered()

    def _reserve_remembered(self) -> None:
        """Alphas keep their places while they are away: of all that name an alpha's URL the one
        first known, as a new node knows nobody else before its alphas."""
        firsts: dict[str, Node] = {}
        for node in sorted(self._nodes.values(), key=lambda node: node.first_seen):
            if node.proven and node.record.url in self._settings.alphas:
                firsts.setdefault(node.record.url, node)
        self._reserved.update(node.record.curve_key for node in firsts.values())

    def take_changes(self) -> tuple[list[NodeRow], list[str]]:
        """Rows to save and keys to delete since the last call."""
        now = self._clock()
        rows = [row for key in self._changed if (row := self._row(key, now)) is not None]
        removed = list(self._removed)
        self._changed.clear()
        self._removed.clear()
        return rows, removed

    def put_back(self, rows: Iterable[NodeRow], removed: Iterable[str]) -> None:
        """They could not be saved: again next time."""
        self._changed.update(row.curve_key for row in rows)
        self._removed.update(key for key in removed if key not in self._nodes)

    def _row(self, key: str, now: float) -> NodeRow | None:
        node = self._nodes.get(key)
        if node is not None:
            return row_of(node, now)
        standing = self._strangers.get(key)
        if standing is None or standing.banned_until <= now:
            self._removed.add(key)
            return None
        until, at = standing.banned_until, int(standing.scored_at)
        return NodeRow(
            key, b"", "", "", "", "", b"", "", "banned", 0, 0, standing.points(now), until, at, at
        )

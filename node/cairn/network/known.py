"""What is known of one node: its record, standing and state, for people and the database."""

from dataclasses import dataclass

from cairn.chain.node_store import NodeRow
from cairn.network.records import NodeRecord
from cairn.network.settings import PeerView

SECONDS_PER_FORGIVEN_POINT = 60


@dataclass(slots=True)
class Standing:
    """How a key behaved."""

    score: int = 0
    scored_at: float = 0.0
    banned_until: int = 0

    def points(self, now: float) -> int:
        """Points that are not yet forgiven."""
        forgiven = max(0, int(now - self.scored_at)) // SECONDS_PER_FORGIVEN_POINT
        return max(0, self.score - forgiven)


@dataclass(slots=True)
class Node:
    """A known node."""

    record: NodeRecord
    raw: bytes
    standing: Standing
    blocked: bool
    """It names an endpoint the operator has cut off."""
    first_seen: int
    neighbourhood: str
    """Whose addresses these are; empty for ranges the operator allowed."""
    last_seen: int = 0
    """When it last proved its CURVE key to us; 0: only its record is known."""
    connected: bool = False
    lost: bool = False
    height: int = 0
    lag_milliseconds: int = 0
    attempt_at: float = 0.0
    """Not connected to before this time."""
    failures: int = 0

    @property
    def proven(self) -> bool:
        """Whether it has shown that it holds the secret of its CURVE key."""
        return self.last_seen > 0

    def state(self, now: float) -> str:
        """For people and the database."""
        if self.standing.banned_until > now:
            return "banned"
        if self.connected:
            return "connected"
        return "disconnected" if self.lost else "known"


def view_of(node: Node, now: float) -> PeerView:
    """The node as people see it at this time."""
    record = node.record
    return PeerView(
        curve_key=record.curve_key,
        name=record.name,
        url=record.url,
        publish=record.publish,
        request=record.request,
        version=record.version,
        state=node.state(now),
        connected=node.connected,
        height=node.height,
        lag_milliseconds=node.lag_milliseconds,
        score=node.standing.points(now),
        banned_until=node.standing.banned_until if node.standing.banned_until > now else 0,
        last_seen=node.last_seen,
    )


def row_of(node: Node, now: float) -> NodeRow:
    """The node as the database keeps it."""
    record = node.record
    return NodeRow(
        curve_key=record.curve_key,
        record=node.raw,
        name=record.name,
        url=record.url,
        publish=record.publish,
        request=record.request,
        address=record.address,
        version=record.version,
        state=node.state(now),
        height=node.height,
        lag_milliseconds=node.lag_milliseconds,
        score=node.standing.points(now),
        banned_until=node.standing.banned_until,
        first_seen=node.first_seen,
        last_seen=node.last_seen,
    )

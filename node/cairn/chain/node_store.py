"""What is kept of the nodes one knows, whatever the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A known node as stored: what it said of itself (signed), and what we saw of it."""

    curve_key: str
    """Z85, 40 characters: what identifies a node to its peers."""
    record: bytes
    """Its signed node record, as received."""
    name: str
    url: str
    """Of its web pages and API."""
    publish: str
    """`tcp://host:port` of its PUB socket."""
    request: str
    """`tcp://host:port` of its ROUTER socket."""
    address: bytes
    """Of its account, 20 bytes."""
    version: str
    state: str
    """`known`, `connected`, `disconnected` or `banned`."""
    height: int
    """Of its tip as last announced."""
    lag_milliseconds: int
    """Round trip of the last request; 0 when none was answered."""
    score: int
    """Misbehaviour points, 100 bans."""
    banned_until: int
    """Seconds since the epoch; 0 when not banned."""
    first_seen: int
    last_seen: int


class NodeStore(Protocol):
    """Durable list of known nodes. A failing database raises the store's own error."""

    def load_nodes(self) -> list[NodeRow]:
        """Every known node."""

    def save_nodes(self, rows: Sequence[NodeRow]) -> None:
        """Inserts or replaces rows by `curve_key`, in one database transaction."""

    def delete_nodes(self, curve_keys: Sequence[str]) -> None:
        """Forgets nodes."""

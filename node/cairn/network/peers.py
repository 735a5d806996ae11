"""A node's place among its peers: everything the listener needs of the network."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from cairn.chain.node_store import NodeStore
from cairn.network.port import LedgerPort, TipView
from cairn.network.settings import AccountSigner, PeerSettings, PeerView

PeerChange = Callable[[str, str, str], None]
"""(CURVE key, name, state): state is `connected`, `disconnected` or `banned`."""


class PeerNetwork:
    """Lives in one asyncio loop; every method is called there."""

    def __init__(
        self,
        settings: PeerSettings,
        port: LedgerPort,
        node_store: NodeStore,
        account: AccountSigner,
        clock: Callable[[], float],
        on_peer_changed: PeerChange | None = None,
        executor: Executor | None = None,
    ) -> None:
        raise NotImplementedError

    async def start(self) -> None:
        """Binds both sockets, loads known nodes, and begins to connect and join.

        Raises OSError when an endpoint cannot be bound. Never waits for a peer.
        """
        raise NotImplementedError

    async def stop(self) -> None:
        """Closes every socket and saves what is known of nodes."""
        raise NotImplementedError

    def broadcast_transactions(self, raws: Sequence[bytes]) -> None:
        """Publishes newly admitted transactions at once."""
        raise NotImplementedError

    def broadcast_tip(self, tip: TipView) -> None:
        """Publishes the new tip at once (while many blocks are fetched: the last one only)."""
        raise NotImplementedError

    async def join(self, url: str) -> int:
        """Joins at the alpha with this http(s) URL; how many nodes were new.

        Raises `joining.JoinFailed` (a line for people), or RuleError for a bad answer.
        """
        raise NotImplementedError

    def handle_join(self, record: bytes) -> list[bytes]:
        """Takes a newcomer's record; own record first, then those of the nodes known here.

        Raises RuleError: node-record-invalid, network-mismatch, address-not-routable,
        signature-invalid, peer-not-admitted, peer-banned.
        """
        raise NotImplementedError

    def set_ban(self, curve_key: str, banned: bool) -> None:
        """Bans (24 h) or unbans a key. Raises RuleError `node-record-invalid` for no key."""
        raise NotImplementedError

    def status(self) -> list[PeerView]:
        """Every known node, connected ones first."""
        raise NotImplementedError

    @property
    def best_peer_height(self) -> int:
        """Greatest height a connected peer announces; 0 without peers."""
        raise NotImplementedError

    @property
    def is_synced(self) -> bool:
        """Whether no connected peer announces more work than our tip has."""
        raise NotImplementedError

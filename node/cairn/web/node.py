"""What a request handler needs of its node: the database, the listener, the network's rules."""

import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

from flask import current_app, request

from cairn.chain.pool_entry import FEE_RATE_BITS
from cairn.config import Config
from cairn.consensus.crypto import decode_address, encode_address
from cairn.ipc.client import IpcClient, ListenerUnavailable
from cairn.ipc.messages import GetStatus, Problem, Refused, Reply, Request, Status
from cairn.storage.answers import BlockSummary, FeeRange, Supply
from cairn.storage.engine import open_engine
from cairn.storage.queries import Queries
from cairn.storage.rows import read_tree
from cairn.web.attempts import Allowance, Attempts
from cairn.web.events import EventHub
from cairn.web.problems import ApiProblem
from cairn.web.remembered import Remembered, Shared
from cairn.web.turns import Turns

EXTENSION = "cairn"
FEE_BANDS = tuple(rate << FEE_RATE_BITS for rate in (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000))
"""Where the bands of fee rates begin, base units per byte times 2^20."""
_FOLLOWED_BLOCKS = 100
STATUS_SECONDS = 1.0
"""How old the listener's status may be."""
STATUS_TIMEOUT_SECONDS = 1.0
AWAY_SECONDS = 5.0
"""For how long a listener that did not answer is asked again beside the requests."""
SUBMIT_TIMEOUT_SECONDS = 15.0
OVERVIEW_SECONDS = 0.3
"""How old the overview may be when it is handed out: many viewers cost a worker three renderings a
second. Pages ask 0.4 s after an event, so an older copy might not show what they ask for; where an
event came just before the page asked, live.js asks once more."""
WRONG_TOKENS = Allowance(10, 30.0)
"""Of one client. A token of `make-keys` has 32 random bytes, which nobody guesses however many
clients help; this keeps the attempts cheap, and one's own weaker token from being tried out."""
WRONG_TOKENS_UNTOLD = Allowance(100, 0.6)
"""Of all clients that cannot be told apart."""
FAUCET_BURST = 3
"""So often the faucet pays for one client at once, then as often as one address. Addresses are
free to make, so that they alone would leave all of it to the first who asks for many."""
FAUCET_UNTOLD = Allowance(1_000, 0.06)
"""As much as the faucet may be set to pay: the listener's limits then are the only ones."""
PROOF_DOWNLOADS = 4
"""Each holds a thread for as long as the client takes."""
_REMEMBERED_ADDRESSES = 8_192
_REMEMBERED_FEE_RANGES = 1_024
_REMEMBERED_TREES = 8
"""Of 13,000 hashes at most, where blocks have 1 MB."""

R = TypeVar("R", bound=Reply)


class WebNode:
    """One node as its web tier reaches it. Safe for threads; makes no connection by itself."""

    def __init__(self, config: Config) -> None:
        """Raises StorageError for a database URL that cannot be used."""
        self.config = config
        self.params = config.params
        self.genesis = config.params.genesis_block()
        self.network_id = self.genesis.hash
        self.engine = open_engine(config.read_database_url, read_only=True)
        self.queries = Queries(self.engine)
        self.ipc = IpcClient(config.request_socket, SUBMIT_TIMEOUT_SECONDS)
        self.started_at = int(time.time())
        self.attempts = Attempts(WRONG_TOKENS, WRONG_TOKENS_UNTOLD)
        self.faucet_asks = Attempts(
            Allowance(FAUCET_BURST, config.faucet.seconds_per_address), FAUCET_UNTOLD
        )
        self.hub = EventHub(config.event_socket, config.web.max_event_streams)
        self._prefix = config.params.address_prefix
        self._lock = threading.Lock()
        self._status: Status | None = None
        self._status_at = float("-inf")
        self._supply: Supply | None = None
        self.pool_totals = Remembered(self.queries.pool_totals)
        self.fee_bands = Remembered(lambda: self.queries.fee_bands(FEE_BANDS))
        self.overview = Shared[str](OVERVIEW_SECONDS)
        self.pool_checks = Turns(1, "checks of the pool")
        self.proof_downloads = Turns(PROOF_DOWNLOADS, "downloads of proofs")
        self.block_tree = lru_cache(_REMEMBERED_TREES)(self._block_tree)
        self._fee_ranges: dict[bytes, FeeRange] = {}
        # An address is checked and written again and again: both are kept for a while.
        self.encode_address = lru_cache(_REMEMBERED_ADDRESSES)(self._encode_address)
        self.decode_address = lru_cache(_REMEMBERED_ADDRESSES)(self._decode_address)

    def client(self) -> str:
        """Who makes the request that is handled, as `CountedAddresses.client` tells them apart."""
        forwarded_for = request.headers.get("X-Forwarded-For")
        return self.hub.addresses.client(request.remote_addr, forwarded_for)

    def _encode_address(self, address: bytes) -> str:
        return encode_address(self._prefix, address)

    def _block_tree(self, block_hash: bytes) -> list[list[bytes]]:
        """The merkle tree of a stored block. Raises ApiProblem where it is no more."""
        raw = self.queries.block_bytes(block_hash)
        if raw is None:
            raise ApiProblem("not-found", f"block {block_hash.hex()} left the chain just now")
        return read_tree(block_hash, raw)

    def _decode_address(self, text: str) -> bytes:
        return decode_address(self._prefix, text)

    def listener_status(self) -> Status | None:
        """What the listener says, at most STATUS_SECONDS old; None while it is away, and perhaps
        for AWAY_SECONDS after, so that pages do not wait for it one after another."""
        age = time.monotonic() - self._status_at
        if age < STATUS_SECONDS:
            return self._status
        if self._status is None and age < AWAY_SECONDS:
            if self._lock.acquire(blocking=False):
                threading.Thread(target=self._ask_whether_back, daemon=True).start()
            return None
        with self._lock:  # one asks, the others wait for its answer
            if time.monotonic() - self._status_at >= STATUS_SECONDS:
                self._status = self._ask_status()
                self._status_at = time.monotonic()
            return self._status

    def _ask_whether_back(self) -> None:
        try:
            self._status = self._ask_status()
            self._status_at = time.monotonic()
        finally:
            self._lock.release()

    def _ask_status(self) -> Status | None:
        try:
            reply = self.ipc.request(GetStatus(), STATUS_TIMEOUT_SECONDS)
        except ListenerUnavailable:
            return None
        return reply if isinstance(reply, Status) else None

    @property
    def has_faucet(self) -> bool:
        """Whether the configuration, which the listener reads as well, names the faucet's key."""
        return self.config.faucet.key_file is not None

    def forget_status(self) -> None:
        """The next `listener_status` asks: something was changed here just now."""
        self._status_at = float("-inf")

    def supply(self, tip: BlockSummary) -> int:
        """The sum of all balances, at this tip or one that came meanwhile. Counting reads every
        account, so it is followed from block to block."""
        known = self._supply
        if known is not None and known.block_hash == tip.hash:
            return known.units
        supply = None
        if known is not None and 0 < tip.height - known.height <= _FOLLOWED_BLOCKS:
            supply = self.queries.followed_supply(known, tip.hash, tip.height)
        self._supply = supply = supply or self.queries.supply()
        return supply.units if supply else 0

    def fee_ranges(self, blocks: Sequence[BlockSummary]) -> dict[bytes, FeeRange]:
        """What the transactions of these active blocks pay, by block hash; without those that
        have none. A block never changes, so each is read once.
        """
        known = self._fee_ranges
        wanted = [each.hash for each in blocks if each.transaction_count]
        unknown = [each for each in wanted if each not in known]
        if unknown:
            # A new dictionary: other threads may be reading the old one.
            kept = known if len(known) < _REMEMBERED_FEE_RANGES else {}
            self._fee_ranges = known = kept | self.queries.block_fees(unknown)
        return {each: known[each] for each in wanted if each in known}

    def ask(self, request: Request, reply_type: type[R], timeout_seconds: float = 15.0) -> R:
        """The listener's reply of this type.

        Raises ApiProblem with what it refused, or ListenerUnavailable.
        """
        reply = self.ipc.request(request, timeout_seconds)
        if isinstance(reply, Refused):
            raise ApiProblem.of(reply.problem)
        if not isinstance(reply, reply_type):
            problem = Problem("internal-error", f"unexpected reply {type(reply).__name__}")
            raise ApiProblem.of(problem)
        return reply

    def close(self) -> None:
        """Ends streams and connections."""
        self.hub.stop()
        self.ipc.close()
        self.engine.dispose()


def this_node() -> WebNode:
    """The node of the application that handles the current request."""
    node: WebNode = current_app.extensions[EXTENSION]
    return node

"""A node for tests of its web tier: the real listener in a thread, the real application."""

import asyncio
import itertools
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cairn.config import Config, load_config
from cairn.consensus.block import Block, decode_header
from cairn.consensus.crypto import encode_address
from cairn.consensus.transaction import Transaction
from cairn.ipc.client import IpcClient, ListenerUnavailable
from cairn.ipc.messages import (
    Done,
    GetStatus,
    GetTemplate,
    MinerReport,
    NonceAccepted,
    Status,
    SubmitNonce,
    Submitted,
    SubmitTransactions,
    Template,
)
from cairn.network.keys import generate_curve_keys
from cairn.services.listener.app import Listener
from cairn.services.listener.keys import load_faucet_key
from cairn.storage.engine import open_engine
from cairn.storage.queries import Queries
from cairn.wallet import AccountKey, save_key
from tests.support.builders import (
    COIN,
    genesis_text,
    make_key,
    make_params,
    make_transaction,
    mine_header,
)
from tests.support.network import free_ports
from tests.support.polling import wait_until

TOKEN = "an operator's token for tests"
MINER = make_key(1_000)
"""Who gets the rewards of `WebNodeFiles.mine`."""

_genesis_times = itertools.count(int(time.time()) - 600, -1)
"""No two networks have the same, or they would be one."""


class WebTestNode:
    """Files, listener and application of one node. Close it."""

    def __init__(
        self,
        folder: Path,
        database_url: str = "",
        alphas: Sequence[str] = (),
        faucet: AccountKey | None = None,
        **settings: object,
    ) -> None:
        """`settings` are further lines of the section `[web]` of its configuration.

        `faucet`: whose coins its faucet gives, two payments a minute.
        """
        self._faucet = faucet
        self.folder = folder
        self.run_directory = Path(tempfile.mkdtemp(prefix="cairn-"))
        self.params = make_params(genesis_time=next(_genesis_times))
        self.config_file = folder / "cairn.toml"
        self._write(settings, database_url, alphas)
        self.config: Config = load_config(self.config_file, {})
        self.network_id = self.params.network_id()
        self.ipc = IpcClient(self.config.request_socket, 10)
        self._sequences: dict[bytes, int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def _write(self, settings: dict[str, object], database_url: str, alphas: Sequence[str]) -> None:
        genesis, token = self.folder / "genesis.toml", self.folder / "token"
        genesis.write_text(genesis_text(self.params), encoding="utf-8")
        token.write_text(TOKEN + "\n", encoding="utf-8")
        publish, request = (f"tcp://127.0.0.1:{port}" for port in free_ports(2))
        web = {"operator_token_file": f'"{token}"', **settings}
        lines = [
            "[node]", 'name = "tested"', f'network = "{genesis}"',
            f'data_directory = "{self.folder}"', f'run_directory = "{self.run_directory}"',
            "[peers]", f'publish = "{publish}"', f'request = "{request}"',
            'admission = "open"', 'allowed_ranges = ["127.0.0.0/8"]',
            f"alphas = {list(alphas)!r}", "[database]", f'url = "{database_url}"',
            "[web]", *(f"{key} = {value}" for key, value in web.items()),
            *self._faucet_lines(),
        ]  # fmt: skip
        self.config_file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _faucet_lines(self) -> list[str]:
        if self._faucet is None:
            return []
        file = self.folder / "faucet.pem"
        save_key(file, self._faucet)
        return ["[faucet]", f'key_file = "{file}"', "per_minute = 2"]

    # -- the listener ------------------------------------------------------------------------

    def start_listener(self) -> None:
        """Returns when it answers."""
        started = threading.Event()

        async def run() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            started.set()
            listener = Listener(
                self.config, make_key(999), generate_curve_keys(), load_faucet_key(self.config)
            )
            await listener.run(self._stop)

        self._thread = threading.Thread(target=lambda: asyncio.run(run()), name="listener")
        self._thread.start()
        assert started.wait(10)
        wait_until(self._answers, 20, "the listener answers")

    def _answers(self) -> bool:
        assert self._thread is not None
        assert self._thread.is_alive(), "the listener ended"
        try:
            return isinstance(self.ipc.request(GetStatus(), 1), Status)
        except ListenerUnavailable:
            return False

    def stop_listener(self) -> None:
        """Returns when it has ended."""
        if self._thread is None or self._loop is None or self._stop is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(15)
        assert not self._thread.is_alive()
        self._thread = None

    def close(self) -> None:
        """Ends everything."""
        self.stop_listener()
        self.ipc.close()
        shutil.rmtree(self.run_directory, ignore_errors=True)

    # -- doing things ------------------------------------------------------------------------

    def address(self, key: AccountKey) -> str:
        """Bech32m text."""
        return encode_address(self.params.address_prefix, key.address)

    def transaction(
        self,
        key: AccountKey,
        recipient: AccountKey,
        amount: int = COIN,
        fee: int = 10_000,
        data: bytes = b"",
        sequence: int | None = None,
    ) -> Transaction:
        """A signed transaction, by default with the next sequence not used here yet."""
        if sequence is None:
            sequence = self._sequences.get(key.address, 0)
            self._sequences[key.address] = sequence + 1
        return make_transaction(
            key, self.params, sequence, recipient.address, amount, fee, data, int(time.time())
        )

    def submit(self, transactions: Sequence[Transaction]) -> None:
        """Past the web tier, straight to the listener, which must take them all."""
        reply = self.ipc.request(SubmitTransactions([each.raw for each in transactions]))
        assert isinstance(reply, Submitted), reply
        assert all(result.problem is None for result in reply.results), reply

    def mine(self, blocks: int = 1, recipient: AccountKey = MINER) -> bytes:
        """Has the listener's templates mined; the last block's hash."""
        block_hash = b""
        for _ in range(blocks):
            template = self.ipc.request(GetTemplate(recipient.address))
            assert isinstance(template, Template), template
            header = mine_header(decode_header(template.header))
            reply = self.ipc.request(SubmitNonce(template.template_id, header.nonce))
            assert isinstance(reply, NonceAccepted), reply
            block_hash = reply.block_hash
        return block_hash

    def report_miner(self, mode: str = "auto") -> None:
        """As a miner does every few seconds."""
        assert isinstance(self.ipc.request(MinerReport(mode, 1_000, 0)), Done)

    @contextmanager
    def queries(self) -> Iterator[Queries]:
        """The database, read directly."""
        engine = open_engine(self.config.database_url, read_only=True)
        try:
            yield Queries(engine)
        finally:
            engine.dispose()


def as_json(transaction: Transaction, prefix: str, **changes: Any) -> dict[str, Any]:
    """The JSON form of a transaction, with some fields replaced."""
    return {
        "public_key": transaction.public_key.hex(),
        "sequence": transaction.sequence,
        "recipient": encode_address(prefix, transaction.recipient),
        "amount": str(transaction.amount),
        "fee": str(transaction.fee),
        "timestamp": transaction.timestamp,
        "data": transaction.data.hex(),
        "signature": transaction.signature.hex(),
        **changes,
    }


__all__ = ["MINER", "TOKEN", "Block", "WebTestNode", "as_json"]

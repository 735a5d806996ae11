"""Networks of real nodes for functional tests: started, watched, killed and compared.

Nodes run as `cairn devnet` runs them, through its launcher; what a test sends and expects is
written apart from the node's code (`wallets`, `rest`).
"""

import itertools
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cairn.cli.devnet.nodes import PROGRAMS, Node, NodeSpec, Table
from cairn.cli.devnet.processes import Program, stop_all
from tests.support.polling import wait_until
from tests.support.rest import NoAnswer, RestApi
from tests.support.wallets import Account, NetworkName, SignedTransaction

COIN = 10**8
START_SECONDS = 60.0
FUNDED_ACCOUNTS = 12
FUNDED_UNITS = 1_000 * COIN
PATIENT_MINER = {
    "min_transactions": 1_000_000,
    "max_wait_seconds": 86_400,
    "heartbeat_seconds": 0,
}
"""Settings of a miner that works when it is asked to and never else."""

_PREFIX = "tcairn"
_PORT_RANGE = (10_000, 30_000)
"""Below the range that the kernel gives outgoing connections."""
_GENESIS = {
    "target_interval_seconds": 2,
    "half_life_seconds": 60,
    # About 131,000 hashes for a block, so that two miners seldom find one at once.
    "initial_target": 0x1F008000,
    "target_limit": 0x1F008000,
    "initial_subsidy": 50 * COIN,
    "halving_interval_blocks": 100_000,
    "max_block_bytes": 1_000_000,
    "max_data_bytes": 1_024,
}

alive: "list[LocalNetwork]" = []
"""Networks that run now: a failing test tells the ends of their logs."""


class LocalNode:
    """One node: its programs and its API."""

    def __init__(self, spec: NodeSpec) -> None:
        self.spec = spec
        self.node = Node(spec)
        self.api = RestApi(spec.url)

    @property
    def name(self) -> str:
        """As in its configuration."""
        return self.spec.name

    @property
    def token(self) -> str:
        """The operator's."""
        return self.spec.token_file.read_text(encoding="utf-8").strip()

    def start(self, *names: str) -> None:
        """Starts these programs, or all."""
        self.node.start(*names)

    def stop(self, *names: str) -> list[Program]:
        """Stops these programs, or all, with SIGTERM; those that had to be killed."""
        return self.node.stop(*names)

    def kill(self, *names: str) -> None:
        """SIGKILL to these programs, or all."""
        self.node.kill(*names)

    def is_ready(self) -> bool:
        """Whether the node says that it can do its work."""
        try:
            return self.api.call("GET", "/api/v1/ready").status == 200
        except NoAnswer:
            return False

    def is_answering(self) -> bool:
        """Whether its web tier reaches its database, whatever the listener and the peers do."""
        try:
            return self.api.call("GET", "/api/v1/health").status == 200
        except NoAnswer:
            return False

    def wait_ready(self, timeout_seconds: float = START_SECONDS) -> None:
        """Until it is ready. Fails at once when a program ended."""

        def ready() -> bool:
            for program in self.node.programs.values():
                assert program.is_running or not program.was_started, (
                    f"{program.name} ended:\n{program.log_tail()}"
                )
            return self.is_ready()

        wait_until(ready, timeout_seconds, f"{self.name} is ready", self._why_not)

    def status(self) -> dict[str, Any]:
        """`GET status`."""
        return dict(self.api.get("status"))

    def tip(self) -> str:
        """Hash of the tip; empty when the node does not answer."""
        try:
            return str(self.status()["tip"]["hash"])
        except (NoAnswer, AssertionError):
            return ""

    def height(self) -> int:
        """Of the tip."""
        return int(self.status()["tip"]["height"])

    def account(self, network: NetworkName, address: bytes) -> dict[str, Any]:
        """`GET accounts/{address}`."""
        return dict(self.api.get(f"accounts/{network.address(address)}"))

    def balance(self, network: NetworkName, address: bytes) -> int:
        """Confirmed, base units."""
        return int(self.account(network, address)["balance"])

    def find(self, transaction: SignedTransaction) -> str:
        """`mined`, `waiting` or `unknown`."""
        reply = self.api.call("GET", f"/api/v1/transactions/{transaction.hex_id}")
        if reply.status == 404:
            return "unknown"
        assert reply.status == 200, reply.body
        return "waiting" if reply.json()["block"] is None else "mined"

    def pool_ids(self) -> set[str]:
        """Ids of all waiting transactions."""
        return {item["id"] for item in self._all("pool")}

    def blocks(self) -> list[dict[str, Any]]:
        """All blocks of the active chain without their transactions, newest first."""
        return self._all("blocks")

    def peers(self) -> list[dict[str, Any]]:
        """Known nodes."""
        return self._all("nodes")

    def connected_peers(self) -> int:
        """How many peers it is connected with; 0 when it does not answer."""
        try:
            return sum(1 for peer in self.peers() if peer["connected"])
        except (NoAnswer, AssertionError):
            return 0

    def mine(self, blocks: int = 1) -> None:
        """Has its own miner find so many blocks on top of its tip."""
        target = self.height() + blocks
        wait_until(lambda: self._take_order(blocks), 20, f"the miner of {self.name} is there")
        wait_until(lambda: self.height() >= target, 30, f"{self.name} mines {blocks} block(s)")

    def doctor(self) -> subprocess.CompletedProcess[str]:
        """`cairn doctor` on its files: exit code 0 when the state is what the blocks give."""
        script = Path(sys.executable).with_name("cairn")
        return subprocess.run(
            [str(script), "doctor", "--config", str(self.spec.config_file)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _all(self, path: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.api.get(f"{path}?limit=100{cursor}")
            items += page["items"]
            if page["next"] is None:
                return items
            cursor = f"&{'before' if path == 'blocks' else 'cursor'}={page['next']}"

    def _take_order(self, blocks: int) -> bool:
        reply = self.api.post_json("mine", {"blocks": blocks}, token=self.token)
        assert reply.status in (200, 202, 503), reply.body
        return reply.status != 503  # a listener that has just started knows of no miner yet

    def _why_not(self) -> object:
        try:
            return self.api.call("GET", "/api/v1/ready").body
        except NoAnswer as error:
            return str(error)


class LocalNetwork:
    """Nodes of one network in one folder; a context manager that stops them all."""

    def __init__(self, folder: Path, accounts: int = FUNDED_ACCOUNTS, **genesis: int) -> None:
        """`accounts` are funded at genesis; `genesis` changes numbers of the genesis file."""
        self.folder = folder
        self.nodes: list[LocalNode] = []
        self.accounts = [Account(number) for number in range(accounts)]
        self.genesis_text = self._genesis({"genesis_time": int(time.time()), **genesis})
        self.genesis_file = folder / "genesis.toml"
        self.genesis_file.write_text(self.genesis_text, encoding="utf-8")
        self._run_directory = Path(tempfile.mkdtemp(prefix="cairn-"))
        self._name: NetworkName | None = None
        alive.append(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stops all nodes."""
        if self in alive:
            alive.remove(self)
        stop_all(program for node in self.nodes for program in node.node.programs.values())
        shutil.rmtree(self._run_directory, ignore_errors=True)

    @property
    def name(self) -> NetworkName:
        """Network id, as the first node tells it, and prefix."""
        if self._name is None:
            self._name = NetworkName(bytes.fromhex(self.nodes[0].status()["network_id"]), _PREFIX)
        return self._name

    def add_node(
        self,
        alphas: Sequence[LocalNode] | None = None,
        database_url: str = "",
        overrides: Table | None = None,
    ) -> LocalNode:
        """Writes the files of one more node. By default the first node is its alpha."""
        index = len(self.nodes)
        if alphas is None:
            alphas = self.nodes[:1]
        ports = free_ports(3)
        spec = NodeSpec(
            index=index,
            directory=self.folder / f"node-{index}",
            run_directory=self._run_directory / str(index),
            http_port=ports[0],
            publish_port=ports[1],
            request_port=ports[2],
            genesis_file=self.genesis_file,
            database_url=database_url,
            alphas=tuple(alpha.spec.url for alpha in alphas),
        )
        node = LocalNode(spec)
        node.node.write_files(overrides)
        node.node.migrate()
        self.nodes.append(node)
        return node

    def add_nodes(
        self,
        count: int,
        database_urls: Sequence[str] = (),
        overrides: Table | None = None,
    ) -> list[LocalNode]:
        """So many nodes, started, ready, each connected with all others."""
        urls = itertools.chain(database_urls, itertools.repeat(""))
        nodes = [self.add_node(database_url=next(urls), overrides=overrides) for _ in range(count)]
        for node in nodes:
            node.start()
        for node in nodes:
            node.wait_ready()
        self.wait_connected(nodes)
        return nodes

    def wait_connected(self, nodes: Sequence[LocalNode] | None = None) -> None:
        """Until each of these nodes, or of all, is connected with all others of them."""
        nodes = nodes or self.nodes
        wait_until(
            lambda: all(node.connected_peers() >= len(nodes) - 1 for node in nodes),
            START_SECONDS,
            "all nodes are connected with each other",
            lambda: {node.name: node.connected_peers() for node in nodes},
        )

    def wait_agreed(
        self, timeout_seconds: float = 30, nodes: Sequence[LocalNode] | None = None
    ) -> str:
        """Until all nodes have the same tip; its hash."""
        nodes = nodes or self.nodes

        def common() -> str:
            tips = {node.tip() for node in nodes}
            return tips.pop() if len(tips) == 1 else ""

        return wait_until(
            common,
            timeout_seconds,
            "all nodes have the same tip",
            lambda: {node.name: (node.tip(), node.height()) for node in nodes},
        )

    def wait_mined(
        self,
        transactions: Iterable[SignedTransaction],
        timeout_seconds: float = 30,
        nodes: Sequence[LocalNode] | None = None,
    ) -> None:
        """Until every one of them is mined on all nodes."""
        nodes = nodes or self.nodes
        left = {(node.name, tx.hex_id): (node, tx) for node in nodes for tx in transactions}

        def all_mined() -> bool:
            for key, (node, transaction) in list(left.items()):
                if node.find(transaction) != "mined":
                    return False
                del left[key]
            return True

        wait_until(
            all_mined,
            timeout_seconds,
            f"{len(left)} transactions are mined",
            lambda: {
                key: node.find(transaction) for key, (node, transaction) in list(left.items())[:5]
            },
        )

    def balances(self, node: LocalNode, more: Iterable[bytes] = ()) -> dict[bytes, int]:
        """Confirmed balances of the funded accounts and `more` addresses."""
        addresses = [*(account.address for account in self.accounts), *more]
        return {address: node.balance(self.name, address) for address in addresses}

    def logs(self, lines: int = 25) -> str:
        """The ends of all logs."""
        return "\n".join(
            f"--- {node.name} {name}\n{node.node.programs[name].log_tail(lines)}"
            for node in self.nodes
            for name in PROGRAMS
            if node.node.programs[name].was_started
        )

    def _genesis(self, changes: Mapping[str, int]) -> str:
        numbers = {**_GENESIS, **changes}
        lines = ['name = "functional"', f'address_prefix = "{_PREFIX}"', 'symbol = "TCRN"']
        lines += [f"{key} = {value}" for key, value in numbers.items()]
        name = NetworkName(b"", _PREFIX)
        funded = [f'"{name.address(each.address)}" = {FUNDED_UNITS}' for each in self.accounts]
        return "\n".join([*lines, "", "[allocations]", *funded]) + "\n"


def free_ports(count: int) -> list[int]:
    """Ports that nobody has on loopback."""
    found: list[int] = []
    while len(found) < count:
        port = random.randint(*_PORT_RANGE)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found

"""What the nodes of a network are doing, as a live table or as lines."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from rich.console import Console
from rich.live import Live
from rich.table import Table

from cairn.cli.devnet.api import NodeApi, Unreachable
from cairn.cli.devnet.nodes import Node
from cairn.cli.devnet.traffic import Traffic

_SHOWN_HASH_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node at one moment."""

    name: str
    url: str
    height: str = "-"
    tip: str = "-"
    pool: str = "-"
    peers: str = "-"
    miner: str = "-"
    """Its mode."""
    hash_rate: str = "-"
    state: str = "-"

    def line(self) -> str:
        """As plain text."""
        return (
            f"{self.name} height {self.height} tip {self.tip} pool {self.pool} "
            f"peers {self.peers} miner {self.miner} {self.state}"
        )


class Watch:
    """Asks all nodes at once, and shows what changed."""

    def __init__(self, nodes: Sequence[Node], console: Console, traffic: Traffic | None) -> None:
        self._nodes = list(nodes)
        self._apis = [NodeApi(node.spec.http_port, timeout_seconds=2.0) for node in nodes]
        self._console = console
        self._traffic = traffic
        self._threads = ThreadPoolExecutor(max_workers=len(self._nodes), thread_name_prefix="watch")
        self._shown: dict[str, tuple[str, ...]] = {}
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> "Watch":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def refresh(self) -> None:
        """Looks and shows."""
        views = list(self._threads.map(_look, self._nodes, self._apis))
        if self._live is not None:
            self._live.update(self._table(views), refresh=True)
            return
        self.tell(views)

    def tell(self, views: Sequence[NodeView]) -> None:
        """Prints the nodes whose chain, peers or state are not as last printed."""
        for view in views:
            seen = (view.height, view.tip, view.peers, view.state)  # a pool changes all the time
            if self._shown.get(view.name) != seen:
                self._shown[view.name] = seen
                self.say(f"{time.strftime('%H:%M:%S')} {view.line()}")

    def say(self, text: str, style: str = "") -> None:
        """Prints lines above the table."""
        self._console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def _table(self, views: Sequence[NodeView]) -> Table:
        table = Table(caption=self._caption())
        for column in ("node", "height", "tip", "pool", "peers", "miner", "state", "page"):
            table.add_column(column, justify="right" if column in ("height", "pool") else "left")
        for view in views:
            table.add_row(
                view.name,
                view.height,
                view.tip,
                view.pool,
                view.peers,
                f"{view.miner}, {view.hash_rate}",
                view.state,
                view.url,
            )
        return table

    def _caption(self) -> str:
        if self._traffic is None:
            return "Ctrl-C stops the network"
        sent, refused = self._traffic.sent, self._traffic.refused
        return f"{sent:,} transactions sent, {refused:,} refused · Ctrl-C stops the network"


def _look(node: Node, api: NodeApi) -> NodeView:
    down = [name for name, program in node.programs.items() if not program.is_running]
    view = NodeView(node.spec.name, node.spec.url)
    try:
        status, body = api.get("status")
    except Unreachable:
        status, body = 0, None
    if status != 200:
        return replace(view, state=f"{' and '.join(down)} ended" if down else "unreachable")
    rate = body["miner"]["hashes_per_second"]
    mode = body["miner"]["mode"]
    state = f"{' and '.join(down)} ended" if down else body["sync_state"]
    return replace(
        view,
        height=f"{body['height']:,}",
        tip=body["tip"]["hash"][:_SHOWN_HASH_CHARACTERS],
        pool=f"{body['pool']['transactions']:,}",
        peers=str(body["peers"]["connected"]),
        miner=mode or "-",
        hash_rate=f"{rate / 1e6:.2f} MH/s" if rate else "idle",
        state=f"{state}, {len(body['alerts'])} alert(s)" if body["alerts"] else state,
    )

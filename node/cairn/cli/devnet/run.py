"""A development network from start to stop."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.status import Status

from cairn.cli.devnet.api import NodeApi
from cairn.cli.devnet.databases import clear_tables, prepare
from cairn.cli.devnet.folder import WALLETS, Folder, Marker
from cairn.cli.devnet.nodes import HOST, Node, NodeSpec
from cairn.cli.devnet.processes import Program, ProgramError, describe_exit, stop_all
from cairn.cli.devnet.stopping import StopSignal
from cairn.cli.devnet.traffic import Traffic
from cairn.cli.devnet.watch import Watch
from cairn.cli.failures import Failure
from cairn.consensus.params import NetworkParams
from cairn.wallet import AccountKey

PORTS_PER_NODE = 10
START_SECONDS = 120.0
_POLL_SECONDS = 0.1
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for."""

    nodes: int
    base_port: int
    data: Path
    database: str
    """SQLAlchemy URL with {node}; empty: SQLite."""
    traffic: float
    """Transactions per second, 0: none."""
    fresh: bool


class StopAsked(Exception):
    """A stop signal came while the network was starting."""


class Devnet:
    """One run of `cairn devnet`."""

    def __init__(self, options: Options, console: Console) -> None:
        self._options = options
        self._console = console
        self._nodes: list[Node] = []
        self._told_dead: set[str] = set()
        self._started_at = time.monotonic()

    def run(self) -> None:
        """Starts, watches until a stop signal, stops. Raises Failure when it cannot start."""
        stop = StopSignal()
        try:
            with Folder(self._options.data) as folder:
                try:
                    self._start_and_watch(folder, stop)
                except StopAsked:
                    self._say("stopped before it was ready")
                finally:
                    self._stop(stop)
                    folder.remove_run_directory()
        finally:
            stop.close()

    # -- starting ----------------------------------------------------------------------------

    def _start_and_watch(self, folder: Folder, stop: StopSignal) -> None:
        params, keys = self._prepare(folder)
        self._start(stop)
        self._introduce(folder)
        apis = [NodeApi(node.spec.http_port) for node in self._nodes]
        traffic = None
        if self._options.traffic:
            traffic = Traffic(apis, params, keys, self._options.traffic)
            traffic.start()
        try:
            self._watch(stop, traffic)
        finally:
            if traffic is not None:
                traffic.stop()
                sent, refused = traffic.sent, traffic.refused
                self._say(f"traffic: {sent:,} transactions accepted, {refused:,} refused")

    def _prepare(self, folder: Folder) -> tuple[NetworkParams, list[AccountKey]]:
        options = self._options
        if options.fresh:
            self._clear(folder)
        folder.remove_run_directory()  # of a run that was killed
        marker = folder.marker
        if options.database and marker.migrated and options.database != marker.database:
            raise Failure(
                f"the network in {folder.path} is on other databases than --database names",
                "leave --database out, or begin anew with --fresh",
            )
        database = options.database or marker.database
        run_directory = folder.make_run_directory()
        folder.save(replace(marker, database=database, run_directory=str(run_directory)))
        params, keys = folder.open_network(int(time.time()))
        specs = [
            self._spec(folder, run_directory, database, index) for index in range(options.nodes)
        ]
        check_ports(specs)
        with self._step("making databases"):
            for spec in specs:
                node = Node(spec)
                node.write_files()
                self._make_tables(folder, node)
                self._nodes.append(node)
        return params, keys

    def _clear(self, folder: Folder) -> None:
        for url in folder.marker.migrated:
            clear_tables(url)
        folder.clear()
        folder.save(Marker())

    def _spec(self, folder: Folder, run_directory: Path, database: str, index: int) -> NodeSpec:
        port = self._options.base_port + PORTS_PER_NODE * index
        return NodeSpec(
            index=index,
            directory=folder.path / f"node-{index}",
            run_directory=run_directory / str(index),
            http_port=port,
            publish_port=port + 1,
            request_port=port + 2,
            genesis_file=folder.genesis_file,
            database_url=database.replace("{node}", str(index)),
            alphas=(f"http://{HOST}:{self._options.base_port}",) if index else (),
            faucet_key=folder.faucet_key(index),
        )

    def _make_tables(self, folder: Folder, node: Node) -> None:
        url = node.spec.database_url
        if url:
            prepare(url, may_hold_tables=url in folder.marker.migrated)
            if url not in folder.marker.migrated:
                folder.save(replace(folder.marker, migrated=(*folder.marker.migrated, url)))
        node.migrate()

    def _start(self, stop: StopSignal) -> None:
        with self._step("starting programs"):
            for node in self._nodes:
                node.start()
        with self._step("waiting until every node is healthy") as progress:
            self._wait(stop, progress, "healthy", lambda node: NodeApi(_port(node)).is_ready())
        others = len(self._nodes) - 1
        if others:
            with self._step("waiting until every node knows the others") as progress:
                self._wait(
                    stop,
                    progress,
                    "peered",
                    lambda node: NodeApi(_port(node)).connected_peers() >= others,
                )

    def _wait(
        self, stop: StopSignal, progress: Status, state: str, is_so: Callable[[Node], bool]
    ) -> None:
        """Until `is_so` of every node. Raises Failure when a program ends or time runs out."""
        waiting = list(self._nodes)
        deadline = time.monotonic() + START_SECONDS
        while True:
            waiting = [node for node in waiting if not is_so(node)]
            done = len(self._nodes) - len(waiting)
            progress.update(f"{done} of {len(self._nodes)} nodes {state}")
            if not waiting:
                return
            for node in self._nodes:
                for program in node.programs.values():
                    if not program.is_running:
                        raise _ended(program)
            if time.monotonic() > deadline:
                raise _never(waiting[0], state)
            if stop.wait(_POLL_SECONDS):
                raise StopAsked

    def _introduce(self, folder: Folder) -> None:
        node = self._nodes[0].spec
        seconds = time.monotonic() - self._started_at
        self._say(f"data, logs and keys: {folder.path}")
        self._say(f"wallets with coins:  {folder.path / WALLETS}")
        self._say(f"operator's token:    {node.token_file}")
        if node.faucet_key is not None:
            self._say(f"faucet:              {node.url}/faucet")
        self._say(f"command line:        .venv/bin/cairn status --node {node.url}")
        for each in self._nodes:
            self._say(f"{each.spec.name}  {each.spec.url}")
        count = len(self._nodes)
        self._say(f"ready: {count} node{'s' if count > 1 else ''} in {seconds:.1f} s")

    # -- running -----------------------------------------------------------------------------

    def _watch(self, stop: StopSignal, traffic: Traffic | None) -> None:
        with Watch(self._nodes, self._console, traffic) as watch:
            while not stop.wait(_LOOK_SECONDS):
                for node in self._nodes:
                    for name, program in node.programs.items():
                        if not program.is_running and program.name not in self._told_dead:
                            self._told_dead.add(program.name)
                            watch.say(_obituary(node, name), style="bold red")
                watch.refresh()

    def _stop(self, stop: StopSignal) -> None:
        programs = [program for node in self._nodes for program in node.programs.values()]
        if not any(program.is_running for program in programs):
            stop_all(programs)  # clears away what ended programs left behind
            return
        asked = stop.count
        with self._step("stopping") as progress:
            progress.update("stopping (again Ctrl-C: at once)")
            forced = stop_all(programs, in_haste=lambda: stop.count > asked)
        for program in forced:
            self._say(f"{program.name} did not stop by itself and was killed", style="yellow")
        self._say("stopped")

    # -- talking -----------------------------------------------------------------------------

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def _step(self, title: str) -> Iterator[Status]:
        """A spinner in a terminal, one line elsewhere."""
        status = Status(title, console=self._console)
        if not self._console.is_terminal:
            self._say(f"{title} ...")
            yield status
            return
        with status:
            yield status


def check_ports(specs: list[NodeSpec]) -> None:
    """Raises Failure when a port that a node needs is taken."""
    for spec in specs:
        for purpose, port in spec.ports.items():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, port))
                except OSError as error:
                    raise Failure(
                        f"port {port} ({spec.name}, {purpose}) cannot be used: {error.strerror}",
                        f"see who has it (ss -ltnp 'sport = :{port}'), or use --base-port P",
                    ) from None


def _port(node: Node) -> int:
    return node.spec.http_port


def _ended(program: Program) -> Failure:
    try:
        how = describe_exit(program.exit_code)
    except ProgramError:
        how = "ended"
    return Failure(
        f"{program.name} {how} while the network was starting. The end of its log:\n"
        + _indented(program.log_tail()),
        f"read the whole log: less {program.log}",
    )


def _never(node: Node, state: str) -> Failure:
    tails = [
        f"{program.name}:\n{_indented(program.log_tail(8))}" for program in node.programs.values()
    ]
    return Failure(
        f"{node.spec.name} is not {state} after {START_SECONDS:.0f} s. The ends of its logs:\n"
        + "\n".join(tails),
        f"ask it why: curl {node.spec.url}/api/v1/ready; read its logs: "
        f"less {node.spec.directory}/logs/*.log",
    )


def _obituary(node: Node, name: str) -> str:
    program = node.programs[name]
    return (
        f"{program.name} {describe_exit(program.exit_code)}. The end of its log:\n"
        f"{_indented(program.log_tail())}\n"
        f"The others go on. Whole log: less {program.log}\n"
        "Start it again: stop the network with Ctrl-C, then ./dev up"
    )


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())

"""`cairn devnet`: a whole network on this machine, made at first use, run until Ctrl-C."""

from pathlib import Path

import click

from cairn.cli.command import CairnCommand, example
from cairn.cli.failures import ExitCode, Failure

_MAX_NODES = 50
_PORTS_PER_NODE = 10


@click.command(
    cls=CairnCommand,
    epilog=example(
        """
cairn devnet
cairn devnet --nodes 5 --traffic 20
cairn devnet --fresh --data /tmp/net
cairn devnet --database 'mysql+mysqldb://me@/cairn_{node}?unix_socket=/run/mysqld/mysqld.sock'
"""
    ),
)
@click.option(
    "--nodes",
    type=click.IntRange(1, _MAX_NODES),
    default=3,
    show_default=True,
    help="How many nodes to run.",
)
@click.option(
    "--base-port",
    type=click.IntRange(1_024, 65_000),
    default=8_000,
    show_default=True,
    help="Node i, from 0, serves HTTP on this port + 10·i; its peers use the two after it.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path(".devnet"),
    show_default=True,
    help="Where the network lives; a later run on the same folder goes on with its chain.",
)
@click.option(
    "--database",
    default="",
    metavar="URL",
    help="SQLAlchemy URL of the nodes' databases, {node} standing for the number. "
    "Default: SQLite files in the data folder.",
)
@click.option(
    "--traffic",
    type=click.FloatRange(0, 2_000),
    default=0.0,
    metavar="TPS",
    help="Keep sending so many transactions a second between the demo wallets.",
)
@click.option("--fresh", is_flag=True, help="First remove what an earlier run left in the folder.")
def devnet(
    nodes: int, base_port: int, data: Path, database: str, traffic: float, fresh: bool
) -> None:
    """Run a network of nodes on this machine until Ctrl-C.

    On first use it makes a network of its own: genesis file, wallets with coins, keys. Then it
    starts each node's programs, and stops them, and nothing else, at the end.
    """
    from cairn.cli.devnet.run import Devnet, Options
    from cairn.cli.output import out

    last_port = base_port + _PORTS_PER_NODE * nodes
    if last_port > 65_535:
        raise Failure(
            f"{nodes} nodes from port {base_port} on reach port {last_port}",
            "use a lower --base-port",
            exit_code=ExitCode.USAGE,
        )
    if database and nodes > 1 and "{node}" not in database:
        raise Failure(
            "--database names one database for all nodes",
            "put {node} where the node's number belongs, as in .../cairn_{node}",
            exit_code=ExitCode.USAGE,
        )
    Devnet(Options(nodes, base_port, data, database, traffic, fresh), out()).run()

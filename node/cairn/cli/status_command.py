"""`cairn status`: the node and its network at a glance."""

import click
from rich.text import Text

from cairn.cli.command import CairnCommand, NodeAt, example, json_option, node_options
from cairn.cli.output import (
    age,
    bytes_size,
    counted,
    facts,
    hashes,
    one_line,
    out,
    plain,
    print_json,
    scaled,
)
from cairn.cli.replies import Status, read
from cairn.wallet import format_amount

_STATES = {"synced": "green", "running": "green", "syncing": "yellow"}


@click.command(
    "status",
    cls=CairnCommand,
    epilog=example("cairn status\ncairn status --node http://node1.example.net:8000 --json"),
)
@node_options
@json_option
def status(node: NodeAt, as_json: bool) -> None:
    """Show how the node and its network are: tip, pool, peers, alerts."""
    document = node.client().get("status")
    answer = read(document, Status)
    if as_json:
        print_json(document)
        return
    console = out()
    console.print(facts(_rows(answer)))
    for alert in answer.alerts:
        line = f"! {plain(alert.code)}: {plain(alert.detail)} ({age(alert.since)})"
        console.print(line, style="bold red")


def _rows(answer: Status) -> list[tuple[str, str | Text]]:
    mode = one_line(answer.miner.mode) if answer.miner.mode else "does not report"
    rate = scaled(int(answer.hash_rate), "H/s")
    tip = f"{answer.height:,}  {answer.tip.hash}"
    behind = max(answer.best_peer_height - answer.height, 0)
    sync = _state(answer.sync_state, f", {counted(behind, 'block')} behind" if behind else "")
    interval = answer.target_interval_seconds
    waiting = counted(answer.pool.transactions, "transaction")
    return [
        ("node", f"{one_line(answer.name)}, cairn {one_line(answer.versions.node)}"),
        ("network", f"{one_line(answer.network)}  {answer.network_id}"),
        ("tip", tip),
        ("", f"mined {age(answer.tip.timestamp)}, one is due every {interval} s"),
        ("sync", sync),
        ("listener", _state(answer.listener)),
        ("miner", f"{mode}, {scaled(answer.miner.hashes_per_second, 'H/s')}"),
        ("network rate", f"about {rate}; chain work {hashes(int(answer.chain_work))}"),
        ("waiting", f"{waiting}, {bytes_size(answer.pool.bytes)}"),
        ("peers", f"{answer.peers.connected} connected, {answer.peers.known} known"),
        ("mined so far", counted(answer.transactions, "transaction")),
        ("supply", format_amount(int(answer.supply), answer.symbol)),
        ("its account", one_line(answer.recipient) if answer.recipient else "unknown"),
    ]


def _state(name: str, more: str = "") -> Text:
    text = Text(one_line(name), _STATES.get(name, "red"))
    return text.append(more, "yellow")

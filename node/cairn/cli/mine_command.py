"""`cairn mine`: ask the node's miner for blocks now."""

import time

import click

from cairn.cli.command import (
    CairnCommand,
    NodeAt,
    example,
    json_option,
    node_options,
    token_option,
)
from cairn.cli.failures import Failure
from cairn.cli.operator import operator_token
from cairn.cli.output import counted, out, plain, print_json, progress
from cairn.cli.replies import Done, Status, read

_POLL_SECONDS = 0.5


@click.command(
    "mine", cls=CairnCommand, epilog=example("cairn mine 3 --token-file operator.token --wait")
)
@click.argument("count", type=click.IntRange(1, 1_000), default=1, metavar="[N]")
@click.option("--wait", is_flag=True, help="Wait until the chain has grown by so many.")
@click.option("--within", type=click.FloatRange(1, 86_400), default=600.0, show_default=True,
              metavar="SECONDS", help="How long to wait for them.")  # fmt: skip
@token_option
@node_options
@json_option
def mine(
    count: int, wait: bool, within: float, token_file: str | None, node: NodeAt, as_json: bool
) -> None:
    """Ask the node's miner for N blocks now, whatever waits. For the node's operator."""
    client = node.client(operator_token(token_file))
    before = read(client.get("status"), Status).height
    done = read(client.post("mine", document={"blocks": count}), Done)
    height = before
    if wait:
        deadline = time.monotonic() + within
        with progress("blocks") as bar:
            task = bar.add_task("Mining", total=count)
            while height < before + count:
                height = read(client.get("status"), Status).height
                bar.update(task, completed=min(height - before, count))
                if time.monotonic() > deadline:
                    raise Failure(
                        f"{counted(height - before, 'block')} of {count} within {within:g} s",
                        "see what the miner does: cairn status",
                        code="not-mined",
                    )
                if height < before + count:
                    time.sleep(_POLL_SECONDS)
    if as_json:
        print_json(
            {"requested": count, "height_before": before, "height": height if wait else None}
        )
    elif wait:
        out().print(f"The chain is at height {height:,}.", style="green")
    else:
        out().print(plain(done.detail) or f"Asked for {counted(count, 'block')}.")

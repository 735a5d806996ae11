"""`cairn nodes`: the nodes this one knows, and joining at another."""

import click
from rich.text import Text

from cairn.cli.command import (
    CairnGroup,
    NodeAt,
    example,
    json_option,
    node_options,
    token_option,
)
from cairn.cli.operator import operator_token
from cairn.cli.output import age, counted, one_line, out, plain, print_json, table
from cairn.cli.replies import Done, Node, NodePage, read

_STYLES = {"connected": "green", "banned": "red", "disconnected": "yellow"}


@click.group(
    cls=CairnGroup,
    invoke_without_command=True,
    epilog=example("cairn nodes\ncairn nodes add http://alpha.example.net:8000"),
)
@node_options
@json_option
@click.pass_context
def nodes(ctx: click.Context, node: NodeAt, as_json: bool) -> None:
    """Show the nodes this one knows, or join at one with `cairn nodes add URL`."""
    if ctx.invoked_subcommand is None:
        _list(node, as_json=as_json)
    else:  # `cairn nodes --node URL add …` means that node, too
        ctx.default_map = {"add": {"node": node.url, "timeout": node.timeout_seconds}}


@nodes.command("add", epilog=example("cairn nodes add http://alpha.example.net:8000"))
@click.argument("url")
@token_option
@node_options
@json_option
def add(url: str, token_file: str | None, node: NodeAt, as_json: bool) -> None:
    """Have the node join at another one's URL. For the node's operator."""
    client = node.client(operator_token(token_file))
    document = client.post("nodes", "join", document={"url": url})
    done = read(document, Done)
    if as_json:
        print_json(document)
    else:
        out().print(plain(done.detail) or f"Joined at {plain(url)}.")


def _list(node: NodeAt, *, as_json: bool) -> None:
    client = node.client()
    items: list[object] = []
    cursor: str | None = None
    while True:
        document = client.get("nodes", cursor=cursor, limit=100)
        page = read(document, NodePage)
        items += document["items"]
        if page.next is None or page.next == cursor:
            break
        cursor = page.next
    if as_json:
        print_json({"items": items, "next": None})
        return
    found = read(items, list[Node])
    if not found:
        out().print("No other node is known. Join at one: cairn nodes add URL")
        return
    made = table("name", "state", ("height", "right"), ("lag", "right"), ("score", "right"),
                 "seen", "address", "version")  # fmt: skip
    for item in sorted(found, key=lambda each: (not each.connected, each.name)):
        made.add_row(
            one_line(item.name, 24),
            Text(one_line(item.state, 16), _STYLES.get(item.state, "")),
            f"{item.height:,}",
            f"{item.lag_milliseconds} ms" if item.lag_milliseconds else "",
            str(item.score),
            age(item.last_seen) if item.last_seen else "never",
            one_line(item.url or item.publish, 48),
            one_line(item.version, 16),
        )
    out().print(made)
    connected = sum(1 for item in found if item.connected)
    out().print(f"{counted(len(found), 'node')} known, {connected} connected")

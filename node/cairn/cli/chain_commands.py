"""`cairn chain|block|transaction`: what is in the chain."""

import re

import click
from rich.console import Console
from rich.text import Text

from cairn.cli.command import CairnCommand, NodeAt, example, json_option, node_options
from cairn.cli.failures import ExitCode, Failure
from cairn.cli.output import (
    age,
    bytes_size,
    counted,
    facts,
    moment,
    one_line,
    out,
    print_json,
    short,
    table,
)
from cairn.cli.replies import (
    Block,
    BlockDetail,
    BlockPage,
    FoundTransaction,
    Status,
    Transaction,
    read,
)
from cairn.wallet import format_amount, notarized_digest

_HASH = re.compile(r"[0-9a-f]{64}")
_BOX_WIDTH = 62
_STEM = 8
"""Column of the line that links a box with the next."""
_SHOWN_TRANSACTIONS = 50


@click.command("chain", cls=CairnCommand, epilog=example("cairn chain\ncairn chain --limit 3"))
@click.option("--limit", type=click.IntRange(1, 100), default=6, show_default=True,
              help="How many blocks.")  # fmt: skip
@click.option("--before", type=click.IntRange(1), metavar="HEIGHT", help="Only blocks below this.")
@click.option("--newest-first", is_flag=True, help="Draw the tip on top.")
@node_options
@json_option
def chain(limit: int, before: int | None, newest_first: bool, node: NodeAt, as_json: bool) -> None:
    """Draw the newest blocks and how each holds the hash of the one before it."""
    document = node.client().get("blocks", limit=limit, before=before)
    blocks = read(document, BlockPage).items
    if as_json:
        print_json(document)
        return
    if not blocks:
        raise Failure("there is no block below that height", exit_code=ExitCode.NOT_FOUND)
    _draw(out(), blocks if newest_first else blocks[::-1], newest_first=newest_first)


def _draw(console: Console, blocks: list[Block], *, newest_first: bool) -> None:
    """Boxes from top to bottom, each tied to the next by the hash they share."""
    lowest = min(blocks, key=lambda block: block.height)
    if not newest_first and lowest.height > 0:
        console.print(f"{' ' * _STEM}⋮  {counted(lowest.height, 'block')} before", style="dim")
    for position, block in enumerate(blocks):
        if position or (not newest_first and block.height > 0):
            console.print(" " * _STEM + "│", style="cyan")
        has_above = position > 0 or (not newest_first and block.height > 0)
        has_below = position < len(blocks) - 1 or (newest_first and block.height > 0)
        for line in _box(block, has_above=has_above, has_below=has_below):
            console.print(line)
    if newest_first and lowest.height > 0:
        console.print(f"{' ' * _STEM}⋮  {counted(lowest.height, 'block')} before", style="dim")


def _box(block: Block, *, has_above: bool, has_below: bool) -> list[Text]:
    inner = _BOX_WIDTH - 2
    title = f" block {block.height:,} "
    edge = "─" * (_STEM - 1) + ("┴" if has_above else "─")
    top = edge + title + "─" * (inner - len(edge) - len(title))
    bottom = "─" * (_STEM - 1) + ("┬" if has_below else "─") + "─" * (inner - _STEM)
    content = (
        f"{counted(block.transaction_count, 'transaction')}, {bytes_size(block.size_bytes)},"
        f" {age(block.timestamp)}"
    )
    genesis = block.height == 0
    rows = [
        _row(inner, ("hash      ", "dim"), (short(block.hash), _hash_style(block.height))),
        _row(
            inner,
            ("previous  ", "dim"),
            ("none: genesis", "dim")
            if genesis
            else (short(block.previous_hash), _hash_style(block.height - 1)),
        ),
        _row(inner, (content, "")),
    ]
    return [Text(f"╭{top}╮", "cyan"), *rows, Text(f"╰{bottom}╯", "cyan")]


def _hash_style(height: int) -> str:
    """A block's hash has one colour, in its own box and in the next one."""
    return ("bold green", "bold magenta", "bold yellow")[height % 3]


def _row(width: int, *parts: tuple[str, str]) -> Text:
    content = Text.assemble(" ", *parts)
    content.pad_right(max(width - content.cell_len, 0))
    return Text.assemble(("│", "cyan"), content, ("│", "cyan"))


@click.command("block", cls=CairnCommand, epilog=example("cairn block 12\ncairn block 12 --json"))
@click.argument("height_or_hash")
@node_options
@json_option
def block(height_or_hash: str, node: NodeAt, as_json: bool) -> None:
    """Show the block of this height or hash, with its transactions."""
    client = node.client()
    document = client.get("blocks", _reference(height_or_hash))
    found = read(document, BlockDetail)
    if as_json:
        print_json(document)
        return
    symbol = read(client.get("status"), Status).symbol
    console = out()
    console.print(facts(_block_rows(found, symbol)))
    if found.transactions:
        console.print(transaction_table(found.transactions[:_SHOWN_TRANSACTIONS], symbol))
    left = len(found.transactions) - _SHOWN_TRANSACTIONS
    if left > 0:
        console.print(f"… and {left:,} more; --json shows all")


def _block_rows(found: BlockDetail, symbol: str) -> list[tuple[str, str | Text]]:
    extra = bytes.fromhex(found.coinbase.extra)
    transactions = counted(found.transaction_count, "transaction")
    reward = format_amount(int(found.coinbase.amount), symbol)
    fees = format_amount(int(found.fees), symbol)
    return [
        ("height", f"{found.height:,} ({counted(found.confirmations, 'confirmation')})"),
        ("hash", Text(found.hash, "bold green")),
        ("previous", found.previous_hash),
        ("merkle root", found.merkle_root),
        ("time", f"{moment(found.timestamp)} ({age(found.timestamp)})"),
        ("target", f"{one_line(found.bits)}, nonce {found.nonce}"),
        ("size", f"{bytes_size(found.size_bytes)}, {transactions}"),
        ("mined by", one_line(found.coinbase.recipient, 120)),
        ("reward", f"{reward}, of which fees {fees}"),
        *([("miner's note", one_line(note_text(extra), 100))] if extra else []),
    ]


@click.command("transaction", cls=CairnCommand, epilog=example("cairn transaction 5f2c…"))
@click.argument("transaction_id", metavar="ID")
@node_options
@json_option
def transaction(transaction_id: str, node: NodeAt, as_json: bool) -> None:
    """Show the transaction with this id: what it says, and whether it is mined."""
    client = node.client()
    document = client.get("transactions", checked_id(transaction_id))
    found = read(document, FoundTransaction)
    if as_json:
        print_json(document)
        return
    symbol = read(client.get("status"), Status).symbol
    out().print(facts(_transaction_rows(found, symbol)))


def _transaction_rows(found: FoundTransaction, symbol: str) -> list[tuple[str, str | Text]]:
    data = bytes.fromhex(found.data)
    if found.block is not None:
        confirmed = counted(found.confirmations, "confirmation")
        where = Text(f"mined in block {found.block.height:,}, {confirmed}", "green")
        when = found.block.timestamp
    else:
        where = Text("waiting for a block", "yellow")
        when = found.received_at or found.timestamp
    return [
        ("id", Text(found.id, "bold")),
        ("state", where),
        ("time", f"{moment(when)} ({age(when)})"),
        ("from", f"{one_line(found.sender, 120)}, sequence {found.sequence}"),
        ("to", one_line(found.recipient, 120)),
        ("amount", Text(format_amount(int(found.amount), symbol), "bold")),
        ("fee", format_amount(int(found.fee), symbol)),
        ("size", bytes_size(found.size_bytes)),
        *([("data", note_text(data))] if data else []),
    ]


def transaction_table(found: list[Transaction], symbol: str) -> object:
    """Transactions, a row each."""
    made = table("id", "from", "to", (f"{symbol}", "right"), ("fee", "right"), "note")
    for item in found:
        made.add_row(
            short(item.id),
            short(one_line(item.sender, 100)),
            short(one_line(item.recipient, 100)),
            format_amount(int(item.amount)),
            format_amount(int(item.fee)),
            one_line(note_text(bytes.fromhex(item.data)), 32),
        )
    return made


def checked_id(text: str) -> str:
    """A transaction id as the API takes it. Raises Failure when it is none."""
    found = text.strip().lower()
    if not _HASH.fullmatch(found):
        raise Failure(
            f"{text[:80]!r} is no transaction id: 64 hexadecimal digits",
            "copy it whole: `cairn block HEIGHT --json` and `cairn pool --json` show ids",
            exit_code=ExitCode.USAGE,
        )
    return found


def _reference(text: str) -> str:
    found = text.strip().lower()
    if not _HASH.fullmatch(found) and not (found.isascii() and found.isdigit()):
        raise Failure(
            f"{text[:80]!r} is no height and no block hash of 64 hexadecimal digits",
            "see some: cairn chain",
            exit_code=ExitCode.USAGE,
        )
    return found


def note_text(data: bytes) -> str:
    """A transaction's data for people: a document's fingerprint, text, or hexadecimal digits."""
    digest = notarized_digest(data)
    if digest is not None:
        return f"document with SHA-256 {digest.hex()}"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data.hex()
    return text if text.isprintable() else data.hex()

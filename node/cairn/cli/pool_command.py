"""`cairn pool`: what waits for a block."""

from typing import Any

import click

from cairn.cli.chain_commands import note_text
from cairn.cli.command import CairnCommand, NodeAt, example, json_option, node_options
from cairn.cli.failures import ExitCode
from cairn.cli.output import age, bytes_size, counted, one_line, out, print_json, short, table
from cairn.cli.replies import FoundTransaction, PoolCheck, PoolPage, Status, read
from cairn.wallet import format_amount

_SHOWN = 20


@click.command("pool", cls=CairnCommand, epilog=example("cairn pool\ncairn pool --check"))
@click.option("--check", is_flag=True, help="Verify every waiting signature and balance again.")
@click.option("--limit", type=click.IntRange(1, 100), default=_SHOWN, show_default=True,
              help="How many are shown.")  # fmt: skip
@click.option("--order", type=click.Choice(["fee-rate", "age"]), default="fee-rate",
              show_default=True, help="Dearest per byte first, or longest waiting.")  # fmt: skip
@node_options
@json_option
@click.pass_context
def pool(
    ctx: click.Context, check: bool, limit: int, order: str, node: NodeAt, as_json: bool
) -> None:
    """Show the transactions that wait for a block.

    --check has the node verify every one of them again: exit code 1 when any is unfit.
    """
    client = node.client()
    if check:
        checked, problems = _check_all(client)
        if as_json:
            print_json({"checked": checked, "valid": checked - len(problems), "problems": problems})
        else:
            _print_check(checked, problems)
        ctx.exit(ExitCode.FOUND if problems else ExitCode.OK)
    document = client.get("pool", limit=limit, order=order)
    page = read(document, PoolPage)
    if as_json:
        print_json(document)
        return
    status = read(client.get("status"), Status)
    total = counted(status.pool.transactions, "transaction")
    out().print(f"{total} waiting, {bytes_size(status.pool.bytes)}")
    if page.items:
        out().print(_table(page.items, status.symbol))
    if page.next is not None:
        out().print(f"… and more; --limit shows up to 100, --json has the cursor {page.next}")


def _table(items: list[FoundTransaction], symbol: str) -> Any:
    made = table("id", "from", "to", (symbol, "right"), ("fee", "right"), ("size", "right"),
                 "arrived", "note")  # fmt: skip
    for item in items:
        made.add_row(
            short(item.id),
            short(one_line(item.sender, 100)),
            short(one_line(item.recipient, 100)),
            format_amount(int(item.amount)),
            format_amount(int(item.fee)),
            bytes_size(item.size_bytes),
            age(item.received_at) if item.received_at is not None else "",
            one_line(note_text(bytes.fromhex(item.data)), 32),
        )
    return made


def _check_all(client: Any) -> tuple[int, list[dict[str, object]]]:
    """All pages of the node's own check: how many it looked at, and what is wrong."""
    checked, cursor = 0, None
    problems: list[dict[str, object]] = []
    while True:
        page = read(client.get("pool", "check", cursor=cursor), PoolCheck)
        checked += page.checked
        problems += [
            {
                "id": fault.id,
                "code": fault.problem.code,
                "detail": fault.problem.detail,
                "numbers": fault.problem.numbers,
            }
            for fault in page.problems
        ]
        if page.next is None or page.next == cursor:
            return checked, problems
        cursor = page.next


def _print_check(checked: int, problems: list[dict[str, object]]) -> None:
    if not problems:
        out().print(f"✓ {counted(checked, 'waiting transaction')}, all sound.", style="green")
        return
    made = table("id", "problem", "detail")
    for problem in problems:
        detail = one_line(str(problem["detail"]), 120)
        made.add_row(short(str(problem["id"])), one_line(str(problem["code"])), detail)
    out().print(made)
    unfit = counted(len(problems), "waiting transaction")
    out().print(f"✗ {unfit} of {checked} unfit. Fix: restart the listener, it drops them.",
                style="bold red")  # fmt: skip

"""`cairn doctor`: replays the stored chain, compares it with the stored state, mends it."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import click
from rich.progress import Progress

from cairn.cli.command import CairnCommand, config_option, example, json_option, tell_and_exit
from cairn.cli.failures import ExitCode, Failure
from cairn.cli.output import counted, duration, out, plain, print_json, progress, table
from cairn.config import Config, load_config


@click.command(
    "doctor",
    cls=CairnCommand,
    epilog=example(
        "cairn doctor --config /etc/cairn/cairn.toml\n"
        "cairn doctor --self-check\n"
        "systemctl stop cairn-listener && cairn doctor --repair && systemctl start cairn-listener"
    ),
)
@config_option
@click.option(
    "--self-check", "only_self", is_flag=True,
    help="Ask whether this release can run here; no node and no key is needed.",
)  # fmt: skip
@click.option("--repair", is_flag=True, help="Rebuild the state from the blocks.")
@click.option("--fast", is_flag=True, help="Believe the signatures of blocks the node follows.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True,
    help="Differences listed of each kind; all are counted.",
)  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 64), default=2, show_default=True)
@json_option
@click.pass_context
def doctor(
    ctx: click.Context,
    config_file: str | None,
    only_self: bool,
    repair: bool,
    fast: bool,
    limit: int,
    threads: int,
    as_json: bool,
) -> None:
    """Replay the chain from its stored blocks, and compare the stored state with what results.

    Every block is checked anew from genesis: form, work, signatures, balances. Then accounts,
    the index of transactions, block statuses and the pool are compared row by row. Exit code 0
    when all agree, 1 when anything differs.

    --repair rewrites whatever follows from the blocks; stop the node's listener first. Blocks
    whose bytes are damaged are removed, and fetched from peers when the node starts again.

    --self-check looks at the release instead: imports, frozen vectors, the mining kernel, the
    configuration, and all migrations on a scratch database.
    """
    if only_self:
        _self_check(config_file, as_json)
        return
    from cairn.chain.audit import AuditOptions

    config = load_config(config_file)
    _require_tables(config)
    options = AuditOptions(config.chain.max_reorg_blocks, limit, fast, threads)
    started = time.monotonic()
    repaired = _repair(config, options) if repair else None
    # What a repair just checked need not be checked again; that it was written must.
    report = _audit(config, replace(options, fast=fast or repair))
    seconds = time.monotonic() - started
    if as_json:
        print_json(_document(report, repaired, seconds))
    else:
        _print(report, repaired, seconds)
    if not report.is_clean:
        if not as_json and repaired is None:
            tell_and_exit(ctx, _found(report))
        ctx.exit(ExitCode.FOUND)


def _self_check(config_file: str | None, as_json: bool) -> None:
    from cairn.cli.self_check import self_check

    passed = []
    for result in self_check(config_file):
        passed.append({"name": result.name, "detail": result.detail})
        if not as_json:
            click.echo(f"{result.name:14} {result.detail} ({result.seconds:.1f} s)")
    if as_json:
        print_json({"passed": passed})


def _require_tables(config: Config) -> None:
    """Raises StorageError, naming `cairn db migrate`, unless the database is up to date."""
    from cairn.storage.migrate import check

    check(config.read_database_url)


def _audit(config: Config, options: Any) -> Any:
    from cairn.chain.audit import audit
    from cairn.storage.audit_store import open_audit_store

    with open_audit_store(config.read_database_url) as store, progress("blocks") as bar:
        return audit(store, config.params, options, _shown_on(bar))


def _repair(config: Config, options: Any) -> Any:
    from cairn.chain.repair import WrongNetwork, repair
    from cairn.storage.audit_store import open_repair_store

    try:
        with (
            _alone(config),
            open_repair_store(config.database_url) as store,
            progress("blocks") as bar,
        ):
            return repair(store, config.params, options, _shown_on(bar))
    except WrongNetwork as error:
        raise Failure(
            str(error),
            "name the configuration this database belongs to: --config FILE",
            exit_code=ExitCode.CONFIGURATION,
            code="network-mismatch",
        ) from None


def _shown_on(bar: Progress) -> Callable[[str, int, int], None]:
    task = bar.add_task("Starting", total=None)

    def show(what: str, done: int, total: int) -> None:
        bar.update(task, description=what, completed=done, total=total)

    return show


@contextmanager
def _alone(config: Config) -> Iterator[None]:
    """Holds the lock that a running listener holds: it is the one writer, and so are we.

    Raises Failure when a listener runs. None can start meanwhile.
    """
    from cairn.storage.errors import DatabaseInUseError
    from cairn.storage.writer_lock import sole_writer

    with ExitStack() as held:
        try:
            held.enter_context(sole_writer(config.database_url))
        except DatabaseInUseError as error:
            raise Failure(
                str(error),
                "stop it first: systemctl stop cairn-listener",
                code="listener-running",
            ) from None
        yield


def _found(report: Any) -> Failure:
    total = counted(report.findings.total, "difference")
    return Failure(
        f"the stored state has {total} from what its blocks say",
        "stop the listener, then: cairn doctor --repair",
    )


def _document(report: Any, repaired: Any, seconds: float) -> dict[str, object]:
    document: dict[str, object] = {
        "clean": report.is_clean,
        "height": report.height,
        "tip": report.tip.hex(),
        "blocks": report.blocks,
        "transactions": report.transactions,
        "accounts": report.accounts,
        "waiting": report.waiting,
        "state_compared": report.is_state_compared,
        "refused_branch": report.refused_branch.hex() or None,
        "counts": {kind.value: count for kind, count in sorted(report.findings.counts.items())},
        "findings": [
            {
                "kind": finding.kind.value,
                "where": finding.where,
                "stored": finding.stored,
                "expected": finding.expected,
            }
            for finding in report.findings.listed
        ],
        "seconds": round(seconds, 3),
    }
    if repaired is not None:
        document["repaired"] = {
            "height": repaired.height,
            "columns_rewritten": repaired.columns_rewritten,
            "blocks_deleted": repaired.blocks_deleted,
            "pool_deleted": repaired.pool_deleted,
        }
    return document


def _print(report: Any, repaired: Any, seconds: float) -> None:
    console = out()
    if repaired is not None:
        console.print(
            f"Rebuilt the state from its blocks up to height {repaired.height}:"
            f" {counted(repaired.columns_rewritten, 'block')} with columns set right,"
            f" {counted(repaired.blocks_deleted, 'damaged or unreachable block')} removed,"
            f" {counted(repaired.pool_deleted, 'waiting transaction')} dropped."
        )
        if repaired.blocks_deleted:
            console.print("Start the listener: it fetches the missing blocks from its peers.")
    for kind, count in sorted(report.findings.counts.items()):
        listed = [finding for finding in report.findings.listed if finding.kind is kind]
        made = table("where", "stored", "expected", title=f"{kind.value}: {count:,}")
        for column in made.columns:
            column.no_wrap, column.overflow = False, "fold"
        for finding in listed:
            made.add_row(*map(plain, (finding.where, finding.stored, finding.expected)))
        console.print(made)
        if count > len(listed):
            console.print(f"… and {count - len(listed):,} more; --limit shows them\n")
    if not report.is_state_compared:
        console.print("Accounts were not compared: not every block of the chain can be replayed.")
    if report.refused_branch:
        console.print(
            f"A heavier branch, {report.refused_branch.hex()}, forks deeper than the policy's"
            " max_reorg_blocks and is not followed."
        )
    mark, style = ("✓", "bold green") if report.is_clean else ("✗", "bold red")
    verdict = "state and blocks agree" if report.is_clean else "state and blocks differ"
    console.print(f"{mark} {verdict}", style=style, end="")
    took = duration(int(seconds)) if seconds >= 1 else f"{seconds:.2f} s"
    console.print(
        f" at height {report.height:,}: {counted(report.blocks, 'block')},"
        f" {counted(report.transactions, 'transaction')}, {counted(report.accounts, 'account')},"
        f" {report.waiting:,} waiting ({took})"
    )

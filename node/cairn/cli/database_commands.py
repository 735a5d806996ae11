"""`cairn db migrate|check`: the database's tables."""

import click

from cairn.cli.command import CairnGroup, config_option, example, json_option
from cairn.cli.failures import ExitCode, Failure
from cairn.cli.output import counted, print_json
from cairn.config import load_config


@click.group(cls=CairnGroup)
def db() -> None:
    """Bring the node's database up to date, or check that it is."""


@db.command("migrate", epilog=example("cairn db migrate --config /etc/cairn/cairn.toml"))
@config_option
@json_option
def migrate(config_file: str | None, as_json: bool) -> None:
    """Make the tables of a new database, or upgrade those of an older version.

    Running it again changes nothing. Stop the node before an upgrade. Where `database.migrate` is
    `apart`, tables of a newer version will do, as migrations only add.
    """
    from cairn.storage.migrate import NewerTablesError, pending_revisions
    from cairn.storage.migrate import migrate as run
    from cairn.storage.writer_lock import sole_writer

    config = load_config(config_file)
    url = config.database_url
    try:
        pending = list(pending_revisions(url))
    except NewerTablesError:
        if config.database.migrate != "apart":
            raise
        pending = []
    if pending:
        with sole_writer(url):
            run(url)
    if as_json:
        print_json({"applied": pending})
    elif pending:
        click.echo(f"Applied {counted(len(pending), 'migration')}: {', '.join(pending)}.")
    else:
        click.echo("Nothing to do: the database is up to date.")


@db.command("check", epilog=example("cairn db check --config /etc/cairn/cairn.toml"))
@config_option
@json_option
def check(config_file: str | None, as_json: bool) -> None:
    """Check that the database answers and its tables are of this version."""
    from cairn.storage.migrate import check as run
    from cairn.storage.migrate import pending_revisions

    url = load_config(config_file).database_url
    pending = list(pending_revisions(url))
    if as_json:
        print_json({"up_to_date": not pending, "pending": pending})
        if pending:
            raise click.exceptions.Exit(ExitCode.FOUND)
        return
    if pending:
        raise Failure(
            f"{counted(len(pending), 'migration')} to apply: {', '.join(pending)}",
            "cairn db migrate",
        )
    run(url)
    click.echo("The database answers, and its tables are of this version.")

"""The nodes' databases on a server: made where missing, emptied where a devnet filled them."""

from sqlalchemy import MetaData, create_engine, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError

from cairn.cli.failures import ExitCode, Failure

_UNKNOWN_DATABASE = 1049


def prepare(url: str, *, may_hold_tables: bool) -> None:
    """Makes the database if it is missing.

    Raises Failure when it cannot, or when tables are in it that no devnet is known to have made.
    """
    parsed = _parse(url)
    try:
        tables = _tables(parsed)
    except OperationalError as error:
        if error.orig is None or error.orig.args[:1] != (_UNKNOWN_DATABASE,):
            raise _unusable(parsed, error) from None
        _create(parsed)
        return
    except SQLAlchemyError as error:
        raise _unusable(parsed, error) from None
    if tables and not may_hold_tables:
        raise Failure(
            f"{_shown(parsed)} holds tables that this devnet did not make ({tables[0]}, ...)",
            "name empty databases, or the --data folder of the devnet that they belong to",
        )


def clear_tables(url: str) -> None:
    """Drops the tables of a database that a devnet filled. A missing database is no fault."""
    parsed = _parse(url)
    engine = create_engine(parsed)
    try:
        metadata = MetaData()
        metadata.reflect(engine)
        metadata.drop_all(engine)
    except OperationalError as error:
        if error.orig is None or error.orig.args[:1] != (_UNKNOWN_DATABASE,):
            raise _unusable(parsed, error) from None
    except SQLAlchemyError as error:
        raise _unusable(parsed, error) from None
    finally:
        engine.dispose()


def _tables(url: URL) -> list[str]:
    engine = create_engine(url)
    try:
        return inspect(engine).get_table_names()
    finally:
        engine.dispose()


def _create(url: URL) -> None:
    name = (url.database or "").replace("`", "``")
    statement = f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4"
    engine = create_engine(url.set(database=""))
    try:
        with engine.begin() as connection:
            connection.execute(text(statement))
    except SQLAlchemyError as error:
        raise Failure(
            f"the database {_shown(url)} is missing and cannot be made: {_reason(error)}",
            f"make it as the server's administrator: {statement};",
            exit_code=ExitCode.CONFIGURATION,
        ) from None
    finally:
        engine.dispose()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        parsed.get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError):
        raise Failure(
            f"--database is no SQLAlchemy URL: {url}",
            "write it as mysql+mysqldb://USER:PASSWORD@HOST/cairn_{node}",
            exit_code=ExitCode.USAGE,
        ) from None
    except ImportError as error:
        raise Failure(
            f"the driver for {url.split(':', 1)[0]} is not installed: {error}",
            "install what MySQL needs: ./dev setup --for mysql",
            exit_code=ExitCode.CONFIGURATION,
        ) from None
    return parsed


def _unusable(url: URL, error: SQLAlchemyError) -> Failure:
    return Failure(
        f"the database {_shown(url)} cannot be used: {_reason(error)}",
        "check that its server runs and that user and password are right",
        exit_code=ExitCode.CONFIGURATION,
    )


def _reason(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)

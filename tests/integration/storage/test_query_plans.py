"""Every list is a range of an index: no query reads or sorts a whole table."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Table, event, text

from cairn.chain.store import BlockStatus
from cairn.consensus.block import Header
from cairn.storage.answers import PoolOrder, Supply
from cairn.storage.dialect import insert_rows
from cairn.storage.engine import open_engine
from cairn.storage.queries import Queries
from cairn.storage.session import Session
from cairn.storage.tables import accounts, blocks, pool, reorganisations, transactions

ADDRESSES = [number.to_bytes(20, "big") for number in range(40)]
ID = (7).to_bytes(32, "big")
BUSY = ADDRESSES[3]
"""All payments but a few go there, as on a young network."""
HEIGHTS, PER_BLOCK, WAITING, ACCOUNTS, MOVES = 400, 20, 6_000, 5_000, 1_000


def header_at(height: int, status: BlockStatus = BlockStatus.ACTIVE) -> Header:
    time = 1_700_000_000 + height
    return Header(height, bytes(32), bytes(32), time, 0x207FFFFF, nonce=int(status))


def block_rows() -> Iterator[tuple[object, ...]]:
    for height in range(HEIGHTS):
        work = height.to_bytes(32, "big")
        numbers = (PER_BLOCK, height * PER_BLOCK, 9_000, 5)
        for status in (BlockStatus.ACTIVE, BlockStatus.STORED):
            header = header_at(height, status)
            yield (
                header.hash(), height, bytes(32), header.encode(), work, int(status),
                *numbers, ADDRESSES[0], 5, b"", 1, bytes(3_000),
            )  # fmt: skip


def journal_rows() -> Iterator[tuple[object, ...]]:
    for number in range(1, MOVES + 1):
        hashes = [bytes(32)] * 5
        yield (number, 1, 1, *hashes, 1, 2, 3, 1, 1)


def transaction_rows() -> Iterator[tuple[object, ...]]:
    for number in range(HEIGHTS * PER_BLOCK):
        sender = ADDRESSES[number % 40]
        recipient = BUSY if number % 20 else ADDRESSES[number % 7]
        place = (number // PER_BLOCK, number % PER_BLOCK)
        yield (*place, number.to_bytes(32, "big"), sender, recipient, 5, 6, bytes(200))


def busy_rows() -> Iterator[tuple[object, ...]]:
    """As many again as a long-lived account has."""
    for number in range(200 * HEIGHTS):
        place = (HEIGHTS + number // 200, number % 200)
        id_ = (number + 10**7).to_bytes(32, "big")
        yield (*place, id_, ADDRESSES[number % 40], BUSY, 5, 6, bytes(200))


def pool_rows() -> Iterator[tuple[object, ...]]:
    for number in range(WAITING):
        sender, recipient = ADDRESSES[number % 40], ADDRESSES[number * 7 % 40]
        id_ = (number + 10**6).to_bytes(32, "big")
        yield (id_, sender, recipient, number, 5, 6, number % 500, 152, number % 700, bytes(200))


@dataclass
class Plans:
    """Runs questions and explains the statements they sent."""

    engine: Engine
    statements: list[tuple[str, Any]]

    def of(self, ask: Callable[[Queries], object]) -> list[dict[str, Any]]:
        """The plan's rows for all statements of a question."""
        self.statements.clear()
        ask(Queries(self.engine))
        sent = list(self.statements)
        assert sent, "the question sent no statement"
        verb = "EXPLAIN QUERY PLAN" if self.engine.dialect.name == "sqlite" else "EXPLAIN"
        plan: list[dict[str, Any]] = []
        with self.engine.connect() as connection:
            for statement, parameters in sent:
                rows = connection.exec_driver_sql(f"{verb} {statement}", parameters)
                plan += [dict(row) for row in rows.mappings()]
        return plan

    def rows_read(self, ask: Callable[[Queries], object]) -> int:
        """How many rows and index entries MariaDB looks at to answer a question."""
        self.statements.clear()
        ask(Queries(self.engine))
        with self.engine.connect() as connection:
            # To be told is to read a table as well.
            cost_of_asking = -_rows_read(connection) + _rows_read(connection)
            before = _rows_read(connection)
            for statement, parameters in list(self.statements):
                connection.exec_driver_sql(statement, parameters).all()
            return _rows_read(connection) - before - cost_of_asking


def _rows_read(connection: Connection) -> int:
    told = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'").all()
    return sum(int(count) for _, count in told)


@pytest.fixture
def plans(database_url: str, engine: Engine) -> Iterator[Plans]:
    """A database with enough rows that the planner takes indexes where they help."""
    tables: dict[Table, Callable[[], Iterator[tuple[object, ...]]]] = {
        blocks: block_rows,
        transactions: transaction_rows,
        pool: pool_rows,
        reorganisations: journal_rows,
        accounts: lambda: ((n.to_bytes(20, "big"), n, 0) for n in range(ACCOUNTS)),
    }
    session = Session(engine)
    with session.transaction(), session.writing() as connection:
        for table, rows in tables.items():
            insert_rows(connection, table, list(rows()))
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("ANALYZE"))
        else:
            names = ", ".join(table.name for table in tables)
            connection.execute(text(f"ANALYZE TABLE {names}")).all()
    reader = open_engine(database_url, read_only=True)
    statements: list[tuple[str, Any]] = []

    @event.listens_for(reader, "before_cursor_execute")
    def record(_c: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            statements.append((statement, parameters))

    yield Plans(reader, statements)
    reader.dispose()


QUESTIONS: dict[str, Callable[[Queries], object]] = {
    "tip": lambda queries: queries.tip(),
    "first blocks": lambda queries: queries.blocks(None, 20),
    "more blocks": lambda queries: queries.blocks(200, 20),
    "block by height": lambda queries: queries.block_by_height(77),
    "block by hash": lambda queries: queries.block_by_hash(header_at(5).hash()),
    "block bytes": lambda queries: queries.block_bytes(header_at(5).hash()),
    "headers": lambda queries: queries.headers(100, 50),
    "recent block times": lambda queries: queries.recent_block_times(30),
    "transaction count": lambda queries: queries.transaction_count(),
    "mined transaction": lambda queries: queries.transaction(ID),
    "unknown transaction": lambda queries: queries.transaction(b"\xff" * 32),
    "account": lambda queries: queries.account(BUSY),
    "accounts": lambda queries: queries.accounts(ADDRESSES[:20]),
    "history": lambda queries: queries.account_transactions(BUSY, None, 20),
    "more history": lambda queries: queries.account_transactions(BUSY, (200, 3), 20),
    "pool by rate": lambda queries: queries.pool(PoolOrder.FEE_RATE, None, 20),
    "more pool by rate": lambda queries: queries.pool(PoolOrder.FEE_RATE, (250, ID), 20),
    "pool by age": lambda queries: queries.pool(PoolOrder.AGE, None, 20),
    "more pool by age": lambda queries: queries.pool(PoolOrder.AGE, (300, ID), 20),
    "pool by sender": lambda queries: queries.pool(PoolOrder.SENDER, None, 20),
    "more pool by sender": lambda queries: queries.pool(PoolOrder.SENDER, (ADDRESSES[9], 40), 20),
    "block transactions": lambda queries: queries.block_transactions(77, 3, 10),
    "block fees": lambda queries: queries.block_fees([header_at(n).hash() for n in range(8)]),
    "pool of an account": lambda queries: queries.account_pool(BUSY, 20),
    "pool fees": lambda queries: queries.pool_fees(),
    "pool rates": lambda queries: queries.pool_rates([0, 100]),
    "fee bands": lambda queries: queries.fee_bands([0, 10, 100]),
    "followed supply": lambda queries: queries.followed_supply(
        Supply(header_at(300).hash(), 300, 0), header_at(399).hash(), 399
    ),
    "branches": lambda queries: queries.side_branches(None, 20),
    "more branches": lambda queries: queries.side_branches((200, ID), 20),
    "reorganisations": lambda queries: queries.reorganisations(None, 20),
    "more reorganisations": lambda queries: queries.reorganisations(500, 20),
    "network": lambda queries: queries.network_id(),
    "pool totals": lambda queries: queries.pool_totals(),
}
RANGES = {"const", "eq_ref", "ref", "range"}
WHOLE_INDEX = {
    "pool by rate", "pool by age", "pool by sender", "pool fees", "reorganisations",
    "pool totals", "fee bands", "pool rates",
}  # fmt: skip
"""Those that begin at an index's end and stop after some rows, and two that count one."""
UNLISTED = {"nodes", "node_count", "ping", "supply"}
"""Of `Queries`: a table of at most 2,000 nodes, no table at all, and what is counted seldom."""
COUNTED = {"pool totals", "fee bands"}
"""All that waits: the pages keep the answer for a while."""
MOST_READ = 320
"""Of 6,000 to 8,000 rows, for lists of 20 to 100: entries of indexes, rows, and their blocks."""
TABLES = {"child", "blocks", "transactions", "pool", "accounts", "meta", "reorganisations"}


def test_every_question_is_explained() -> None:
    """A new query cannot be left out of the check below."""
    names = {name for name in vars(Queries) if not name.startswith("_")}
    asked = {name for ask in QUESTIONS.values() for name in ask.__code__.co_names}
    assert names - asked == UNLISTED


@pytest.mark.parametrize("name", QUESTIONS)
def test_reads_a_range_of_an_index(plans: Plans, name: str) -> None:
    for step in plans.of(QUESTIONS[name]):
        if plans.engine.dialect.name == "sqlite":
            detail = step["detail"]
            assert not detail.startswith("SCAN") or "INDEX" in detail or _is_temporary(detail), step
            assert "TEMP B-TREE" not in detail or "history" in name or _is_of_ties(detail), step
        elif step["table"] in TABLES:
            assert step["key"], step
            assert step["type"] in RANGES or name in WHOLE_INDEX, step
            assert "filesort" not in step["Extra"], step
            assert "temporary" not in step["Extra"], step


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
@pytest.mark.parametrize("name", sorted(QUESTIONS.keys() - COUNTED))
def test_looks_at_little_more_than_it_gives(plans: Plans, name: str) -> None:
    """A plan may name an index and yet walk all of it: this counts."""
    assert plans.rows_read(QUESTIONS[name]) <= MOST_READ


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
def test_goes_on_in_the_middle_of_a_long_history(plans: Plans, engine: Engine) -> None:
    """And does not walk there, which is what MariaDB does where one account has most."""
    session = Session(engine)
    with session.transaction(), session.writing() as connection:
        insert_rows(connection, transactions, list(busy_rows()))
    middle = (HEIGHTS + HEIGHTS // 2, 3)
    assert (
        plans.rows_read(lambda queries: queries.account_transactions(BUSY, middle, 20)) <= MOST_READ
    )


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
def test_rows_of_a_table_read_whole_are_counted(plans: Plans) -> None:
    assert plans.rows_read(lambda queries: queries.supply()) >= ACCOUNTS


def _is_of_ties(detail: str) -> bool:
    """Whether a sort of SQLite's is of rows alone that an index gives as equal."""
    return detail.endswith(("RIGHT PART OF ORDER BY", "LAST TERM OF ORDER BY"))


def _is_temporary(detail: str) -> bool:
    """Whether a step of SQLite's reads what the query itself made."""
    return not any(detail.split()[1] == table for table in TABLES)


def test_a_table_read_whole_would_be_noticed(plans: Plans) -> None:
    """The check above sees what it looks for."""
    (step,) = [
        step
        for step in plans.of(lambda queries: queries.supply())
        if "accounts" in (step.get("detail") or step.get("table"))
    ]
    if plans.engine.dialect.name == "sqlite":
        assert step["detail"].startswith("SCAN accounts")
    else:
        assert (step["table"], step["type"]) == ("accounts", "ALL")

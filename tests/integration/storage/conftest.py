"""A migrated database on either engine, and a chain to fill it with."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from cairn.storage.chain_store import SqlChainStore
from cairn.storage.engine import open_engine
from cairn.storage.migrate import migrate
from cairn.storage.queries import Queries
from tests.integration.storage.ledger import Ledger
from tests.support.builders import ChainBuilder


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A writer's engine on an empty database with all tables."""
    migrate(database_url)
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine) -> SqlChainStore:
    return SqlChainStore(engine)


@pytest.fixture
def ledger(store: SqlChainStore) -> Ledger:
    """A ledger with its genesis block."""
    ledger = Ledger(store)
    ledger.start()
    return ledger


@pytest.fixture
def chain(ledger: Ledger) -> ChainBuilder:
    """A chain in memory on the ledger's genesis block."""
    return ChainBuilder(ledger.params)


@pytest.fixture
def queries(database_url: str, engine: Engine) -> Iterator[Queries]:
    """Questions over a read-only engine of its own."""
    reader = open_engine(database_url, read_only=True)
    yield Queries(reader)
    reader.dispose()

"""One writer to a database: who holds the lock, and what becomes of those who lost it."""

import time
from collections.abc import Iterator

import pytest
from MySQLdb import OperationalError
from sqlalchemy import Engine, insert, select, text
from sqlalchemy.exc import DBAPIError

from cairn.chain import waiting
from cairn.chain.blockchain import Blockchain
from cairn.chain.pool import Pool, PoolPolicy
from cairn.chain.signatures import SignatureChecker
from cairn.chain.store import PoolRow
from cairn.services.listener.progress import ProgressTeller
from cairn.services.runtime import SystemdNotifier
from cairn.storage import writer_lock
from cairn.storage.chain_store import SqlChainStore
from cairn.storage.engine import open_engine
from cairn.storage.errors import DatabaseInUseError, StorageUnavailable, storage_error
from cairn.storage.migrate import migrate
from cairn.storage.tables import meta
from cairn.storage.writer_lock import WriterLock, sole_writer
from tests.support.builders import ChainBuilder, make_key, make_params, make_transaction
from tests.support.chain import NOW, ChainNode
from tests.support.mariadb import PrivateMariaDB


def test_one_holds_the_lock_and_the_next_is_told_who(database_url: str, engine: Engine) -> None:
    lock = WriterLock(database_url, engine)
    lock.take()
    lock.take()  # held already
    lock.check()
    with pytest.raises(DatabaseInUseError, match="is in use by"), sole_writer(database_url):
        pass
    lock.release()
    with pytest.raises(StorageUnavailable, match="lock on the database was lost"):
        lock.check()
    with sole_writer(database_url):
        pass


def test_nobody_writes_without_the_lock(database_url: str, engine: Engine) -> None:
    lock = WriterLock(database_url, engine)
    store = SqlChainStore(engine, lock)
    with pytest.raises(StorageUnavailable, match="lost"), store.transaction():
        pass
    lock.take()
    with store.transaction():
        store.change_pool((), ())
    lock.release()


def test_a_killed_connection_takes_its_transaction_and_its_lock_along(
    mariadb: PrivateMariaDB,
) -> None:
    mariadb.start()
    url = mariadb.create_database("killed_lock")
    engine = open_engine(url)
    lock = WriterLock(url, engine)
    store = SqlChainStore(engine, lock)
    try:
        lock.take()
        with pytest.raises(StorageUnavailable), store.transaction():  # noqa: PT012
            with store.session.writing() as connection:
                number = connection.scalar(text("SELECT CONNECTION_ID()"))
            mariadb.execute(f"KILL {number}")
            with sole_writer(url), store.session.writing() as connection:
                connection.execute(text("SELECT 1"))
        with pytest.raises(StorageUnavailable, match="lost"), store.transaction():
            pass
        lock.take()
        lock.check()
    finally:
        lock.release()
        engine.dispose()
        mariadb.drop_database("killed_lock")


@pytest.mark.usefixtures("engine")
def test_a_height_has_one_active_block_whoever_writes(database_url: str) -> None:
    params = make_params()
    first, second = ChainNode(database_url, params), ChainNode(database_url, params)
    one, two = ChainBuilder(params), ChainBuilder(params)
    first.offer(one.mine(recipient=make_key(50).address))
    with pytest.raises(DatabaseInUseError, match="is active at height 1"):
        second.offer(two.mine(recipient=make_key(51).address))
    first.check()
    first.close()
    second.close()


@pytest.mark.parametrize("number", [1030, 1040, 1047, 1114, 1129, 1205, 1213, 1290, 1836])
def test_what_passes_on_a_server_is_no_reason_to_give_up(number: int) -> None:
    error = DBAPIError("SELECT 1", None, OperationalError(number, "…"))
    assert isinstance(storage_error(error), StorageUnavailable)


@pytest.fixture
def impatient(mariadb: PrivateMariaDB, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A migrated database of a server that frees the lock of who says nothing for a second."""
    monkeypatch.setattr(writer_lock, "IDLE_SECONDS", 1)
    mariadb.start()
    url = mariadb.create_database("impatient")
    migrate(url)
    yield url
    mariadb.drop_database("impatient")


def test_the_lock_is_kept_however_long_the_work_takes(
    impatient: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_lock, "KEEP_SECONDS", 0.1)
    engine = open_engine(impatient)
    began = time.monotonic()
    with sole_writer(impatient):
        while time.monotonic() - began < 3:
            with pytest.raises(DatabaseInUseError, match="is in use by"):
                WriterLock(impatient, engine).take()
    engine.dispose()


def test_a_long_look_at_the_pool_loses_no_lock(
    impatient: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_BATCH", 1)
    engine = open_engine(impatient)
    lock = WriterLock(impatient, engine)
    store, params = SqlChainStore(engine, lock), make_params()
    sent = [make_transaction(make_key(1), params, each, bytes(20), 1, 1_000) for each in range(25)]
    lock.take()
    with store.transaction():
        store.change_pool([PoolRow(each.id, each.raw, NOW) for each in sent], ())
    checker = SignatureChecker(params.network_id())
    pool = Pool(PoolPolicy(), params.max_block_bytes)
    tell = ProgressTeller(SystemdNotifier({}), lock.check)

    def slowly(done: str) -> None:
        time.sleep(0.1)
        tell(done)

    Blockchain(store, params, pool, checker, progress=slowly).reload(NOW)
    assert len(pool) == len(sent)
    with store.transaction():
        store.change_pool((), ())
    checker.close()
    lock.release()
    engine.dispose()


def test_looking_at_the_lock_disturbs_no_transaction(database_url: str, engine: Engine) -> None:
    lock = WriterLock(database_url, engine)
    store = SqlChainStore(engine, lock)
    lock.take()
    with store.transaction():
        with store.session.writing() as connection:
            connection.execute(insert(meta).values(key="written", value=b"before"))
        lock.check()
    with store.session.reading() as connection:
        assert connection.scalar(select(meta.c.value).where(meta.c.key == "written")) == b"before"
    lock.release()

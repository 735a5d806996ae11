"""A database transaction happens whole or not at all, whatever fails."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from cairn.chain.store import BlockStatus
from cairn.consensus.block import Block
from cairn.storage.chain_store import SqlChainStore
from cairn.storage.engine import open_engine
from cairn.storage.errors import StorageError, StorageUnavailable
from cairn.storage.migrate import migrate
from tests.integration.storage.cutting_proxy import CuttingProxy
from tests.integration.storage.ledger import Ledger
from tests.support.builders import ChainBuilder, make_key
from tests.support.mariadb import PrivateMariaDB

ALICE, BOB = make_key(1), make_key(2)
PROCESS_SECONDS = 60


class Interrupted(Exception):
    """Raised by a test in the middle of a transaction."""


def is_untouched(ledger: Ledger, chain: ChainBuilder) -> bool:
    """Whether the store holds genesis alone, as before `chain` grew."""
    store, start = ledger.store, ChainBuilder(ledger.params)
    tip = ledger.entry(ledger.params.genesis_block(), BlockStatus.ACTIVE)
    mined = [transaction.id for block in chain.blocks for transaction in block.transactions]
    return (
        store.tip() == tip
        and all(store.entry(block.hash) is None for block in chain.blocks)
        and store.load_accounts(chain.accounts) == start.accounts
        and store.mined_ids(mined) == set()
    )


def extend(ledger: Ledger, block: Block, last: Callable[[], object]) -> None:
    """Stores and connects a block in one transaction, of which `last` is the last thing done."""
    with ledger.store.transaction():
        ledger.insert(block)
        ledger.connect(block)
        last()


def interrupt() -> None:
    raise Interrupted


def test_an_exception_takes_everything_back(ledger: Ledger, chain: ChainBuilder) -> None:
    block = chain.mine([chain.send(ALICE, BOB.address, 5)])
    with pytest.raises(Interrupted):
        extend(ledger, block, interrupt)
    assert is_untouched(ledger, chain)
    ledger.extend(block)
    assert ledger.store.tip() == ledger.entry(block, BlockStatus.ACTIVE)


def test_a_failed_statement_dooms_its_transaction(ledger: Ledger, chain: ChainBuilder) -> None:
    block = chain.mine([chain.send(ALICE, BOB.address, 5)])

    def fail_unnoticed() -> None:
        with suppress(StorageError):
            ledger.insert(block)  # it is there already

    def fail_and_go_on() -> None:
        fail_unnoticed()
        ledger.store.mark_invalid([block.hash])

    for last in (fail_unnoticed, fail_and_go_on):
        with pytest.raises(StorageError):
            extend(ledger, block, last)
        assert is_untouched(ledger, chain)


def test_transactions_do_not_nest(ledger: Ledger) -> None:
    with ledger.store.transaction(), pytest.raises(RuntimeError), ledger.store.transaction():
        pass


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.change_pool([], [bytes(32)]),
        lambda store: store.mark_invalid([bytes(32)]),
    ],
)
def test_writes_belong_in_a_transaction(
    store: SqlChainStore, write: Callable[[SqlChainStore], None]
) -> None:
    with pytest.raises(RuntimeError):
        write(store)


def test_other_threads_read_what_is_committed(ledger: Ledger, chain: ChainBuilder) -> None:
    block = chain.mine()
    seen: list[object] = []

    def read() -> None:
        seen.append(ledger.store.tip())

    with ledger.store.transaction():
        ledger.insert(block)
        ledger.connect(block)
        reader = threading.Thread(target=read)
        reader.start()
        reader.join(PROCESS_SECONDS)
        assert ledger.store.tip() == ledger.entry(block, BlockStatus.ACTIVE)
    assert seen == [ledger.entry(ledger.params.genesis_block(), BlockStatus.ACTIVE)]


def _die_in_transaction(url: str, commit_first: bool) -> None:
    """Runs in a process of its own, which does not survive it."""
    ledger = Ledger(SqlChainStore(open_engine(url)))
    genesis = ledger.params.genesis_block()
    ledger.entry(genesis)
    chain = ChainBuilder(ledger.params)
    first, second = (chain.mine([chain.send(ALICE, BOB.address, 5)]) for _ in range(2))
    if commit_first:
        ledger.extend(first)
        first = second
    with ledger.store.transaction():
        ledger.insert(first)
        ledger.connect(first)
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("committed", [0, 1])
def test_a_killed_writer_leaves_what_it_committed(
    database_url: str, ledger: Ledger, chain: ChainBuilder, committed: int
) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=_die_in_transaction, args=(database_url, bool(committed))
    )
    process.start()
    process.join(PROCESS_SECONDS)
    assert process.exitcode == -signal.SIGKILL
    blocks = [chain.mine([chain.send(ALICE, BOB.address, 5)]) for _ in range(committed)]
    tip = blocks[-1] if blocks else ledger.params.genesis_block()
    assert [entry.hash for entry in ledger.store.active_entries(0, 9)][-1] == tip.hash
    assert ledger.store.load_accounts(chain.accounts) == chain.accounts
    ledger.extend(chain.mine())
    assert ledger.store.load_accounts(chain.accounts) == chain.accounts


def test_a_database_held_by_another_writer_is_unavailable(
    database_url: str, engine: Engine, ledger: Ledger
) -> None:
    hasty = open_engine(database_url)

    @event.listens_for(hasty, "connect")
    def wait_shortly(connection: object, _record: object) -> None:
        is_sqlite = hasty.dialect.name == "sqlite"
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 1" if is_sqlite else "SET innodb_lock_wait_timeout=1")
        cursor.close()

    def claim(store: SqlChainStore) -> None:
        with store.transaction():
            store.mark_invalid([ledger.params.genesis_block().hash])

    other = SqlChainStore(hasty)
    with ledger.store.transaction():
        ledger.store.mark_invalid([ledger.params.genesis_block().hash])
        with pytest.raises(StorageUnavailable):
            claim(other)
    hasty.dispose()


# -- a server that goes away -----------------------------------------------------------------------


@pytest.fixture
def served(mariadb: PrivateMariaDB) -> Ledger:
    """A ledger with its genesis block on a server that the test may kill."""
    mariadb.start()
    mariadb.drop_database("mortal")
    url = mariadb.create_database("mortal")
    migrate(url)
    ledger = Ledger(SqlChainStore(open_engine(url)))
    ledger.start()
    return ledger


def test_a_server_killed_inside_a_transaction_leaves_nothing_of_it(
    mariadb: PrivateMariaDB, served: Ledger
) -> None:
    chain = ChainBuilder(served.params)
    block = chain.mine([chain.send(ALICE, BOB.address, 5)])

    def kill_and_go_on() -> None:
        mariadb.kill()
        served.store.change_pool([], [bytes(32)])

    with pytest.raises(StorageUnavailable):
        extend(served, block, kill_and_go_on)
    with pytest.raises(StorageUnavailable):
        served.store.tip()
    with pytest.raises(StorageUnavailable), served.store.transaction():
        pass
    mariadb.restart()
    assert is_untouched(served, chain)
    served.extend(block)
    assert served.store.load_accounts(chain.accounts) == chain.accounts


def test_a_server_killed_before_the_commit_leaves_nothing_of_it(
    mariadb: PrivateMariaDB, served: Ledger
) -> None:
    chain = ChainBuilder(served.params)
    block = chain.mine([chain.send(ALICE, BOB.address, 5)])
    with pytest.raises(StorageUnavailable, match="read again"):
        extend(served, block, mariadb.kill)
    mariadb.restart()
    assert is_untouched(served, chain)
    served.extend(block)
    assert served.store.load_accounts(chain.accounts) == chain.accounts


def test_what_was_committed_survives_a_killed_server(
    mariadb: PrivateMariaDB, served: Ledger
) -> None:
    chain = ChainBuilder(served.params)
    served.extend(*(chain.mine([chain.send(ALICE, BOB.address, 5)]) for _ in range(3)))
    mariadb.kill()
    mariadb.restart()
    assert served.store.load_accounts(chain.accounts) == chain.accounts
    assert served.store.tip() == served.entry(chain.blocks[-1], BlockStatus.ACTIVE)


def test_an_idle_connection_that_was_cut_is_replaced_unseen(
    mariadb: PrivateMariaDB, served: Ledger
) -> None:
    served.store.tip()
    mariadb.restart()
    chain = ChainBuilder(served.params)
    served.extend(chain.mine())
    assert served.store.tip() == served.entry(chain.blocks[-1], BlockStatus.ACTIVE)


@pytest.mark.parametrize("deliver", [True, False], ids=["commit arrived", "commit was lost"])
def test_a_commit_without_an_answer_is_unavailable_and_reading_again_tells(
    mariadb: PrivateMariaDB, served: Ledger, tmp_path: Path, deliver: bool
) -> None:
    chain = ChainBuilder(served.params)
    block = chain.mine([chain.send(ALICE, BOB.address, 5)])
    with CuttingProxy(tmp_path, mariadb.socket_path, deliver) as proxy:
        direct = mariadb.url("mortal")
        url = direct.replace(str(mariadb.socket_path), str(proxy.path))
        ledger = Ledger(SqlChainStore(open_engine(url)), works=served.works)
        with pytest.raises(StorageUnavailable, match="read again"):
            extend(ledger, block, proxy.arm)
        proxy.disarm()
        assert proxy.cuts == 1
        if deliver:  # the server may still be at it
            poll_until(lambda: ledger.store.entry(block.hash) is not None)
            assert ledger.store.tip() == ledger.entry(block, BlockStatus.ACTIVE)
            assert ledger.store.load_accounts(chain.accounts) == chain.accounts
        else:
            assert is_untouched(ledger, chain)
        ledger.store.session.engine.dispose()


def poll_until(predicate: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PROCESS_SECONDS
    while not predicate():
        assert time.monotonic() < deadline

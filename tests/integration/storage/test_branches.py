"""The branches that are not followed, and the journal of moves: as stored, on both databases."""

from sqlalchemy import func, select

from cairn.chain.store import BlockStatus, Reorganisation
from cairn.storage.answers import SideBranch
from cairn.storage.branches import MAX_WALK
from cairn.storage.journal import MAX_KEPT
from cairn.storage.queries import Queries
from cairn.storage.tables import reorganisations
from tests.integration.storage.ledger import RECEIVED_AT, Ledger
from tests.support.builders import ChainBuilder, make_key


def pages(queries: Queries, limit: int) -> list[SideBranch]:
    """All branches, page by page."""
    found: list[SideBranch] = []
    page = queries.side_branches(None, limit)
    while page:
        assert len(page) <= limit
        found += page
        page = queries.side_branches((page[-1].height, page[-1].tip), limit)
    return found


def test_a_chain_alone_has_no_branches(
    ledger: Ledger, chain: ChainBuilder, queries: Queries
) -> None:
    ledger.extend(chain.mine(), chain.mine())
    assert queries.side_branches(None, 10) == []


def test_tells_where_a_branch_forks_and_what_is_in_it(
    ledger: Ledger, chain: ChainBuilder, queries: Queries
) -> None:
    ledger.extend(*(chain.mine() for _ in range(5)))
    side = chain.fork(2)
    sent = [side.send(make_key(number), make_key(9).address, 5) for number in range(3)]
    first, tip = side.mine(sent[:1]), side.mine(sent[1:])
    ledger.keep(first, tip)
    assert queries.side_branches(None, 10) == [
        SideBranch(
            tip=tip.hash,
            status=BlockStatus.STORED,
            height=4,
            chain_work=ledger.works[tip.hash],
            last_received_at=RECEIVED_AT,
            first_received_at=RECEIVED_AT,
            blocks=2,
            transactions=3,
            fork_height=2,
            fork_hash=chain.blocks[1].hash,
            fork_work=ledger.works[chain.blocks[1].hash],
        )
    ]


def test_pages_branches_highest_first_valid_or_not(
    ledger: Ledger, chain: ChainBuilder, queries: Queries
) -> None:
    ledger.extend(*(chain.mine() for _ in range(4)))
    tips = []
    for number in range(12):
        side = chain.fork(number % 4)
        block = side.mine(extra=bytes([number]))
        ledger.keep(block)
        tips.append((block.header.height, block.hash))
    with ledger.store.transaction():
        ledger.store.mark_invalid([tip for _, tip in tips[::3]])
    for limit in (1, 2, 5, 100):
        found = pages(queries, limit)
        assert [(each.height, each.tip) for each in found] == sorted(tips, reverse=True)
    invalid = {each.tip for each in found if each.status is BlockStatus.INVALID}
    assert invalid == {tip for _, tip in tips[::3]}
    assert all(each.fork_height == each.height - 1 for each in found)


def test_a_branch_that_splits_has_two_tips(
    ledger: Ledger, chain: ChainBuilder, queries: Queries
) -> None:
    ledger.extend(chain.mine(), chain.mine())
    side = chain.fork(0)
    trunk = side.mine(extra=b"trunk")
    other = side.fork(1)
    ledger.keep(trunk, side.mine(extra=b"left"), other.mine(extra=b"right"))
    found = queries.side_branches(None, 10)
    assert {each.tip for each in found} == {side.blocks[-1].hash, other.blocks[-1].hash}
    assert [(each.blocks, each.fork_height) for each in found] == [(2, 0), (2, 0)]


def test_does_not_follow_a_branch_for_ever(
    ledger: Ledger, chain: ChainBuilder, queries: Queries
) -> None:
    ledger.extend(chain.mine())
    side = chain.fork(0)
    ledger.keep(*(side.mine(extra=b"long") for _ in range(MAX_WALK + 5)))
    (found,) = queries.side_branches(None, 10)
    assert (found.blocks, found.fork_height, found.fork_work) == (MAX_WALK, None, None)


def record(number: int) -> Reorganisation:
    """A journal entry told apart by its tip, with numbers as large as they get."""
    tip = number.to_bytes(32, "big")
    top = 2**256 - 1
    return Reorganisation(1_700_000_000, 2**32 - 1, tip, tip, tip, top - 1, top, 9, 8, 7, 6, 5)


def test_keeps_the_last_reorganisations(ledger: Ledger, queries: Queries) -> None:
    for number in range(MAX_KEPT + 3):
        with ledger.store.transaction():
            ledger.store.record_reorganisation(record(number))
    newest = queries.reorganisations(None, 2)
    assert [each.record for each in newest] == [record(MAX_KEPT + 2), record(MAX_KEPT + 1)]
    following = queries.reorganisations(newest[-1].number, 3)
    assert [each.number for each in following] == [MAX_KEPT + 1, MAX_KEPT, MAX_KEPT - 1]
    assert queries.reorganisations(4, 10) == []
    with ledger.store.session.reading() as connection:
        count = connection.scalar(select(func.count()).select_from(reorganisations))
    assert count == MAX_KEPT

"""Branches that are not followed, and what reorganisations undid."""

from cairn.chain.store import BlockStatus
from cairn.storage.answers import BlockSummary, NumberedReorganisation, SideBranch
from cairn.web.api.routing import CURSOR, LIMIT, Answer, api
from cairn.web.cursors import encode_cursor, fork_cursor, number_cursor
from cairn.web.models import BranchPage, BranchView, ReorganisationPage, ReorganisationView
from cairn.web.node import WebNode, this_node


@api.route("GET /forks", "chain", BranchPage, parameters=(CURSOR, LIMIT), problems=(400,))
def list_forks() -> Answer:
    """Branches of stored blocks that are not followed.

    A node sees those that its peers showed it; branches below settled blocks are forgotten.
    """
    return branch_page(CURSOR.text(), LIMIT.number(), this_node())


def branch_page(cursor: str | None, limit: int, node: WebNode) -> BranchPage:
    """Branches by the height of their tips, highest first."""
    tip = node.queries.tip()
    found = node.queries.side_branches(fork_cursor(cursor), limit)
    following = encode_cursor((found[-1].height, found[-1].tip)) if len(found) == limit else None
    return BranchPage(items=[_branch(each, tip) for each in found], next=following)


def _branch(branch: SideBranch, tip: BlockSummary | None) -> BranchView:
    depth = branch_work = active_work = None
    if branch.fork_work is not None:
        branch_work = str(branch.chain_work - branch.fork_work)
    if tip is not None and branch.fork_height is not None and branch.fork_work is not None:
        depth = max(0, tip.height - branch.fork_height)
        active_work = str(max(0, tip.chain_work - branch.fork_work))
    return BranchView(
        tip=branch.tip.hex(),
        height=branch.height,
        status="invalid" if branch.status is BlockStatus.INVALID else "valid",
        fork_height=branch.fork_height,
        fork_hash=branch.fork_hash.hex() if branch.fork_hash else None,
        depth=depth,
        blocks=branch.blocks,
        transactions=branch.transactions,
        chain_work=str(branch.chain_work),
        branch_work=branch_work,
        active_work=active_work,
        first_received_at=branch.first_received_at,
        last_received_at=branch.last_received_at,
    )


@api.route(
    "GET /reorganisations",
    "chain",
    ReorganisationPage,
    parameters=(CURSOR, LIMIT),
    problems=(400,),
)
def list_reorganisations() -> Answer:
    """The last moves of the tip that undid blocks, and what became of their transactions."""
    return reorganisation_page(CURSOR.text(), LIMIT.number(), this_node())


def reorganisation_page(cursor: str | None, limit: int, node: WebNode) -> ReorganisationPage:
    """Reorganisations, newest first."""
    found = node.queries.reorganisations(number_cursor(cursor), limit)
    following = str(found[-1].number) if len(found) == limit else None
    return ReorganisationPage(items=[_reorganisation(each) for each in found], next=following)


def _reorganisation(numbered: NumberedReorganisation) -> ReorganisationView:
    record = numbered.record
    kept = record.transactions_mined_again + record.transactions_returned
    return ReorganisationView(
        number=numbered.number,
        happened_at=record.happened_at,
        fork_height=record.fork_height,
        fork_hash=record.fork_hash.hex(),
        old_tip=record.old_tip.hex(),
        new_tip=record.new_tip.hex(),
        old_height=record.fork_height + record.blocks_undone,
        new_height=record.fork_height + record.blocks_connected,
        old_work=str(record.old_work),
        new_work=str(record.new_work),
        blocks_undone=record.blocks_undone,
        blocks_connected=record.blocks_connected,
        transactions_undone=record.transactions_undone,
        transactions_mined_again=record.transactions_mined_again,
        transactions_returned=record.transactions_returned,
        transactions_dropped=max(0, record.transactions_undone - kept),
    )

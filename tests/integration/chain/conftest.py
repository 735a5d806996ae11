"""A node's chain over an empty database on either engine."""

from collections.abc import Callable, Iterator

import pytest

from cairn.chain.pool import PoolPolicy
from cairn.consensus.params import NetworkParams
from cairn.storage.migrate import migrate
from tests.support.chain import NO_POLICY, ChainNode

MakeNode = Callable[..., ChainNode]


@pytest.fixture
def make_node(database_url: str) -> Iterator[MakeNode]:
    """Makes the node; its network, pool policy and reorganisation limit may be given."""
    made: list[ChainNode] = []
    migrate(database_url)

    def make(
        params: NetworkParams | None = None,
        policy: PoolPolicy = NO_POLICY,
        max_reorg_blocks: int = 100,
        settle_seconds: int = 0,
    ) -> ChainNode:
        made.append(ChainNode(database_url, params, policy, max_reorg_blocks, settle_seconds))
        return made[-1]

    yield make
    for node in made:
        node.close()


@pytest.fixture
def node(make_node: MakeNode) -> ChainNode:
    """A node of a network as easy as regtest, on its genesis block."""
    return make_node()

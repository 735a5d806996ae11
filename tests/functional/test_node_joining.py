"""Nodes that come late, start without their alpha, or come back after a rest."""

from collections.abc import Callable

import pytest

from tests.support.network import LocalNetwork
from tests.support.polling import wait_until

CATCH_UP_SECONDS = 30

pytestmark = pytest.mark.timeout(120)


def test_late_node_that_knows_only_an_alpha_ends_with_the_same_tip(trio: LocalNetwork) -> None:
    trio.nodes[1].mine(3)
    late = trio.add_node(alphas=[trio.nodes[2]])
    try:
        late.start()
        late.wait_ready()
        trio.wait_connected()
        trio.wait_agreed(CATCH_UP_SECONDS)
        assert late.height() >= 3
        assert late.doctor().returncode == 0
    finally:
        late.stop()
        trio.nodes.remove(late)


def test_alpha_that_is_down_at_start_is_tried_again(
    make_network: Callable[..., LocalNetwork],
) -> None:
    network = make_network()
    alpha = network.add_node()
    newcomer = network.add_node(alphas=[alpha])
    newcomer.start()
    wait_until(newcomer.is_answering, 30, "the newcomer is healthy without its alpha")
    alpha.start()
    alpha.wait_ready()
    network.wait_connected()
    alpha.mine(2)
    network.wait_agreed(CATCH_UP_SECONDS)


def test_node_that_rested_resumes_and_catches_up_without_its_alpha(trio: LocalNetwork) -> None:
    """The known nodes of its database are enough: the only alpha it has is away."""
    alpha, second, rested = trio.nodes
    before = rested.height()
    assert not rested.stop()
    second.mine(2)
    assert not alpha.stop()
    try:
        rested.start()
        wait_until(rested.is_answering, 30, "the node answers again")
        assert rested.height() >= before
        wait_until(
            lambda: second.tip() == rested.tip(),
            CATCH_UP_SECONDS,
            "it has the other's tip",
            lambda: (second.height(), rested.height()),
        )
    finally:
        alpha.start()
        alpha.wait_ready()
    trio.wait_connected()
    trio.wait_agreed(CATCH_UP_SECONDS)

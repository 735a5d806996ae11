"""kill -9 of any program at any moment: what was acknowledged stays, and the node catches up.

Senders keep posting through all nodes while programs die; each is started again as systemd
would do. Afterwards every transaction that was answered with 202 must be mined everywhere, and
`cairn doctor` must find that each node's state is what its blocks give.
"""

import random
from collections.abc import Callable

import pytest

from tests.support.mariadb import PrivateMariaDB
from tests.support.network import LocalNetwork
from tests.support.polling import wait_until
from tests.support.traffic import Sender

ROUNDS = 2
MINED_SECONDS = 45

pytestmark = pytest.mark.timeout(180)


def test_acknowledged_transactions_survive_kill_9_of_every_program(trio: LocalNetwork) -> None:
    chance = random.Random(20_240_601)
    senders = [
        Sender(trio, account, trio.nodes[i:] + trio.nodes[:i])
        for i, account in enumerate(trio.accounts[:3])
    ]
    for sender in senders:
        sender.start()
    victims = [(node, name) for node in trio.nodes for name in ("listener", "miner", "web")]
    for _ in range(ROUNDS):
        for node, name in chance.sample(victims, 3):
            _wait_for_progress(senders, chance.randint(5, 30))
            node.kill(name)
            node.start(name)
    _wait_for_progress(senders, 10)
    acknowledged = [transaction for sender in senders for transaction in sender.finish()]
    for node in trio.nodes:
        node.wait_ready()
    trio.wait_mined(acknowledged, MINED_SECONDS)
    trio.wait_connected()
    trio.wait_agreed(MINED_SECONDS)
    for node in trio.nodes:
        checked = node.doctor()
        assert checked.returncode == 0, f"{node.name}: {checked.stdout}{checked.stderr}"


def test_listener_killed_in_the_middle_of_a_batch_keeps_all_or_tells(
    make_network: Callable[..., LocalNetwork],
) -> None:
    """A killed listener never acknowledged what it lost: the rest can be sent again."""
    network = make_network()
    [node] = network.add_nodes(1)
    senders = [Sender(network, account, [node], batch=8) for account in network.accounts[:8]]
    for sender in senders:
        sender.start()
    for enough in (30, 60, 90):
        _wait_for_progress(senders, enough)
        node.kill("listener")
        node.start("listener")
    _wait_for_progress(senders, 8)
    acknowledged = [transaction for sender in senders for transaction in sender.finish()]
    network.wait_mined(acknowledged, MINED_SECONDS)
    assert node.doctor().returncode == 0


def test_node_recovers_by_itself_from_a_killed_database_server(
    make_network: Callable[..., LocalNetwork], mariadb: PrivateMariaDB
) -> None:
    mariadb.start()
    network = make_network()
    [node] = network.add_nodes(1, database_urls=[mariadb.create_database("cairn_crash")])
    pids = {name: program.pid for name, program in node.node.programs.items()}
    sender = Sender(network, network.accounts[0], [node])
    sender.start()
    _wait_for_progress([sender], 20)
    mariadb.kill()
    wait_until(lambda: sender.problems, 30, "the sender notices")
    mariadb.start()
    before = len(sender.acknowledged)
    wait_until(lambda: len(sender.acknowledged) > before + 5, 60, "it takes transactions again")
    acknowledged = sender.finish()
    node.wait_ready()
    network.wait_mined(acknowledged, MINED_SECONDS)
    assert {name: program.pid for name, program in node.node.programs.items()} == pids
    assert all(program.is_running for program in node.node.programs.values())
    assert node.doctor().returncode == 0
    network.close()
    mariadb.drop_database("cairn_crash")


def _wait_for_progress(senders: list[Sender], more: int) -> None:
    """Until so many more transactions were acknowledged."""
    start = sum(len(sender.acknowledged) for sender in senders)
    wait_until(
        lambda: sum(len(sender.acknowledged) for sender in senders) >= start + more,
        45,
        f"{more} more transactions are acknowledged",
        lambda: [sender.problems[-3:] for sender in senders],
    )

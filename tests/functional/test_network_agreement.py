"""Three nodes, transactions through all of them: one chain, one state, every coin accounted for.

Each test starts a network, posts 200 transactions (each account's through different nodes in
turn) and then waits for what must come true by itself: the same tip and state everywhere,
everything mined, and a sum of balances that the chain's own blocks explain.
"""

from collections.abc import Callable

import pytest

from tests.support.mariadb import PrivateMariaDB
from tests.support.network import COIN, FUNDED_UNITS, LocalNetwork, LocalNode
from tests.support.polling import wait_until
from tests.support.wallets import SignedTransaction

TRANSACTIONS = 200
SENDERS = 10
AGREED_SECONDS = 30

pytestmark = pytest.mark.timeout(180)


def test_two_hundred_transactions_through_three_nodes(trio: LocalNetwork) -> None:
    check_agreement(trio)


def test_two_hundred_transactions_through_three_nodes_on_mariadb(
    make_network: Callable[..., LocalNetwork], mariadb: PrivateMariaDB
) -> None:
    mariadb.start()
    network = make_network()
    urls = [mariadb.create_database(f"cairn_agreement_{node}") for node in range(3)]
    network.add_nodes(3, database_urls=urls)
    check_agreement(network)
    network.close()
    for node in range(3):
        mariadb.drop_database(f"cairn_agreement_{node}")


def check_agreement(network: LocalNetwork) -> None:
    """Sends, waits, and compares every node with the others and with the rules."""
    sent = send_through_all(network)
    network.wait_mined(sent, AGREED_SECONDS)
    network.wait_agreed(AGREED_SECONDS)
    wait_until(
        lambda: not any(node.pool_ids() for node in network.nodes), 30, "no pool holds anything"
    )
    wait_until(lambda: _same_books(network), AGREED_SECONDS, "all nodes tell the same state")
    for node in network.nodes:
        checked = node.doctor()
        assert checked.returncode == 0, f"{node.name}: {checked.stdout}{checked.stderr}"


def send_through_all(network: LocalNetwork) -> list[SignedTransaction]:
    """200 transactions, one a call, each through the next node; all must be taken."""
    node_count = len(network.nodes)
    sent = []
    first = [
        int(network.nodes[0].account(network.name, account.address)["next_sequence"])
        for account in network.accounts[:SENDERS]
    ]
    for number in range(TRANSACTIONS):
        sender, turn = number % SENDERS, number // SENDERS
        recipient = network.accounts[(sender + 1) % SENDERS].address
        transaction = network.accounts[sender].transaction(
            network.name, first[sender] + turn, recipient, amount=COIN // 100 + number
        )
        reply = network.nodes[number % node_count].api.post_json(
            "transactions", transaction.document
        )
        assert reply.status == 202, (number, reply.status, reply.body)
        assert reply.json()["id"] == transaction.hex_id
        sent.append(transaction)
    return sent


def _same_books(network: LocalNetwork) -> bool:
    """Whether, at one and the same tip, all balances agree and their sum is explained."""
    tips = [node.tip() for node in network.nodes]
    if len(set(tips)) != 1:
        return False
    books = [_books(network, node) for node in network.nodes]
    if [node.tip() for node in network.nodes] != tips:
        return False  # a block came while we looked
    for balances, created in books:
        assert sum(balances.values()) == created
        assert balances == books[0][0]
    return True


def _books(network: LocalNetwork, node: LocalNode) -> tuple[dict[str, int], int]:
    """Balances of all accounts on the chain, and what its blocks created in all."""
    created = FUNDED_UNITS * len(network.accounts)
    miners = set()
    for summary in node.blocks():
        height = int(summary["height"])
        if height == 0:
            continue
        block = node.api.get(f"blocks/{summary['hash']}")
        fees = sum(int(item["fee"]) for item in block["transactions"])
        subsidy = 50 * COIN
        claimed = int(block["coinbase"]["amount"])
        unclaimed = subsidy + fees - claimed
        assert unclaimed >= 0
        created += subsidy - unclaimed
        miners.add(block["coinbase"]["recipient"])
    funded = network.balances(node)
    balances = {network.name.address(address): balance for address, balance in funded.items()}
    for text in miners - set(balances):
        balances[text] = int(node.api.get(f"accounts/{text}")["balance"])
    return balances, created

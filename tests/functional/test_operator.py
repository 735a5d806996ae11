"""The operator's page and the faucet of real nodes: every button does what it says."""

import re
from collections.abc import Callable

import pytest

from cairn.cli.devnet.nodes import write_private
from tests.support.network import PATIENT_MINER, LocalNetwork, LocalNode
from tests.support.operator import OperatorBrowser
from tests.support.polling import wait_until

pytestmark = pytest.mark.timeout(120)


def browser(node: LocalNode) -> OperatorBrowser:
    made = OperatorBrowser(node.api)
    assert made.log_in(node.token).status == 303
    return made


def miner_mode(node: LocalNode) -> str | None:
    return node.status()["miner"]["mode"]


def test_every_worker_knows_the_session(quiet: LocalNetwork) -> None:
    operator = browser(quiet.nodes[0])
    assert {operator.open().status for _ in range(30)} == {200}
    assert OperatorBrowser(quiet.nodes[0].api).open().status == 303


def test_mines_now(quiet: LocalNetwork) -> None:
    node = quiet.nodes[0]
    height = node.height()
    operator = browser(node)
    wait_until(
        lambda: "asked the miner for 2 blocks" in operator.press("mine", blocks="2"),
        20,
        "the miner is there",
    )
    wait_until(lambda: node.height() == height + 2, 30, "both are mined")


def test_the_miners_mode_holds_until_the_listener_restarts(
    make_network: Callable[..., LocalNetwork],
) -> None:
    node = make_network().add_node(overrides={"miner": PATIENT_MINER})
    node.start()
    node.wait_ready()
    wait_until(lambda: miner_mode(node) == "auto", 20, "the miner reports")
    page = browser(node).press("miner-mode", mode="off")
    assert "until the listener restarts" in page
    wait_until(lambda: miner_mode(node) == "off", 10, "the miner follows")
    node.node.restart("miner")
    wait_until(lambda: "mode changed mode=off" in _last_start(node), 20, "a new miner follows too")
    node.node.restart("listener")
    wait_until(lambda: miner_mode(node) == "auto", 30, "the configuration counts again")


def _last_start(node: LocalNode) -> str:
    log = node.spec.log("miner").read_text(encoding="utf-8")
    return log.rpartition("miner started")[2]


def test_bans_joins_and_lifts_a_ban(make_network: Callable[..., LocalNetwork]) -> None:
    network = make_network()
    first, second = network.add_nodes(2)
    operator = browser(first)
    key = first.peers()[0]["curve_key"]
    page = operator.press("ban", curve_key=key, banned="yes")
    assert "Lift ban" in page, "the page that follows knows of it"
    wait_until(lambda: first.connected_peers() == 0, 20, "it is shut out")
    assert "Ban 24 h" in operator.press("ban", curve_key=key, banned="no")
    network.wait_connected()
    page = operator.press("join", url=second.spec.url)
    assert "joined at" in page


def test_shows_the_log_of_the_listener(quiet: LocalNetwork) -> None:
    node = quiet.nodes[0]
    page = browser(node).open().body.decode()
    assert "listener ready" in page
    assert f"name={node.name}" in page
    assert node.token not in page
    assert not re.search(r"PRIVATE|BEGIN", page)


def test_faucets_of_two_nodes_pay_what_is_mined(make_network: Callable[..., LocalNetwork]) -> None:
    network = make_network()
    for number in range(2):
        file = network.folder / f"faucet-{number}.pem"
        write_private(file, network.accounts[number].pem.decode())
        settings = {"key_file": str(file), "amount": 7_000 + number}
        network.add_node(overrides={"faucet": settings})
    for node in network.nodes:
        node.start()
    for node in network.nodes:
        node.wait_ready()
    network.wait_connected()
    receiver = network.accounts[9].address
    before = network.nodes[0].balance(network.name, receiver)
    for node in network.nodes:
        document = {"address": network.name.address(receiver)}
        assert node.api.post_json("faucet", document).status == 202
        again = node.api.post_json("faucet", document)
        assert (again.status, again.json()["code"]) == (429, "too-many-requests")
    for node in network.nodes:
        wait_until(
            lambda node=node: node.balance(network.name, receiver) == before + 14_001,
            30,
            f"{node.name} has both payments in its chain",
        )


def test_a_faucet_key_that_is_none_keeps_the_listener_from_starting(
    make_network: Callable[..., LocalNetwork],
) -> None:
    network = make_network()
    file = network.folder / "faucet.pem"
    write_private(file, "no key\n")
    node = network.add_node(overrides={"faucet": {"key_file": str(file)}})
    node.start("listener")
    program = node.node.programs["listener"]
    wait_until(lambda: not program.is_running, 20, "it refuses to start")
    assert program.exit_code == 78
    assert "holds no private key" in program.log_tail()

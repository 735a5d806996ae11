"""Every page in every light: nothing serious for axe-core, nothing wider than a phone or its card.

The pictures stay in `.cairn/screenshots`, for a person to look at.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.conftest import DevNet
from tests.browser.screens import (
    SCREENS,
    axe_violations,
    look_as_usual,
    look_through,
    protruding,
    sideways,
    take_picture,
)
from tests.browser.steps import fill, find, have_key, says, until
from tests.support.gunicorn import running_gunicorn
from tests.support.network import free_ports
from tests.support.polling import wait_until
from tests.support.rest import RestApi
from tests.support.web import WebTestNode

SECONDS = 30
CROWDS = (9, 38, 21, 52, 30, 14, 43)
"""So many payments wait before each of the blocks that follow."""


@dataclass(frozen=True)
class Sights:
    """A network with something to see on every page."""

    url: str
    mined: str
    """A transaction's id."""
    account: str


@pytest.fixture(scope="module")
def sights(devnet: DevNet) -> Sights:
    """Blocks with transactions, and an account that has sent and received."""
    api = RestApi(devnet.urls[0])
    other = devnet.cairn("wallet", "show", "demo-01")["address"]
    first = devnet.send("demo-00", other, "--amount", "12.5", "--note", "Rent for May, thank you!")
    devnet.send("demo-00", other, "--amount", "0.00000001", "--data", bytes(range(16)).hex())
    found = wait_until(lambda: _mined(api, first), SECONDS, "the payment is mined")
    for number, count in enumerate(CROWDS, 1):
        devnet.pay_many("demo-03", other, [200 + 7 * (each % 31) for each in range(count)])
        devnet.operate(0, "mine", blocks=1)
        wait_until(
            lambda height=found["block"]["height"] + number: api.get("status")["height"] >= height,
            60,
            "a block follows",
        )
    return Sights(devnet.urls[0], first, found["sender"])


def _mined(api: RestApi, transaction_id: str) -> dict[str, Any] | None:
    found: dict[str, Any] = api.get(f"transactions/{transaction_id}")
    return found if found["status"] == "mined" else None


Where = Callable[[Sights], str]
PAGES: dict[str, Where] = {
    "overview": lambda _: "/",
    "blocks": lambda _: "/chain",
    "block": lambda sights: f"/block/{_block_of(sights)}",
    "genesis": lambda _: "/block/0",
    "transaction": lambda sights: f"/transaction/{sights.mined}",
    "address": lambda sights: f"/address/{sights.account}",
    "pool": lambda _: "/pool",
    "nodes": lambda _: "/nodes",
    "forks": lambda _: "/forks",
    "wallet": lambda _: "/wallet",
    "notarize": lambda _: "/notarize",
    "verify": lambda _: "/verify",
    "faucet": lambda _: "/faucet",
    "operator-login": lambda _: "/operator",
    "block-not-found": lambda _: "/block/999999999",
    "api": lambda _: "/api",
    "search-found-nothing": lambda _: "/search?q=nothing-like-that",
    "not-found": lambda _: "/there/is/nothing/here",
}


def _block_of(sights: Sights) -> str:
    found = RestApi(sights.url).get(f"transactions/{sights.mined}")
    return str(found["block"]["hash"])


@pytest.fixture
def looker(browser: Chrome) -> Iterator[Chrome]:
    """The browser, put back afterwards."""
    yield browser
    look_as_usual(browser)


@pytest.mark.refusals
@pytest.mark.parametrize("name", PAGES)
def test_page_is_good_in_every_light(looker: Chrome, sights: Sights, name: str) -> None:
    open_page(looker, sights.url + PAGES[name](sights))
    look(looker, name)


def test_what_waits_is_good_in_every_light(looker: Chrome, sights: Sights, resting: DevNet) -> None:
    """A payment in the pool, on the pages that show it."""
    other = resting.cairn("wallet", "show", "demo-12")["address"]
    waiting = [
        resting.send("demo-11", other, "--amount", f"{1_234 * each}.5", "--note", f"Part {each}")
        for each in range(1, 6)
    ]
    for name, path in {
        "overview-waiting": "/",
        "pool-waiting": "/pool",
        "transaction-waiting": f"/transaction/{waiting[0]}",
        "address-waiting": f"/address/{other}",
        "faucet-paid": f"/faucet?paid={waiting[0]}",
    }.items():
        open_page(looker, sights.url + path)
        look(looker, name)


def test_operators_page_is_good_in_every_light(
    looker: Chrome, sights: Sights, devnet: DevNet
) -> None:
    looker.get(f"{sights.url}/operator")
    token = looker.find_element(By.ID, "token")
    token.send_keys(devnet.operator_token())
    token.submit()
    WebDriverWait(looker, SECONDS).until(lambda _: looker.find_elements(By.ID, "miner-state"))
    open_page(looker, f"{sights.url}/operator")
    try:
        look(looker, "operator")
    finally:
        looker.delete_all_cookies()


def test_wallet_in_use_is_good_in_every_light(
    looker: Chrome, sights: Sights, devnet: DevNet, tmp_path: Path
) -> None:
    """Dialog, list of keys, form with a mistake, and review."""
    url, recipient = devnet.urls[2], devnet.cairn("wallet", "show", "demo-12")["address"]
    have_key(looker, devnet, url, "demo-13", tmp_path)
    open_page(looker, f"{url}/wallet")
    until(looker, lambda: "," in find(looker, "keys").text, "what the key holds")
    fill(looker, recipient=recipient, amount="1.5.0", note="Rent for May")
    find(looker, "review").click()
    look(looker, "wallet-mistake")
    fill(looker, amount="12.5")
    find(looker, "review").click()
    says(looker, "review-facts", "12.5")
    look(looker, "wallet-review")
    open_page(looker, f"{url}/wallet")
    until(looker, lambda: "," in find(looker, "keys").text, "what the key holds")
    find(looker, "open-make").click()
    look(looker, "wallet-make")


@pytest.mark.parametrize("name", ["overview", "pool", "nodes", "forks", "chain"])
def test_new_node_is_good_in_every_light(looker: Chrome, new_node: str, name: str) -> None:
    """Nothing happened yet, and no other node is known."""
    open_page(looker, f"{new_node}/{'' if name == 'overview' else name}")
    look(looker, f"{name}-empty")


@pytest.fixture(scope="module")
def new_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The pages of a node that has its genesis block and nothing else."""
    node = WebTestNode(tmp_path_factory.mktemp("new"))
    try:
        node.start_listener()
        with running_gunicorn(node.config_file, free_ports(1)[0]) as (api, _):
            yield api.url
    finally:
        node.close()


def look(browser: Chrome, name: str) -> None:
    """Takes a picture on each screen, and checks the page there as it stands."""
    faults = []
    for screen in SCREENS:
        look_through(browser, screen)
        take_picture(browser, screen, name)
        found = axe_violations(browser, screen)
        if over := sideways(browser):
            found.append(f"{over} pixels wider than the screen")
        faults += [f"{name}, {screen.name}: {each}" for each in found]
    faults += [f"{name}: {each}" for each in protruding(browser)]
    look_as_usual(browser)
    assert not faults, "\n".join(faults)


def open_page(browser: Chrome, url: str) -> None:
    """The page, once it has its style and says whether it is live."""
    browser.get(url)
    assert len(browser.find_elements(By.TAG_NAME, "h1")) == 1
    mark = browser.find_element(By.ID, "live-mark")
    WebDriverWait(browser, SECONDS).until(lambda _: mark.get_attribute("data-state") == "live")

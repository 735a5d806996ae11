"""Every page in every light: nothing serious for axe-core, nothing wider than a phone.

The pictures stay in `.cairn/screenshots`, for a person to look at.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.conftest import DevNet
from tests.browser.screens import (
    SCREENS,
    Screen,
    axe_violations,
    look_as_usual,
    look_through,
    sideways,
    take_picture,
)
from tests.support.polling import wait_until
from tests.support.rest import RestApi

SECONDS = 30
BLOCKS = 3


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
    wait_until(
        lambda: api.get("status")["height"] >= found["block"]["height"] + BLOCKS,
        60,
        "some blocks follow",
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
    faults = []
    for screen in SCREENS:
        open_page(looker, screen, sights.url + PAGES[name](sights))
        take_picture(looker, screen, name)
        if over := sideways(looker):
            faults.append(f"{screen.name}: {over} pixels wider than the screen")
        faults += [f"{screen.name}: {each}" for each in axe_violations(looker)]
    assert not faults, "\n".join(faults)


def open_page(browser: Chrome, screen: Screen, url: str) -> None:
    """The page, once it has its style and says whether it is live."""
    look_through(browser, screen)
    browser.get(url)
    assert len(browser.find_elements(By.TAG_NAME, "h1")) == 1
    mark = browser.find_element(By.ID, "live-mark")
    WebDriverWait(browser, SECONDS).until(lambda _: mark.get_attribute("data-state") == "live")

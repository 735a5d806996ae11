"""What a person sees: every page loads under its content policy, and moves when things happen."""

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.conftest import NOTE
from tests.support.builders import make_key
from tests.support.polling import wait_until
from tests.support.rest import RestApi
from tests.support.web import WebTestNode

SECONDS = 20


@pytest.mark.parametrize("path", ["/", "/chain", "/block/1", "/pool", "/nodes", "/api"])
def test_page_loads_with_its_styles(browser: Chrome, url: str, path: str):
    browser.get(url + path)
    assert browser.find_element(By.TAG_NAME, "h1").is_displayed()
    rules = browser.execute_script("return [...document.styleSheets].map(s => s.cssRules.length)")
    assert len(rules) >= 2
    assert all(rules)


def test_note_of_another_is_text_and_nothing_else(browser: Chrome, url: str):
    transaction = RestApi(url).get("blocks/1")["transactions"][0]["id"]
    browser.get(f"{url}/transaction/{transaction}")
    assert browser.find_element(By.CSS_SELECTOR, "pre.payload").text == NOTE
    assert not browser.find_elements(By.CSS_SELECTOR, "img[src=x]")


def test_overview_moves_with_the_chain(browser: Chrome, url: str, node: WebTestNode):
    browser.get(url)
    height = RestApi(url).get("status")["height"]

    def shown() -> int:
        script = "return document.querySelector('#row [data-key] a').textContent"
        return int(browser.execute_script(script).replace(",", ""))

    assert shown() == height

    def moves() -> bool:
        node.mine()  # the page may not have subscribed yet when the first ones come
        return shown() > height

    wait_until(moves, SECONDS, "a new block shows without loading the page again")


def test_focus_stays_in_its_row_while_blocks_arrive(browser: Chrome, url: str, node: WebTestNode):
    """All blocks have the same miner: each row links to it."""
    browser.get(f"{url}/chain")
    focused = (
        "const at = document.activeElement;"
        "return [at.closest('tr').dataset.key, at.getAttribute('href')]"
    )
    browser.execute_script(
        "document.querySelectorAll('#blocks tr:nth-child(2) a[href^=\"/address\"]')[0].focus()"
    )
    before = browser.execute_script(focused)

    def moves() -> bool:
        node.mine()
        rows = "return document.querySelector('#blocks tbody tr:nth-child(2)').dataset.key"
        return browser.execute_script(rows) != before[0]

    wait_until(moves, SECONDS, "the row goes down")
    assert browser.execute_script(focused) == before


def test_page_stands_still_until_the_person_goes_on(browser: Chrome, url: str, node: WebTestNode):
    browser.get(url)
    mark = browser.find_element(By.ID, "live-mark")
    wait_until(lambda: mark.get_attribute("data-state") == "live", SECONDS, "the page is live")
    mark.click()
    assert mark.get_attribute("data-state") == "paused"
    assert mark.text.startswith("Paused")
    node.mine()
    height = RestApi(url).get("status")["height"]
    newest = "return document.querySelector('#row [data-key] a').textContent.replace(',', '')"
    assert int(browser.execute_script(newest)) < height
    mark.click()
    wait_until(
        lambda: int(browser.execute_script(newest)) == height, SECONDS, "the new block shows"
    )


def test_pool_is_checked_at_a_click(browser: Chrome, url: str, node: WebTestNode):
    node.submit([node.transaction(make_key(2), make_key(3)) for _ in range(3)])
    browser.get(f"{url}/pool")
    browser.find_element(By.ID, "check-pool").click()
    result = browser.find_element(By.ID, "check-summary")
    WebDriverWait(browser, SECONDS).until(lambda _: "all of them sound" in result.text)
    assert not browser.find_element(By.ID, "check-faults").is_displayed()


def test_search_finds_a_block(browser: Chrome, url: str):
    browser.get(url)
    field = browser.find_element(By.NAME, "q")
    field.send_keys("1")
    field.submit()
    block = RestApi(url).get("blocks/1")["hash"]
    WebDriverWait(browser, SECONDS).until(lambda page: page.current_url.endswith(f"/block/{block}"))

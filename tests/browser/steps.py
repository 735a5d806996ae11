"""Steps that a person takes on pages."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.browser.conftest import DevNet
from tests.support.polling import wait_until

SECONDS = 60
PASSPHRASE = "correct horse battery staple"
T = TypeVar("T")


def until(browser: Chrome, condition: Callable[[], T], what: str) -> T:
    """Polls; parts of a page may be replaced under the hand that holds them."""

    def quietly() -> T | None:
        try:
            return condition()
        except WebDriverException:
            return None

    found = wait_until(
        quietly, SECONDS, what, lambda: browser.find_element(By.TAG_NAME, "main").text
    )
    assert found is not None
    return found


def find(browser: Chrome, name: str) -> WebElement:
    return browser.find_element(By.ID, name)


def fill(browser: Chrome, **fields: str) -> None:
    for name, text in fields.items():
        element = find(browser, name.replace("_", "-"))
        element.clear()
        element.send_keys(text)


def says(browser: Chrome, name: str, words: str) -> str:
    """The text of an element once these words are in it."""
    return until(
        browser,
        lambda: text if words in (text := find(browser, name).text) else "",
        f"#{name} says {words!r}",
    )


def open_tool(browser: Chrome, url: str, box: str) -> None:
    """A page that signs or checks, once its modules have set it up."""
    browser.get(url)
    until(browser, lambda: find(browser, box).get_attribute("data-ready") == "yes", "it is ready")


def own_address(browser: Chrome, name: str) -> str:
    """Of a key of the wallet page."""
    link = f"#keys [data-name={name}] a.hash"
    shown = until(browser, lambda: browser.find_element(By.CSS_SELECTOR, link), "the key shows")
    return str(shown.get_attribute("title"))


def have_key(browser: Chrome, devnet: DevNet, url: str, name: str, tmp: Path) -> None:
    """Takes a demo wallet over into the wallet page of a node, under the same name."""
    secret, file = tmp / "passphrase", tmp / f"{name}.pem"
    secret.write_text(PASSPHRASE + "\n", encoding="utf-8")
    devnet.cairn("wallet", "export", name, "-o", str(file), "--passphrase-file", str(secret))
    open_tool(browser, f"{url}/wallet", "wallet")
    find(browser, "open-import").click()
    find(browser, "import-file").send_keys(str(file))
    until(browser, lambda: find(browser, "import-secret").is_displayed(), "it asks for the phrase")
    fill(browser, import_passphrase=PASSPHRASE, import_name=name)
    find(browser, "import-submit").click()
    says(browser, "keys-told", f"Imported {name}")

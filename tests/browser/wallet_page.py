"""What a person does on the pages that sign, in the browser under test."""

import re
from pathlib import Path

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.support.polling import wait_until

SECONDS = 30
PASTED_CHARACTERS = 200


def part(browser: Chrome, name: str) -> WebElement:
    return browser.find_element(By.ID, name)


def click(browser: Chrome, name: str) -> None:
    """Scrolled to the middle first, as a person would: a live page may push things about."""
    element = part(browser, name)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def fill(browser: Chrome, name: str, text: str) -> None:
    element = part(browser, name)
    element.clear()
    if len(text) > PASTED_CHARACTERS:
        paste(browser, element, text)
    else:
        element.send_keys(text)


def paste(browser: Chrome, element: WebElement, text: str) -> None:
    """All at once, where typing would take seconds or a line's end would be Enter."""
    script = (
        "arguments[0].value = arguments[1];"
        "arguments[0].dispatchEvent(new Event('input', {bubbles: true}));"
    )
    browser.execute_script(script, element, text)


def says(browser: Chrome, name: str, *words: str) -> str:
    """The text of a part once it holds one of these words."""
    box = part(browser, name)
    WebDriverWait(browser, SECONDS).until(lambda _: any(word in box.text for word in words))
    return box.text


def shown(browser: Chrome, name: str) -> None:
    WebDriverWait(browser, SECONDS).until(lambda _: part(browser, name).is_displayed())


def open_page(browser: Chrome, url: str, path: str, root: str) -> None:
    """Returns once the page has read the browser's keys."""
    browser.get(url + path)
    WebDriverWait(browser, SECONDS).until(
        lambda _: part(browser, root).get_attribute("data-ready") == "yes"
    )


def open_wallet_page(browser: Chrome, url: str) -> None:
    open_page(browser, url, "/wallet", "wallet")


def import_text(browser: Chrome, name: str, text: str, passphrase: str = "") -> None:
    """Imports by pasting; the key is then the chosen one."""
    click(browser, "open-import")
    paste(browser, part(browser, "import-text"), text)
    if passphrase:
        fill(browser, "import-passphrase", passphrase)
    fill(browser, "import-name", name)
    click(browser, "import-submit")


def import_key(browser: Chrome, name: str, text: str, passphrase: str = "") -> str:
    """Imports; the key's address."""
    import_text(browser, name, text, passphrase)
    says(browser, "keys-told", f"Imported {name}")
    return address_of_key(browser, name)


def make_key_in_page(browser: Chrome, name: str, passphrase: str) -> str:
    """Makes a key, with a backup where there is a passphrase; its address."""
    click(browser, "open-make")
    fill(browser, "make-name", name)
    if passphrase:
        fill(browser, "make-passphrase", passphrase)
        fill(browser, "make-again", passphrase)
    else:
        click(browser, "make-without")
    click(browser, "make-submit")
    if passphrase:
        shown(browser, "backup-dialog")
        click(browser, "backup-done")
    says(browser, "keys-told", f"Made {name}")
    return address_of_key(browser, name)


def address_of_key(browser: Chrome, name: str) -> str:
    # In one go: the list of keys is drawn anew when a balance comes.
    script = "return document.querySelector(`li[data-name='${arguments[0]}'] a.hash`).title"
    return str(browser.execute_script(script, name))


def choose_key(browser: Chrome, name: str) -> None:
    Select(part(browser, "key")).select_by_value(name)


def review(browser: Chrome, recipient: str, amount: str, note: str = "") -> str:
    """Fills the form and asks for the review; its facts."""
    fill(browser, "recipient", recipient)
    fill(browser, "amount", amount)
    fill(browser, "note", note)
    click(browser, "review")
    shown(browser, "step-review")
    return part(browser, "review-facts").text


def sign(browser: Chrome) -> str:
    """Signs what is reviewed; the id that the page names."""
    click(browser, "sign")
    shown(browser, "step-status")
    link = browser.find_element(By.CSS_SELECTOR, "#progress a.hash")
    found = re.fullmatch(r"[0-9a-f]{64}", str(link.get_attribute("title")))
    assert found
    return found[0]


def downloaded(folder: Path, name: str) -> Path:
    """The file, once the browser has written all of it."""
    file = folder / name
    wait_until(lambda: file.exists() and file.stat().st_size > 0, SECONDS, f"{name} is saved")
    return file

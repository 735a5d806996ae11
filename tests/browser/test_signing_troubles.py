"""When signing does not go smoothly: the browser, the network or the person comes in between."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.conftest import AFAR
from tests.browser.wallet_page import (
    SECONDS,
    choose_key,
    click,
    fill,
    import_key,
    open_page,
    open_wallet_page,
    part,
    review,
    says,
    shown,
)
from tests.support.builders import make_key
from tests.support.rest import RestApi
from tests.support.web import WebTestNode

PASSPHRASE = "correct hörse ✓"
_HOLD = (
    "const asks = fetch;"
    "const held = new Promise((go) => (globalThis.goOn = go));"
    "globalThis.fetch = async (...words) => { await held; return asks(...words); };"
)
"""What the page asks of the node waits for `goOn()`."""
_LOSE_ANSWERS = (
    "const asks = fetch;"
    "globalThis.fetch = async (path, options) => {"
    "  const answer = await asks(path, options);"
    "  if (options?.method === 'POST') throw new TypeError('Failed to fetch');"
    "  return answer;"
    "};"
)
"""What the page sends arrives, and it does not hear so."""
_NO_STORE = (
    "Object.defineProperty(globalThis, 'indexedDB', { get() {"
    "  throw new DOMException('The user denied permission.', 'SecurityError');"
    "} });"
)


@contextmanager
def before_each_page(browser: Chrome, source: str) -> Iterator[None]:
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


@pytest.mark.parametrize("page", ["wallet", "notarize"])
def test_over_plain_http_from_afar_it_says_how_to_mend_that(browser: Chrome, url: str, page: str):
    port = urlsplit(url).port
    browser.get(f"http://{AFAR}:{port}/{page}")
    text = says(browser, "insecure", "does not let this page sign")
    assert "Reach the node over HTTPS" in text
    assert f"ssh -L 8000:127.0.0.1:{port} {AFAR}" in text
    assert not part(browser, "wallet" if page == "wallet" else "notarizing").is_displayed()
    browser.get(f"{url}/{page}")
    assert not part(browser, "insecure").is_displayed()


@pytest.mark.parametrize(
    ("path", "root", "told"),
    [("/wallet", "wallet", "keys-told"), ("/notarize", "notarizing", "file-told")],
)
def test_a_browser_that_keeps_no_keys_is_told_of(
    browser: Chrome, url: str, path: str, root: str, told: str
):
    with before_each_page(browser, _NO_STORE):
        open_page(browser, url, path, root)
        assert "denied permission" in says(browser, told, "denied")
    if path == "/wallet":
        assert "allow this site to keep data" in part(browser, told).text
        cards = browser.find_elements(By.CSS_SELECTOR, "main .card")
        assert all(each.text for each in cards if each.is_displayed()), "no empty box"


def test_a_key_given_up_while_its_backup_is_made_is_not_kept(browser: Chrome, url: str):
    open_wallet_page(browser, url)
    click(browser, "open-make")
    fill(browser, "make-name", "given-up")
    for field in ("make-passphrase", "make-again"):
        fill(browser, field, PASSPHRASE)
    browser.execute_script(
        "document.getElementById('make-submit').click();"
        "document.getElementById('make-dialog').close();"
    )
    import_key(browser, "kept", f"{make_key(2).private_key:064x}")
    browser.execute_async_script(
        "const done = arguments[0], button = document.getElementById('make-submit');"
        "const look = () => button.disabled ? setTimeout(look, 20) : done();"
        "look();"
    )
    open_wallet_page(browser, url)
    names = browser.find_elements(By.CSS_SELECTOR, "#keys li[data-name]")
    assert "kept" in {each.get_attribute("data-name") for each in names}
    assert "given-up" not in {each.get_attribute("data-name") for each in names}


def test_the_review_shows_what_is_signed_whatever_the_form_says_by_then(
    browser: Chrome, url: str, node: WebTestNode
):
    key, meant, other = make_key(2), make_key(920), make_key(921)
    open_wallet_page(browser, url)
    import_key(browser, "hurried", f"{key.private_key:064x}")
    fill(browser, "recipient", node.address(meant))
    fill(browser, "amount", "1")
    browser.execute_script(_HOLD)
    click(browser, "review")
    fill(browser, "recipient", node.address(other))
    browser.execute_script("goOn()")
    shown(browser, "step-review")
    facts = part(browser, "review-facts").text
    assert node.address(meant) in facts
    assert node.address(other) not in facts


def test_a_notarization_is_of_the_file_that_was_there_when_the_review_was_asked_for(
    browser: Chrome, url: str, tmp_path: Path
):
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_bytes(b"one")
    second.write_bytes(b"two")
    open_wallet_page(browser, url)
    import_key(browser, "notary", f"{make_key(3).private_key:064x}")
    open_page(browser, url, "/notarize", "notarizing")
    part(browser, "file").send_keys(str(first))
    digest = says(browser, "digest", "SHA-256 ").removeprefix("SHA-256 ")
    browser.execute_script(_HOLD)
    click(browser, "review")
    part(browser, "file").send_keys(str(second))
    says(browser, "digest", "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3")
    browser.execute_script("goOn()")
    shown(browser, "step-review")
    facts = part(browser, "review-facts").text
    assert digest in facts
    assert "first.txt" in facts
    assert "second.txt" not in facts


def test_a_payment_whose_answer_was_lost_is_not_made_twice(
    browser: Chrome, url: str, node: WebTestNode
):
    key, recipient = make_key(4), node.address(make_key(930))
    account = f"accounts/{node.address(key)}"
    before = RestApi(url).get(account)["next_sequence"]
    open_wallet_page(browser, url)
    import_key(browser, "unlucky", f"{key.private_key:064x}")
    review(browser, recipient, "1")
    browser.execute_script(_LOSE_ANSWERS)
    click(browser, "sign")
    assert "counts once" in says(browser, "review-told", "No answer came")
    # The person loads the page again, and pays again.
    open_wallet_page(browser, url)
    choose_key(browser, "unlucky")
    fill(browser, "recipient", recipient)
    fill(browser, "amount", "1")
    click(browser, "review")
    shown(browser, "step-status")
    assert "is not sent again" in part(browser, "status-told").text
    assert "Waiting in the pool" in says(browser, "progress", "Waiting")
    assert RestApi(url).get(account)["next_sequence"] == before + 1


def test_another_payment_after_a_lost_answer_is_told_of_the_first(
    browser: Chrome, url: str, node: WebTestNode
):
    key = make_key(5)
    account = f"accounts/{node.address(key)}"
    before = RestApi(url).get(account)["next_sequence"]
    open_wallet_page(browser, url)
    import_key(browser, "hurried-on", f"{key.private_key:064x}")
    review(browser, node.address(make_key(931)), "1")
    browser.execute_script(_LOSE_ANSWERS)
    click(browser, "sign")
    says(browser, "review-told", "No answer came")
    open_wallet_page(browser, url)
    choose_key(browser, "hurried-on")
    fill(browser, "recipient", node.address(make_key(932)))
    fill(browser, "amount", "2")
    click(browser, "review")
    assert "arrived after all" in says(browser, "form-told", "arrived")
    click(browser, "review")
    shown(browser, "step-review")
    facts = part(browser, "review-facts").text
    assert node.address(make_key(932)) in facts
    click(browser, "sign")
    shown(browser, "step-status")
    assert RestApi(url).get(account)["next_sequence"] == before + 2


def test_another_page_changes_keys_while_this_one_asks(browser: Chrome, url: str):
    """What is removed is the very key that the question was about."""
    remove = "#keys li[data-name='twin'] button[data-action='remove']"
    first, second = make_key(31), make_key(32)
    this = browser.current_window_handle
    open_wallet_page(browser, url)
    import_key(browser, "twin", f"{first.private_key:064x}")
    browser.find_element(By.CSS_SELECTOR, remove).click()
    shown(browser, "delete-dialog")
    browser.switch_to.new_window("tab")
    try:
        open_wallet_page(browser, url)
        browser.find_element(By.CSS_SELECTOR, remove).click()
        click(browser, "delete-submit")
        says(browser, "keys-told", "Removed twin")
        address = import_key(browser, "twin", f"{second.private_key:064x}")
    finally:
        browser.close()
        browser.switch_to.window(this)
    # The list follows by itself; the question stands, and its answer removes nothing.
    row = f"#keys li[data-name='twin'][data-address='{address}']"
    WebDriverWait(browser, SECONDS).until(lambda _: browser.find_elements(By.CSS_SELECTOR, row))
    click(browser, "delete-submit")
    assert "Nothing was removed" in says(browser, "keys-told", "changed twin meanwhile")
    open_wallet_page(browser, url)
    assert browser.find_elements(By.CSS_SELECTOR, row)

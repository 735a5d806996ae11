"""What people come for, from page to page, on a network of three nodes that really runs."""

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.conftest import DevNet
from tests.browser.hostile import Watch
from tests.browser.steps import (
    PASSPHRASE,
    SECONDS,
    fill,
    find,
    have_key,
    open_tool,
    own_address,
    says,
    until,
)
from tests.support.polling import wait_until
from tests.support.rest import RestApi

HOSTILE_NAME = "<img breach src=x onerror=alert(1)>'&quot;.txt"
pytestmark = pytest.mark.timeout(240)


def make_key(browser: Chrome, name: str) -> str:
    """Makes a key with a backup on the wallet page that is open; its address."""
    find(browser, "open-make").click()
    fill(browser, make_name=name, make_passphrase=PASSPHRASE, make_again=PASSPHRASE)
    find(browser, "make-submit").click()
    until(browser, lambda: find(browser, "backup-dialog").is_displayed(), "the backup is saved")
    find(browser, "backup-done").click()
    says(browser, "keys-told", f"Made {name}")
    return own_address(browser, name)


def ask_faucet(browser: Chrome, url: str, address: str) -> str:
    """The id of what the faucet pays."""
    browser.get(f"{url}/faucet")
    fill(browser, address=address)
    find(browser, "faucet").submit()
    link = until(
        browser,
        lambda: browser.find_element(By.CSS_SELECTOR, ".alert-success a.hash"),
        "the faucet pays",
    )
    return str(link.get_attribute("title"))


def sent_id(browser: Chrome) -> str:
    """The id that the list of a payment's progress names."""
    link = until(
        browser,
        lambda: browser.find_element(By.CSS_SELECTOR, "#progress a.hash"),
        "the node has it",
    )
    return str(link.get_attribute("title"))


def mine(devnet: DevNet, blocks: int = 1, node: int = 0) -> None:
    """Returns when every node has the blocks."""
    apis = [RestApi(url) for url in devnet.urls]
    goal = apis[node].get("status")["height"] + blocks
    devnet.operate(node, "mine", blocks=blocks)
    wait_until(
        lambda: all(api.get("status")["height"] >= goal for api in apis),
        SECONDS,
        f"all nodes reach height {goal}",
    )


def arrived(devnet: DevNet, node: int, id_: str) -> None:
    """Returns when this node has the transaction."""
    api = RestApi(devnet.urls[node])
    path = f"/api/v1/transactions/{id_}"
    wait_until(lambda: api.call("GET", path).status == 200, SECONDS, "the other node has it")


def test_first_coins_and_first_payment(
    browser: Chrome, resting: DevNet, downloads: Path, tmp_path: Path
) -> None:
    """A key, the faucet, a payment that another's open page shows, mined, confirmed, elsewhere."""
    here, elsewhere = resting.urls[0], resting.urls[2]
    open_tool(browser, f"{here}/wallet", "wallet")
    purse = make_key(browser, "purse")
    funding = ask_faucet(browser, here, purse)
    arrived(resting, 0, funding)
    mine(resting)
    open_tool(browser, f"{here}/wallet", "wallet")
    row = "#keys [data-name=purse] .key-balance"
    until(
        browser,
        lambda: re.search(r"[1-9]", browser.find_element(By.CSS_SELECTOR, row).text),
        "the coins of the faucet are there",
    )
    wallet = browser.current_window_handle
    browser.switch_to.new_window("window")
    watching = browser.current_window_handle
    try:
        browser.get(f"{here}/pool")
        until(
            browser,
            lambda: find(browser, "live-mark").get_attribute("data-state") == "live",
            "the pool's page is live",
        )
        browser.execute_script("window.neverLoadedAgain = true")
        browser.switch_to.window(wallet)
        payment = pay(browser, resting.cairn("wallet", "show", "demo-05")["address"])
        assert "Waiting in the pool" in find(browser, "progress").text
        browser.switch_to.window(watching)
        link = f"#pool a[href='/transaction/{payment}']"
        until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, link), "the pool shows it")
        mine(resting)
        until(
            browser,
            lambda: not browser.find_elements(By.CSS_SELECTOR, link),
            "it leaves the pool with the block",
        )
        assert browser.execute_script("return window.neverLoadedAgain") is True
    finally:
        browser.switch_to.window(watching)
        browser.close()
        browser.switch_to.window(wallet)
    says(browser, "progress", "In block")
    mine(resting, 5)
    says(browser, "progress", "Confirmed: 6 of 6 blocks")
    browser.get(f"{elsewhere}/transaction/{payment}")
    says(browser, "where", "6 confirmations")
    assert "Für den Anfang ✓" in browser.find_element(By.CSS_SELECTOR, "pre.payload").text
    assert resting.cairn("wallet", "show", "demo-05", node=1)["address"] in browser.page_source
    _backup_opens_for_the_command(resting, downloads / "purse.pem", purse, tmp_path)


def pay(browser: Chrome, recipient: str) -> str:
    """Fills the wallet's form, reviews, signs and sends; the id."""
    fill(browser, recipient=recipient, amount="1.00000001", note="Für den Anfang ✓")
    find(browser, "review").click()
    facts = says(browser, "review-facts", "1.00000001")
    assert recipient in facts
    find(browser, "sign").click()
    return sent_id(browser)


def _backup_opens_for_the_command(devnet: DevNet, backup: Path, address: str, tmp: Path) -> None:
    secret = tmp / "passphrase"
    secret.write_text(PASSPHRASE + "\n", encoding="utf-8")
    wait_until(backup.exists, SECONDS, "the backup is in the downloads")
    words = ("--wallet-dir", str(tmp / "wallets"), "--passphrase-file", str(secret))
    devnet.cairn("wallet", "import", str(backup), "--name", "taken-over", *words)
    assert devnet.cairn("wallet", "show", "taken-over", *words)["address"] == address


def test_key_of_the_command_works_in_the_browser(
    browser: Chrome, resting: DevNet, tmp_path: Path
) -> None:
    have_key(browser, resting, resting.urls[1], "demo-06", tmp_path)
    assert own_address(browser, "demo-06") == resting.cairn("wallet", "show", "demo-06")["address"]
    payment = pay(browser, resting.cairn("wallet", "show", "demo-07")["address"])
    arrived(resting, 0, payment)
    mine(resting)
    says(browser, "progress", "In block")


def test_file_is_notarized_and_verified(
    browser: Chrome, resting: DevNet, downloads: Path, tmp_path: Path
) -> None:
    """Under a name that would be markup; the proof is good for the page and for the command."""
    document = tmp_path / HOSTILE_NAME
    document.write_bytes(b"We agree.\n" * 5_000)
    url = resting.urls[0]
    have_key(browser, resting, url, "demo-08", tmp_path)
    watch = Watch(browser)
    try:
        open_tool(browser, f"{url}/notarize", "notarizing")
        find(browser, "file").send_keys(str(document))
        says(browser, "digest", "SHA-256")
        Select(find(browser, "key")).select_by_value("demo-08")
        find(browser, "review").click()
        assert HOSTILE_NAME in says(browser, "review-facts", "SHA-256")
        assert watch.breaches() == []
        find(browser, "sign").click()
        arrived(resting, 1, sent_id(browser))
        mine(resting, 1, node=1)
        until(browser, lambda: find(browser, "save-proof").is_displayed(), "the proof is offered")
        assert watch.breaches() == []
        find(browser, "save-proof").click()
        proof = until(browser, lambda: next(downloads.glob("*.json"), None), "the proof is saved")
        _check_proof_in_page(browser, resting.urls[2], document, proof, watch)
    finally:
        watch.close()
    genesis = str(resting.data / "genesis.toml")
    resting.cairn("verify", str(document), str(proof), "--genesis", genesis)


def _check_proof_in_page(
    browser: Chrome, url: str, document: Path, proof: Path, watch: Watch
) -> None:
    open_tool(browser, f"{url}/verify", "verifying")
    find(browser, "file").send_keys(str(document))
    find(browser, "proof").send_keys(str(proof))
    says(browser, "verify-told", "Proven: the file was notarized")
    assert watch.breaches() == []
    altered = document.with_name("altered.txt")
    altered.write_bytes(document.read_bytes() + b" ")
    open_tool(browser, f"{url}/verify", "verifying")
    find(browser, "file").send_keys(str(altered))
    find(browser, "proof").send_keys(str(proof))
    says(browser, "verify-told", "Not proven")
    lie = document.with_name("lie.json")
    lie.write_text('{"<img breach src=x onerror=alert(1)>": "<script breach>"}', encoding="utf-8")
    open_tool(browser, f"{url}/verify", "verifying")
    find(browser, "file").send_keys(str(document))
    find(browser, "proof").send_keys(str(lie))
    until(browser, lambda: find(browser, "verify-told").text, "it says what is wrong")
    assert "Proven:" not in find(browser, "verify-told").text
    assert watch.breaches() == []


def test_search_goes_to_what_is_named(browser: Chrome, devnet: DevNet) -> None:
    api = RestApi(devnet.urls[1])
    payment = devnet.send(
        "demo-09", devnet.cairn("wallet", "show", "demo-10")["address"], "--amount", "1"
    )
    arrived(devnet, 1, payment)
    mine(devnet, node=1)
    found = wait_until(
        lambda: each if (each := _there(api, payment)) and each["block"] else None,
        SECONDS,
        "the payment is mined",
    )
    block = found["block"]
    for text, path in {
        str(block["height"]): f"/block/{block['hash']}",
        f" {block['hash'].upper()} ": f"/block/{block['hash']}",
        payment: f"/transaction/{payment}",
        found["sender"]: f"/address/{found['sender']}",
    }.items():
        browser.get(devnet.urls[1])
        field = browser.find_element(By.NAME, "q")
        field.send_keys(text)
        field.submit()
        WebDriverWait(browser, SECONDS).until(
            lambda page, path=path: page.current_url.endswith(path)
        )


def _there(api: RestApi, id_: str) -> dict[str, object] | None:
    reply = api.call("GET", f"/api/v1/transactions/{id_}")
    return reply.json() if reply.status == 200 else None


@pytest.mark.refusals
def test_operator_is_let_in_by_the_token_alone(browser: Chrome, resting: DevNet) -> None:
    url, api = resting.urls[0], RestApi(resting.urls[0])
    browser.get(f"{url}/operator")
    assert browser.current_url.endswith("/operator/login")
    _log_in(browser, "<img src=x> not the token")
    says(browser, "problem", "token")
    _log_in(browser, resting.operator_token())
    says(browser, "miner-state", "miner")
    cookie = next(each for each in browser.get_cookies() if each["httpOnly"])
    assert cookie["sameSite"] == "Strict"
    assert cookie["value"] not in browser.execute_script("return document.cookie")
    height = api.get("status")["height"]
    fill(browser, blocks="2")
    find(browser, "blocks").submit()
    says(browser, "said", "Done")
    wait_until(lambda: api.get("status")["height"] >= height + 2, SECONDS, "blocks are mined")
    find(browser, "mode").send_keys("always")
    find(browser, "mode").submit()
    says(browser, "said", "Done")
    until(browser, lambda: "always" in find(browser, "miner-state").text, "the mode shows")
    _end_of_the_session_is_told(browser, resting)
    browser.find_element(By.CSS_SELECTOR, "form[action='/operator/logout'] button").click()
    until(browser, lambda: browser.current_url.endswith("/operator/login"), "logged out")
    browser.get(f"{url}/operator")
    assert browser.current_url.endswith("/operator/login")


def _end_of_the_session_is_told(browser: Chrome, devnet: DevNet) -> None:
    """On the page that is open, and no more once the session is there again."""
    (cookie,) = (each for each in browser.get_cookies() if each["httpOnly"])
    browser.delete_all_cookies()
    mine(devnet)
    says(browser, "live-told", "You are logged out")
    browser.add_cookie(cookie)
    mine(devnet)
    until(browser, lambda: not find(browser, "live-told").is_displayed(), "the page is live again")


def _log_in(browser: Chrome, token: str) -> None:
    fill(browser, token=token)
    find(browser, "token").submit()


@pytest.mark.refusals
def test_operators_forms_refuse_who_is_not_logged_in(browser: Chrome, devnet: DevNet) -> None:
    api = RestApi(devnet.urls[1])
    for path, body in {"mine": "blocks=1", "miner-mode": "mode=off", "ban": "banned=yes"}.items():
        reply = api.call(
            "POST",
            f"/operator/{path}",
            body.encode(),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert reply.status in {303, 401, 403}, path
        assert "operator/login" in reply.headers.get("location", "operator/login")
    browser.get(f"{devnet.urls[1]}/operator?level={quote('debug')}")
    assert browser.current_url.endswith("/operator/login")

"""The wallet page: keys that stay in the browser, backups both ways, and sending."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from cairn.cli.app import cairn
from cairn.consensus.crypto import HALF_ORDER, verify_signature
from cairn.consensus.transaction import UnsignedTransaction
from cairn.wallet import AccountKey, load_key
from tests.browser.wallet_page import (
    SECONDS,
    address_of_key,
    choose_key,
    click,
    downloaded,
    fill,
    import_key,
    import_text,
    make_key_in_page,
    open_wallet_page,
    part,
    review,
    says,
    shown,
    sign,
)
from tests.support.builders import COIN, make_key
from tests.support.rest import RestApi
from tests.support.web import WebTestNode

RICH = make_key(4)
PASSPHRASE = "correct hörse ✓"


def pem_of(
    key: AccountKey,
    form: PrivateFormat = PrivateFormat.PKCS8,
    encryption: KeySerializationEncryption | None = None,
) -> str:
    private = ec.derive_private_key(key.private_key, ec.SECP256R1())
    return private.private_bytes(Encoding.PEM, form, encryption or NoEncryption()).decode()


def command(folder: Path, *words: str) -> str:
    """What a `cairn` command prints, with wallets of its own."""
    done = CliRunner().invoke(cairn, list(words), env={"CAIRN_WALLET_DIR": str(folder)})
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def passphrase_file(tmp_path: Path) -> str:
    file = tmp_path / "passphrase"
    file.write_text(PASSPHRASE + "\n", encoding="utf-8")
    return str(file)


# -- keys ------------------------------------------------------------------------------------


def test_backup_of_a_key_made_here_is_a_wallet_of_the_command_that_spends(
    browser: Chrome,
    url: str,
    node: WebTestNode,
    downloads: Path,
    tmp_path: Path,
    passphrase_file: str,
):
    open_wallet_page(browser, url)
    address = make_key_in_page(browser, "saved", PASSPHRASE)
    backup = downloaded(downloads, "saved.pem")
    assert load_pem_private_key(backup.read_bytes(), PASSPHRASE.encode())
    wallets = tmp_path / "wallets"
    command(wallets, "wallet", "import", str(backup), "--passphrase-file", passphrase_file)
    key = load_key(wallets / "saved.pem", PASSPHRASE)
    assert node.address(key) == address
    node.submit([node.transaction(make_key(3), key, 2 * COIN)])
    node.mine()
    sent = command(
        wallets, "send", "--from", "saved", "--to", node.address(make_key(905)), "--amount", "1",
        "--passphrase-file", passphrase_file, "--yes", "--node", url, "--json",
    )  # fmt: skip
    node.mine()
    found = RestApi(url).get(f"transactions/{json.loads(sent)['id']}")
    assert (found["status"], found["sender"]) == ("mined", address)


def test_a_backup_is_handed_out_until_the_person_has_it(browser: Chrome, url: str, downloads: Path):
    open_wallet_page(browser, url)
    click(browser, "open-make")
    for field in ("make-passphrase", "make-again"):
        fill(browser, field, PASSPHRASE)
    fill(browser, "make-name", "asked-twice")
    click(browser, "make-submit")
    shown(browser, "backup-dialog")
    first = downloaded(downloads, "asked-twice.pem").read_bytes()
    (downloads / "asked-twice.pem").unlink()
    part(browser, "backup-dialog").send_keys(Keys.ESCAPE)
    click(browser, "backup-save")
    assert downloaded(downloads, "asked-twice.pem").read_bytes() == first
    click(browser, "backup-done")
    assert "asked-twice.pem" in says(browser, "keys-told", "Made asked-twice")


def test_exported_wallet_of_the_command_opens_in_the_page_and_stays_there(
    browser: Chrome, url: str, node: WebTestNode, tmp_path: Path, passphrase_file: str
):
    wallets, backup = tmp_path / "wallets", tmp_path / "bob-backup.pem"
    command(wallets, "wallet", "new", "bob", "--network", "regtest")
    command(
        wallets, "wallet", "export", "bob", "-o", str(backup),
        "--passphrase-file", passphrase_file,
    )  # fmt: skip
    open_wallet_page(browser, url)
    click(browser, "open-import")
    part(browser, "import-file").send_keys(str(backup))
    shown(browser, "import-secret")
    assert part(browser, "import-name").get_property("value") == "bob-backup"
    fill(browser, "import-passphrase", "another")
    click(browser, "import-submit")
    assert "does not open" in says(browser, "import-passphrase-feedback", "passphrase")
    fill(browser, "import-passphrase", PASSPHRASE)
    click(browser, "import-submit")
    says(browser, "keys-told", "Imported bob-backup")
    expected = node.address(load_key(wallets / "bob.pem"))
    open_wallet_page(browser, url)
    assert address_of_key(browser, "bob-backup") == expected


def test_nothing_reads_the_private_key_out_of_the_browser(browser: Chrome, url: str):
    open_wallet_page(browser, url)
    make_key_in_page(browser, "closed", "")
    answers = browser.execute_async_script(
        """
        const done = arguments[0];
        const { listKeys } = await import("/static/js/keystore.js");
        const key = (await listKeys()).find((each) => each.name === "closed");
        const refused = [];
        for (const format of ["jwk", "pkcs8", "raw"]) {
          await crypto.subtle.exportKey(format, key.handle).then(
            () => refused.push(false), () => refused.push(true));
        }
        done([key.handle.extractable, key.handle.type, refused, Object.keys(key).sort()]);
        """
    )
    assert answers == [False, "private", [True] * 3, ["handle", "made", "name", "publicKey"]]


def test_a_key_is_removed_after_a_question_and_not_by_no(browser: Chrome, url: str):
    open_wallet_page(browser, url)
    make_key_in_page(browser, "spare", "")
    remove = "li[data-name='spare'] button[data-action='remove']"
    browser.find_element(By.CSS_SELECTOR, remove).click()
    assert "Without a backup" in says(browser, "delete-text", "goes from this browser")
    browser.switch_to.active_element.send_keys(Keys.ENTER)  # the focus is on keeping it
    assert browser.find_elements(By.CSS_SELECTOR, remove)
    browser.find_element(By.CSS_SELECTOR, remove).click()
    click(browser, "delete-submit")
    says(browser, "keys-told", "Removed spare")
    WebDriverWait(browser, SECONDS).until(
        lambda _: not browser.find_elements(By.CSS_SELECTOR, remove)
    )
    open_wallet_page(browser, url)
    assert not browser.find_elements(By.CSS_SELECTOR, remove)


def test_mistakes_in_making_a_key_are_named(browser: Chrome, url: str):
    open_wallet_page(browser, url)
    click(browser, "open-make")
    for fields, feedback, words in (
        ({"make-name": ""}, "make-name-feedback", "letters"),
        ({"make-name": "fresh"}, "make-passphrase-feedback", "Choose a passphrase"),
        (
            {"make-passphrase": "one", "make-again": "two"},
            "make-again-feedback",
            "not the same",
        ),
        ({"make-name": "a b"}, "make-name-feedback", "letters"),
    ):
        for name, text in fields.items():
            fill(browser, name, text)
        assert words not in part(browser, feedback).text
        click(browser, "make-submit")
        assert words in says(browser, feedback, words)
        assert not browser.find_elements(By.CSS_SELECTOR, "li[data-name='fresh']")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not a key", "no key"),
        ("0" * 64, "no P-256 private key"),
        (
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----",
            "cannot",
        ),
    ],
)
def test_what_is_no_key_is_not_imported(browser: Chrome, url: str, text: str, words: str):
    open_wallet_page(browser, url)
    import_text(browser, "wrong", text)
    assert words in says(browser, "import-text-feedback", words)
    assert not browser.find_elements(By.CSS_SELECTOR, "li[data-name='wrong']")


# -- sending ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["hex", "pkcs8", "sec1", "encrypted"])
def test_imported_key_signs_what_consensus_accepts(
    browser: Chrome, url: str, node: WebTestNode, form: str
):
    texts = {
        "hex": f"{RICH.private_key:064x}",
        "pkcs8": pem_of(RICH),
        "sec1": pem_of(RICH, PrivateFormat.TraditionalOpenSSL),
        "encrypted": pem_of(RICH, encryption=BestAvailableEncryption(PASSPHRASE.encode())),
    }
    open_wallet_page(browser, url)
    address = import_key(browser, f"by-{form}", texts[form], PASSPHRASE * (form == "encrypted"))
    assert address == node.address(RICH)
    recipient, note = node.address(make_key(900)), f"für {form} ✓"
    facts = review(browser, recipient, "1.25", note)
    for expected in (address, recipient, "1.25 ", note, f"by-{form}", node.network_id.hex()):
        assert expected in facts
    transaction_id = sign(browser)
    found = RestApi(url).get(f"transactions/{transaction_id}")
    assert (found["sender"], found["amount"]) == (address, str(125 * COIN // 100))
    assert bytes.fromhex(found["data"]).decode() == note
    unsigned = UnsignedTransaction(
        bytes.fromhex(found["public_key"]),
        found["sequence"],
        make_key(900).address,
        int(found["amount"]),
        int(found["fee"]),
        found["timestamp"],
        bytes.fromhex(found["data"]),
    )
    reviewed = part(browser, "review-bytes").get_property("textContent")
    assert unsigned.encode().hex() == reviewed
    signature = bytes.fromhex(found["signature"])
    assert verify_signature(
        unsigned.public_key, unsigned.signing_message(node.network_id), signature
    )
    assert int.from_bytes(signature[32:], "big") <= HALF_ORDER
    node.mine()
    assert "In block" in says(browser, "progress", "In block")


def test_sending_is_followed_from_the_pool_to_its_confirmations(
    browser: Chrome, url: str, node: WebTestNode
):
    open_wallet_page(browser, url)
    import_key(browser, "followed", pem_of(make_key(5)))
    review(browser, node.address(make_key(901)), "3")
    sign(browser)
    assert "Waiting in the pool" in says(browser, "progress", "Waiting")
    assert browser.switch_to.active_element.text == "Sent"
    node.mine()
    assert "1 of 6 confirmations" in says(browser, "progress", "1 of 6")
    node.mine(5)
    assert "Confirmed" in says(browser, "progress", "Confirmed")
    WebDriverWait(browser, SECONDS).until(
        lambda _: part(browser, "keys").text.find("996.99999848") >= 0
    )


def test_a_second_click_sends_nothing_more(browser: Chrome, url: str, node: WebTestNode):
    before = RestApi(url).get(f"accounts/{node.address(make_key(6))}")["next_sequence"]
    open_wallet_page(browser, url)
    import_key(browser, "hasty", pem_of(make_key(6)))
    review(browser, node.address(make_key(902)), "1")
    browser.execute_script(
        "const b = document.getElementById('sign'); for (let i = 0; i < 5; i++) b.click();"
    )
    shown(browser, "step-status")
    account = RestApi(url).get(f"accounts/{node.address(make_key(6))}")
    assert account["next_sequence"] == before + 1


def test_mistakes_are_named_while_typing_and_stop_the_review(
    browser: Chrome, url: str, node: WebTestNode
):
    open_wallet_page(browser, url)
    import_key(browser, "mistaken", pem_of(RICH))
    sound = {"recipient": node.address(make_key(903)), "amount": "1", "note": ""}
    for name, text, words in (
        ("recipient", "rcairn1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq", "checksum"),
        ("recipient", "someone", "not an address"),
        ("amount", "1,5", "digits and a dot"),
        ("amount", "1.123456789", "At most 8"),
        ("amount", "99999999", "can spend"),
        ("note", "x" * 1_025, "at most 1024"),
    ):
        for each, value in (sound | {name: text}).items():
            fill(browser, each, value)
        assert words in says(browser, f"{name}-feedback", words)
        assert part(browser, name).get_attribute("aria-invalid") == "true"
        click(browser, "review")
        assert browser.switch_to.active_element.get_attribute("id") == name
        assert not part(browser, "step-review").is_displayed()


def test_address_of_another_network_is_told_apart(browser: Chrome, url: str):
    open_wallet_page(browser, url)
    import_key(browser, "abroad", pem_of(RICH))
    foreign = browser.execute_async_script(
        """
        const done = arguments[0];
        const { encodeAddress } = await import("/static/js/bytes.js");
        done(encodeAddress("other", new Uint8Array(20)));
        """
    )
    fill(browser, "recipient", foreign)
    assert "another network" in says(browser, "recipient-feedback", "network")


def test_own_fee_is_held_to_the_least_and_paid_exactly(
    browser: Chrome, url: str, node: WebTestNode
):
    open_wallet_page(browser, url)
    import_key(browser, "generous", pem_of(make_key(7)))
    Select(part(browser, "fee-choice")).select_by_value("own")
    fill(browser, "fee", "0.00000001")
    assert "no less than" in says(browser, "fee-feedback", "no less")
    fill(browser, "fee", "a little")
    fill(browser, "recipient", node.address(make_key(904)))
    fill(browser, "amount", "0.1")
    click(browser, "review")
    assert browser.switch_to.active_element.get_attribute("id") == "fee"
    assert part(browser, "amount").get_attribute("aria-invalid") == "false"
    fill(browser, "fee", "0.12345678")
    review(browser, node.address(make_key(904)), "0.1")
    found = RestApi(url).get(f"transactions/{sign(browser)}")
    assert (found["fee"], found["amount"]) == ("12345678", "10000000")


@pytest.mark.refusals
def test_the_nodes_refusal_is_told_in_words_and_the_review_stays(
    browser: Chrome, url: str, node: WebTestNode
):
    key = make_key(8)
    open_wallet_page(browser, url)
    import_key(browser, "raced", pem_of(key))
    review(browser, node.address(make_key(906)), "1")
    node.submit([node.transaction(key, make_key(907))])  # takes the reviewed one's place
    node.mine()
    click(browser, "sign")
    assert "came first" in says(browser, "review-told", "first")
    click(browser, "change")
    click(browser, "review")
    shown(browser, "step-review")
    sign(browser)
    node.mine()
    says(browser, "progress", "In block")


def test_a_first_transaction_needs_no_mouse(browser: Chrome, url: str, node: WebTestNode):
    open_wallet_page(browser, url)
    import_key(browser, "zz-typed", pem_of(make_key(9)))
    choose_key(browser, "zz-typed")
    part(browser, "key").send_keys(Keys.TAB)

    def press(*keys: str) -> None:
        ActionChains(browser).send_keys(*keys).perform()

    press(node.address(make_key(908)), Keys.TAB, "2.5", Keys.TAB, "by keys", Keys.TAB, Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("id") == "review"
    press(Keys.ENTER)
    shown(browser, "step-review")
    assert browser.switch_to.active_element.get_attribute("id") == "review-heading"
    for _ in range(4):
        press(Keys.TAB)
        if browser.switch_to.active_element.get_attribute("id") == "sign":
            break
    press(Keys.SPACE)
    shown(browser, "step-status")
    assert browser.switch_to.active_element.get_attribute("id") == "status-heading"
    node.mine()
    says(browser, "progress", "In block")

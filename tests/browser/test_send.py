"""The send form: keys made or pasted in the page, signatures that consensus accepts."""

import re

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from cairn.consensus.crypto import HALF_ORDER, address_of, encode_address, verify_signature
from cairn.consensus.transaction import UnsignedTransaction
from tests.support.builders import COIN, make_key
from tests.support.rest import RestApi
from tests.support.web import WebTestNode

SECONDS = 20
RICH = make_key(4)


def field(browser: Chrome, name: str) -> WebElement:
    return browser.find_element(By.NAME, name)


def fill(browser: Chrome, name: str, text: str) -> None:
    element = field(browser, name)
    element.clear()
    element.send_keys(text)


def result(browser: Chrome, *words: str) -> str:
    """The form's answer once it holds one of these words."""
    box = browser.find_element(By.ID, "result")
    WebDriverWait(browser, SECONDS).until(lambda _: any(word in box.text for word in words))
    return box.text


def pem_of(number: int, private_format: PrivateFormat = PrivateFormat.PKCS8) -> str:
    key = ec.derive_private_key(number, ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, private_format, NoEncryption()).decode()


def send(browser: Chrome, url: str, key: str, recipient: str, amount: str, note: str) -> str:
    """Fills the form and sends; the id that the page names."""
    browser.get(f"{url}/send")
    fill(browser, "key", key)
    fill(browser, "recipient", recipient)
    fill(browser, "amount", amount)
    fill(browser, "note", note)
    button = field(browser, "submit")
    WebDriverWait(browser, SECONDS).until(lambda _: button.is_enabled())
    button.click()
    found = re.search(r"[0-9a-f]{64}", result(browser, "Accepted", "In block"))
    assert found
    return found[0]


@pytest.mark.parametrize("form", ["hex", "pkcs8", "sec1"])
def test_pasted_key_signs_what_consensus_accepts(
    browser: Chrome, url: str, node: WebTestNode, form: str
):
    keys = {
        "hex": f"{RICH.private_key:064x}",
        "pkcs8": pem_of(RICH.private_key),
        "sec1": pem_of(RICH.private_key, PrivateFormat.TraditionalOpenSSL),
    }
    note = f"für {form} ✓"
    recipient = node.address(make_key(900))
    transaction_id = send(browser, url, keys[form], recipient, "1.25", note)
    found = RestApi(url).get(f"transactions/{transaction_id}")
    assert found["sender"] == node.address(RICH)
    assert found["amount"] == str(125 * COIN // 100)
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
    signature = bytes.fromhex(found["signature"])
    message = unsigned.signing_message(node.network_id)
    assert verify_signature(unsigned.public_key, message, signature)
    assert int.from_bytes(signature[32:], "big") <= HALF_ORDER
    node.mine()
    assert "In block" in result(browser, "In block")


def test_key_made_in_the_page_has_its_address_and_spends(
    browser: Chrome, url: str, node: WebTestNode
):
    browser.get(f"{url}/send")
    browser.find_element(By.ID, "create-key").click()
    sender = browser.find_element(By.ID, "sender")
    WebDriverWait(browser, SECONDS).until(lambda _: sender.text)
    pem = field(browser, "key").get_property("value")
    public = load_pem_private_key(pem.encode(), None).public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    address = encode_address(node.params.address_prefix, address_of(point))
    assert sender.text == address
    funding = send(browser, url, f"{RICH.private_key:064x}", address, "2", "for the new key")
    node.mine()
    assert RestApi(url).get(f"transactions/{funding}")["status"] == "mined"
    spent = send(browser, url, pem, node.address(make_key(901)), "0.5", "")
    node.mine()
    assert "In block" in result(browser, "In block")
    assert RestApi(url).get(f"transactions/{spent}")["sender"] == address


def test_many_signatures_have_low_s(browser: Chrome, url: str, node: WebTestNode):
    """Half of all signatures WebCrypto makes have a high s: forty leave no room for luck."""
    browser.get(f"{url}/send")
    signed = browser.execute_async_script(
        """
        const [text, done] = arguments;
        const keys = await import("/static/js/keys.js");
        const bytes = await import("/static/js/bytes.js");
        const key = await keys.importKey(text);
        const made = [];
        for (let i = 0; i < 40; i++) {
          const signature = await keys.sign(key, Uint8Array.of(i));
          made.push(bytes.toHex(signature));
        }
        done([bytes.toHex(key.publicKey), made]);
        """,
        pem_of(RICH.private_key),
    )
    public_key, signatures = bytes.fromhex(signed[0]), signed[1]
    assert public_key == RICH.public_key
    for i, signature in enumerate(signatures):
        assert verify_signature(public_key, bytes([i]), bytes.fromhex(signature))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("key", "not a key", "paste a PEM private key"),
        ("key", "0" * 64, "not a P-256 private key"),
        ("key", "-----BEGIN ENCRYPTED PRIVATE KEY-----", "encrypted"),
        ("recipient", "rcairn1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq", "checksum"),
        ("amount", "1,5", "amount"),
        ("amount", "1.123456789", "amount"),
        ("note", "x" * 1_025, "at most 1024"),
    ],
)
def test_mistakes_are_named_before_anything_is_sent(
    browser: Chrome, url: str, node: WebTestNode, name: str, text: str, words: str
):
    before = RestApi(url).get("status")["pool"]
    browser.get(f"{url}/send")
    sound = {"key": f"{RICH.private_key:064x}", "recipient": node.address(make_key(902))}
    for each, value in ({**sound, "amount": "1"} | {name: text}).items():
        fill(browser, each, value)
    field(browser, "submit").click()
    assert words in result(browser, words)
    assert RestApi(url).get("status")["pool"] == before

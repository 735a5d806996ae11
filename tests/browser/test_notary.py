"""Notarizing a file in the page, and verifying what the page or the command made."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from cairn.cli.app import cairn
from cairn.wallet import save_key
from tests.browser.wallet_page import (
    choose_key,
    click,
    downloaded,
    import_key,
    open_page,
    open_wallet_page,
    part,
    says,
    shown,
)
from tests.support.builders import genesis_text, make_key
from tests.support.rest import RestApi
from tests.support.web import WebTestNode

WORDS = b"We agree to everything above.\n"
CHECKS = 6


@pytest.fixture(scope="module")
def genesis(node: WebTestNode, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("network") / "genesis.toml"
    file.write_text(genesis_text(node.params), encoding="utf-8")
    return file


def command(*words: str) -> dict[str, Any]:
    done = CliRunner().invoke(cairn, [*words, "--json"])
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def notarized(
    node: WebTestNode, url: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A file, and the proof that the `cairn` command made for it."""
    folder = tmp_path_factory.mktemp("notarized")
    file, proof = folder / "contract.txt", folder / "contract.proof.json"
    file.write_bytes(WORDS)
    save_key(folder / "key.pem", make_key(2))
    sent = command("notarize", str(file), "--from", str(folder / "key.pem"), "--yes", "--node", url)
    node.mine(3)
    command("proof", sent["id"], "-o", str(proof), "--node", url)
    return file, proof


def verify_in_page(browser: Chrome, url: str, file: Path, proof: Path) -> list[str]:
    """Gives both to the page; the classes of its checks once it has come to an end."""
    open_page(browser, url, "/verify", "verifying")
    part(browser, "file").send_keys(str(file))
    part(browser, "proof").send_keys(str(proof))
    says(browser, "verify-told", "Proven", "Not proven", "no proof file")
    steps = browser.find_elements(By.CSS_SELECTOR, "#checks > li")
    return [str(step.get_attribute("class")).removeprefix("step step-") for step in steps]


def test_file_notarized_in_the_page_verifies_by_the_command_and_in_the_page(
    browser: Chrome, url: str, node: WebTestNode, downloads: Path, genesis: Path, tmp_path: Path
):
    file = tmp_path / "plan.bin"
    file.write_bytes(bytes(range(256)) * 5_000)
    open_wallet_page(browser, url)
    address = import_key(browser, "notary", f"{make_key(3).private_key:064x}")
    open_page(browser, url, "/notarize", "notarizing")
    part(browser, "file").send_keys(str(file))
    digest = says(browser, "digest", "SHA-256 ").removeprefix("SHA-256 ")
    choose_key(browser, "notary")
    click(browser, "review")
    shown(browser, "step-review")
    assert digest in part(browser, "review-facts").text
    assert browser.switch_to.active_element.get_attribute("id") == "review-heading"
    click(browser, "sign")
    says(browser, "progress", "Waiting in the pool")
    assert not part(browser, "proof").is_displayed()
    node.mine()
    shown(browser, "proof")
    click(browser, "save-proof")
    proof = downloaded(downloads, "plan.bin.cairn-proof.json")
    verified = command("verify", str(file), str(proof), "--genesis", str(genesis))
    assert verified["verified"] is True
    assert (verified["sha256"], verified["sender"]) == (digest, address)
    assert verify_in_page(browser, url, file, proof) == ["done"] * CHECKS


def test_proof_of_the_command_is_verified_check_by_check(
    browser: Chrome, url: str, node: WebTestNode, notarized: tuple[Path, Path]
):
    assert verify_in_page(browser, url, *notarized) == ["done"] * CHECKS
    found = part(browser, "found").text
    block = RestApi(url).get(f"blocks/{json.loads(notarized[1].read_text())['height']}")
    assert node.address(make_key(2)) in found
    assert block["hash"] in found
    assert "in 3 blocks" in found


def test_another_file_is_not_proven(
    browser: Chrome, url: str, notarized: tuple[Path, Path], tmp_path: Path
):
    changed = tmp_path / "contract.txt"
    changed.write_bytes(WORDS.replace(b"everything", b"nothing at"))
    steps = verify_in_page(browser, url, changed, notarized[1])
    assert steps == ["done", "bad"] + ["later"] * 4
    assert "this one was changed" in part(browser, "checks").text
    assert not part(browser, "found").is_displayed()


def _flip(text: str, at: int) -> str:
    return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]


def _other_header(proof: dict[str, Any]) -> None:
    middle = len(proof["headers"]) // 2
    letter = "A" if proof["headers"][middle] != "A" else "B"
    proof["headers"] = proof["headers"][:middle] + letter + proof["headers"][middle + 1 :]


TAMPERINGS: dict[str, tuple[Callable[[dict[str, Any]], object], int]] = {
    "network": (lambda proof: proof.update(network="mainnet"), 0),
    "signature": (
        lambda proof: proof.update(
            transaction=_flip(proof["transaction"], len(proof["transaction"]) - 5)
        ),
        2,
    ),
    "amount": (lambda proof: proof.update(transaction=_flip(proof["transaction"], 139)), 2),
    "path": (lambda proof: proof.update(path=[_flip(each, 3) for each in proof["path"]]), 3),
    "height": (lambda proof: proof.update(height=proof["height"] + 1), 3),
    "leaf": (lambda proof: proof.update(leaf_index=0), 3),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERINGS)
def test_tampered_proof_fails_where_it_was_tampered_with(
    browser: Chrome, url: str, notarized: tuple[Path, Path], tmp_path: Path, what: str
):
    tamper, fails_at = TAMPERINGS[what]
    proof = json.loads(notarized[1].read_text())
    tamper(proof)
    tampered = tmp_path / "tampered.json"
    tampered.write_text(json.dumps(proof))
    steps = verify_in_page(browser, url, notarized[0], tampered)
    assert steps.index("bad") == fails_at
    assert "done" not in steps[fails_at:]


def test_headers_without_their_work_prove_nothing(
    browser: Chrome, url: str, notarized: tuple[Path, Path], tmp_path: Path
):
    proof = json.loads(notarized[1].read_text())
    _other_header(proof)
    tampered = tmp_path / "tampered.json"
    tampered.write_text(json.dumps(proof))
    steps = verify_in_page(browser, url, notarized[0], tampered)
    assert "bad" in steps[3:5]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": "cairn-proof", "version": 2}'])
def test_what_is_no_proof_is_named_so(
    browser: Chrome, url: str, notarized: tuple[Path, Path], tmp_path: Path, text: str
):
    other = tmp_path / "other.json"
    other.write_text(text or " ")
    steps = verify_in_page(browser, url, notarized[0], other)
    assert steps == ["later"] * CHECKS

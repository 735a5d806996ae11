"""The `cairn` command as people and scripts run it: real processes against a real node.

One node mines as soon as a transaction waits. Every command is run at least once; what it
prints, and the exit code it ends with, are what a script relies on.
"""

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cairn.wallet import AccountKey, save_key
from tests.support.network import COIN, FUNDED_UNITS, LocalNetwork, LocalNode
from tests.support.wallets import Account

EAGER_MINER = {"min_transactions": 1, "max_wait_seconds": 0, "heartbeat_seconds": 0}
EASY = 0x2000FFFF
"""A block in some 250 hashes: at once."""
NO_ADDRESS = "http://127.0.0.1:1"


@dataclass
class Shell:
    """Runs `cairn` with a wallet folder and a node of its own."""

    network: LocalNetwork
    node: LocalNode
    folder: Path

    def run(
        self, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """One command, its output as text."""
        return subprocess.run(
            [str(_cairn()), *arguments],
            capture_output=True,
            text=True,
            timeout=90,
            env={**self.environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
            check=False,
        )

    def json(self, *arguments: str, expected: int = 0) -> Any:
        """The document a command prints with --json."""
        done = self.run(*arguments, "--json")
        assert done.returncode == expected, (done.stdout, done.stderr)
        assert done.stderr == ""
        return json.loads(done.stdout)

    def environment(self) -> dict[str, str]:
        """Ours, with the node and the wallets of the test."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("CAIRN_")}
        return {
            **kept,
            "CAIRN_URL": self.node.spec.url,
            "CAIRN_WALLET_DIR": str(self.folder / "wallets"),
        }

    def on_terminal(self, answers: dict[str, str], *arguments: str) -> tuple[int, str]:
        """Exit code and screen of a command at a terminal that answers its questions."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [str(_cairn()), *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**self.environment(), "TERM": "xterm"},
            cwd=self.folder,
            start_new_session=True,
        )
        os.close(theirs)
        screen, left, deadline = "", dict(answers), time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    piece = os.read(ours, 65_536)
                except OSError:  # the other end is closed
                    break
                screen += piece.decode(errors="replace")
            for question in [question for question in left if question in screen]:
                os.write(ours, left.pop(question).encode() + b"\n")
        os.close(ours)
        return process.wait(timeout=30), screen


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("command-line")
    with LocalNetwork(folder, initial_target=EASY, target_limit=EASY) as network:
        (node,) = network.add_nodes(1, overrides={"miner": EAGER_MINER})
        for number in range(4):
            save_key(folder / "wallets" / f"user-{number}.pem", _key_of(Account(number)))
        yield Shell(network, node, folder)


def _cairn() -> Path:
    return Path(sys.executable).with_name("cairn")


def _key_of(account: Account) -> AccountKey:
    return AccountKey(account._key.private_numbers().private_value)


# -- reading ---------------------------------------------------------------------------------


def test_status_shows_the_node(shell: Shell) -> None:
    document = shell.json("status")
    assert document["network_id"] == shell.network.name.id.hex()
    done = shell.run("status")
    assert done.returncode == 0
    assert document["network_id"] in done.stdout
    assert "synced" in done.stdout


def test_a_node_that_is_away_ends_every_command_with_3(shell: Shell) -> None:
    commands = (
        ["status"], ["chain"], ["block", "0"], ["transaction", "0" * 64], ["pool"],
        ["pool", "--check"], ["nodes"], ["balance", "user-0"], ["proof", "0" * 64],
        ["send", "--from", "user-0", "--to", "user-1", "--amount", "1", "--yes"],
    )  # fmt: skip
    for command in commands:
        done = shell.run(*command, "--node", NO_ADDRESS)
        assert done.returncode == 3, command
        assert "no node answers" in done.stderr
        assert "Fix: start one" in done.stderr
        assert "Traceback" not in done.stderr
    error = shell.json("status", "--node", NO_ADDRESS, expected=3)["error"]
    assert error["code"] == "unreachable"


def test_chain_block_and_transaction_show_what_is_mined(shell: Shell) -> None:
    sent = shell.json(
        "send", "--from", "user-0", "--to", "user-1", "--amount", "0.5", "--note", "grüße",
        "--yes", "--wait",
    )  # fmt: skip
    height = sent["block"]["height"]
    found = shell.json("block", str(height))
    assert found["hash"] == sent["block"]["hash"]
    assert sent["id"] in [item["id"] for item in found["transactions"]]
    assert shell.json("block", sent["block"]["hash"])["height"] == height
    one = shell.json("transaction", sent["id"])
    assert one["block"]["height"] == height
    assert bytes.fromhex(one["data"]).decode() == "grüße"
    people = shell.run("transaction", sent["id"])
    assert "grüße" in people.stdout
    assert "0.5 TCRN" in people.stdout
    assert sent["id"][:8] in shell.run("block", str(height)).stdout
    drawn = shell.run("chain", "--limit", "2").stdout
    upper = shell.json("chain", "--limit", "2")["items"][0]
    assert drawn.count(upper["previous_hash"][:8]) == 2  # in its own box, and as its link
    first = shell.run("chain", "--before", "1").stdout
    assert "none: genesis" in first


def test_what_is_not_there_ends_with_4(shell: Shell) -> None:
    for command in (["block", "1000000"], ["transaction", "ab" * 32], ["proof", "ab" * 32]):
        done = shell.run(*command)
        assert done.returncode == 4, command
        assert "not-found" in done.stderr
    assert shell.run("balance", "nobody").returncode == 4
    assert shell.run("verify", "absent.txt", "absent.json", "--network", "regtest").returncode == 4


def test_what_is_malformed_is_refused(shell: Shell) -> None:
    assert shell.run("transaction", "../status").returncode == 2
    assert shell.run("proof", "12ab").returncode == 2
    assert shell.run("block", "zz").returncode == 2
    assert shell.run("block", "9" * 40).returncode == 1
    assert shell.run("chain", "--limit", "0").returncode == 2
    assert shell.run("status", "--node", "ftp://x").returncode == 2
    assert shell.run("no-such-command").returncode == 2


# -- sending ---------------------------------------------------------------------------------


def test_send_moves_the_exact_amount_and_waits_for_confirmations(shell: Shell) -> None:
    made = shell.json("wallet", "new", "fresh")
    assert made["address"].startswith("tcairn1")
    before = shell.json("balance", "user-2")
    sent = shell.json(
        "send", "--from", "user-2", "--to", "fresh", "--amount", "1.00000001", "--yes", "--wait"
    )
    assert sent["status"] == "mined"
    assert sent["confirmations"] >= 1
    assert shell.json("balance", "fresh")["balance"] == "100000001"
    assert shell.json("balance", made["address"])["balance"] == "100000001"
    after = shell.json("balance", "user-2")
    fee = int(sent["fee"])
    assert int(before["balance"]) - int(after["balance"]) == 100_000_001 + fee
    assert fee == 152  # the least that the node takes for a transaction without data


def test_send_continues_the_sequence_of_what_waits(shell: Shell) -> None:
    first = shell.json("send", "--from", "user-3", "--to", "user-0", "--amount", "1", "--yes")
    second = shell.json("send", "--from", "user-3", "--to", "user-0", "--amount", "1", "--yes")
    assert second["sequence"] == first["sequence"] + 1


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["--amount", "2000000"], 1, "balance-insufficient"),
        (["--amount", "1", "--fee", "0.000001"], 1, "pool-fee-too-low"),
        (["--amount", "1e3"], 1, "is no amount"),
        (["--amount", "-1"], 1, "is no amount"),
        (["--amount", "0.123456789"], 1, "9 decimals"),
        (["--amount", "NaN"], 1, "is no amount"),
        (["--amount", "0"], 2, "nothing to send"),
        (["--amount", "1", "--data", "xyz"], 2, "hexadecimal"),
        (["--amount", "1", "--data", "00", "--note", "x"], 2, "exclude"),
        (["--amount", "1", "--note", "x" * 2_000], 1, "transaction-data-too-large"),
        (["--amount", "1", "--network", "regtest"], 1, "network-mismatch"),
        (["--amount", "1", "--from", "nobody"], 4, "cairn wallet list"),
    ],
)
def test_send_refuses_before_anything_is_sent(
    shell: Shell, arguments: list[str], code: int, named: str
) -> None:
    done = shell.run("send", "--from", "user-1", "--to", "user-0", "--yes", *arguments)
    assert done.returncode == code
    assert named in done.stderr
    assert "Sent" not in done.stdout
    assert "Traceback" not in done.stderr


def test_send_refuses_damaged_and_foreign_addresses(shell: Shell) -> None:
    good = shell.network.name.address(Account(1).address)
    damaged = good[:-1] + ("q" if good[-1] != "q" else "p")
    for address, named in ((damaged, "address-invalid"), ("rcairn1" + "q" * 38, "address-")):
        done = shell.run("send", "--from", "user-0", "--to", address, "--amount", "1", "--yes")
        assert done.returncode == 1
        assert named in done.stderr


def test_send_asks_at_a_terminal_and_never_elsewhere(shell: Shell) -> None:
    command = ["send", "--from", "user-0", "--to", "user-1", "--amount", "0.25"]
    done = shell.run(*command)
    assert done.returncode == 2
    assert "--yes" in done.stderr
    code, screen = shell.on_terminal({"Send it?": "n"}, *command)
    assert code == 1
    assert "nothing was sent" in screen
    code, screen = shell.on_terminal({"Send it?": "y"}, *command, "--wait")
    assert code == 0
    assert "0.25 TCRN from user-0" in screen
    assert "Mined in block" in screen


def test_encrypted_wallets_ask_for_their_passphrase(shell: Shell, tmp_path: Path) -> None:
    questions = {"New passphrase": "correct horse", "Once more": "correct horse"}
    code, screen = shell.on_terminal(questions, "wallet", "new", "vault", "--encrypt")
    assert code == 0, screen
    assert "correct horse" not in screen
    listed = {item["name"]: item for item in shell.json("wallet", "list")["items"]}
    assert listed["vault"]["encrypted"] is True
    assert listed["vault"]["address"].startswith("tcairn1")
    funded = ["send", "--from", "user-0", "--to", "vault", "--amount", "3", "--yes", "--wait"]
    assert shell.run(*funded).returncode == 0
    spend = ["send", "--from", "vault", "--to", "user-0", "--amount", "1", "--yes"]
    done = shell.run(*spend)
    assert done.returncode == 2
    assert "--passphrase-file" in done.stderr
    code, screen = shell.on_terminal({"Passphrase of vault": "wrong"}, *spend)
    assert code == 1
    assert "does not open with this passphrase" in screen
    code, screen = shell.on_terminal({"Passphrase of vault": "correct horse"}, *spend)
    assert code == 0, screen
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse\n")
    assert shell.run(*spend, "--passphrase-file", str(secret)).returncode == 0


def test_balance_without_a_name_shows_all_wallets(shell: Shell) -> None:
    document = shell.json("balance")
    names = [item["wallet"] for item in document["items"]]
    assert {"user-0", "user-1", "user-2", "user-3"} <= set(names)
    assert int(document["total"]) == sum(int(item["balance"]) for item in document["items"])
    assert "user-2" in shell.run("balance").stdout


# -- notarizing ------------------------------------------------------------------------------


def test_a_notarized_file_verifies_without_the_node(shell: Shell, tmp_path: Path) -> None:
    contract = tmp_path / "contract.txt"
    contract.write_text("We agree.\n")
    done = shell.run("notarize", str(contract), "--from", "user-1", "--yes", "--wait")
    assert done.returncode == 0, done.stderr
    proof = tmp_path / "contract.txt.cairn-proof.json"
    offline = {"CAIRN_URL": NO_ADDRESS, "CAIRN_GENESIS": str(shell.network.genesis_file)}
    done = shell.run("verify", str(contract), str(proof), environment=offline)
    assert done.returncode == 0, done.stderr
    assert shell.network.name.address(Account(1).address) in done.stdout
    copy = tmp_path / "copy.json"
    transaction_id = json.loads(
        shell.run("verify", str(contract), str(proof), "--json", environment=offline).stdout
    )["transaction_id"]
    written = shell.json(
        "proof", transaction_id, "-o", str(copy), "--genesis", str(shell.network.genesis_file)
    )
    assert written["confirmations"] >= 1
    assert shell.run("verify", str(contract), str(copy), environment=offline).returncode == 0
    contract.write_text("We agree!\n")
    done = shell.run("verify", str(contract), str(proof), environment=offline)
    assert done.returncode == 1
    assert "not about this file" in done.stderr


def test_notarize_never_overwrites_a_proof_and_pays_nothing_then(
    shell: Shell, tmp_path: Path
) -> None:
    contract = tmp_path / "contract.txt"
    contract.write_text("x")
    (tmp_path / "contract.txt.cairn-proof.json").write_text("precious")
    before = shell.json("balance", "user-1")
    done = shell.run("notarize", str(contract), "--from", "user-1", "--yes", "--wait")
    assert done.returncode == 1
    assert "--force" in done.stderr
    assert shell.json("balance", "user-1") == before


# -- the operator's --------------------------------------------------------------------------


def test_mine_needs_the_operators_token(shell: Shell, tmp_path: Path) -> None:
    wrong = tmp_path / "token"
    wrong.write_text("not-the-token\n")
    done = shell.run("mine", "1", "--token-file", str(wrong))
    assert done.returncode == 1
    assert "unauthorized" in done.stderr
    before = shell.node.height()
    token = str(shell.node.spec.token_file)
    mined = shell.json("mine", "2", "--wait", "--token-file", token)
    assert mined["height"] >= before + 2


def test_nodes_are_listed_and_joined(shell: Shell) -> None:
    assert shell.json("nodes")["items"] == []
    assert "nodes add" in shell.run("nodes").stdout
    token = str(shell.node.spec.token_file)
    done = shell.run("nodes", "add", NO_ADDRESS, "--token-file", token)
    assert done.returncode in (1, 3)
    assert "Traceback" not in done.stderr


def test_pool_lists_and_checks_what_waits(shell: Shell) -> None:
    assert set(shell.json("pool")) == {"items", "next"}
    checked = shell.json("pool", "--check")
    assert checked["problems"] == []
    assert shell.run("pool").returncode == 0
    assert shell.run("pool", "--check").returncode == 0


def test_doctor_looks_at_a_running_node_and_repairs_a_stopped_one(shell: Shell) -> None:
    config = ["--config", str(shell.node.spec.config_file)]
    report = shell.json("doctor", *config)
    assert report["clean"] is True
    error = shell.json("doctor", "--repair", *config, expected=1)["error"]
    assert error["code"] == "listener-running"
    shell.node.stop()
    try:
        assert shell.json("doctor", "--repair", *config)["clean"] is True
    finally:
        shell.node.start()
        shell.node.wait_ready()
    sent = shell.json(
        "send", "--from", "user-0", "--to", "user-1", "--amount", "1", "--yes", "--wait"
    )
    assert sent["status"] == "mined"


def test_nothing_was_made_or_lost(shell: Shell) -> None:
    """After all of the above, every coin is where the doctor says it is."""
    status = shell.json("status")
    rewards = status["height"] * 50 * COIN
    assert int(status["supply"]) == len(shell.network.accounts) * FUNDED_UNITS + rewards
    assert shell.json("doctor", "--config", str(shell.node.spec.config_file))["clean"] is True

"""`cairn wallet`: keys on this machine, with no node to be reached."""

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cairn.cli.app import cairn
from cairn.cli.wallets import find_wallet, open_wallet
from cairn.consensus.crypto import encode_address
from cairn.wallet import load_key, save_key
from tests.support.builders import make_key

NOWHERE = ["--node", "http://127.0.0.1:1"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CAIRN_GENESIS", raising=False)
    monkeypatch.setenv("CAIRN_WALLET_DIR", str(tmp_path / "wallets"))
    return tmp_path / "wallets"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cairn, ["wallet", *arguments])


def test_new_makes_a_key_that_only_its_owner_reads(folder: Path) -> None:
    made = run("new", "alice", "--network", "regtest", "--json")
    assert made.exit_code == 0, made.output
    document = json.loads(made.stdout)
    path = folder / "alice.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = load_key(path)
    assert document["address"] == encode_address("rcairn", key.address)
    assert document["public_key"] == key.public_key.hex()
    assert "private" not in made.stdout
    assert str(key.private_key) not in made.stdout


def test_new_never_overwrites(folder: Path) -> None:
    run("new", "alice", "--network", "regtest")
    before = (folder / "alice.pem").read_bytes()
    again = run("new", "alice", "--network", "regtest")
    assert again.exit_code == 1
    assert "never overwritten" in again.stderr
    assert (folder / "alice.pem").read_bytes() == before


def test_a_name_cannot_leave_the_folder(folder: Path) -> None:
    for name in ("..", "a b", "", ".hidden", "x" * 65, "naïve", "-x"):
        made = run("new", "--network", "regtest", "--", name)
        assert made.exit_code == 2, name
    assert not folder.exists()


def test_a_path_is_taken_as_it_is(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere" / "key.pem"
    assert run("new", str(path), "--network", "regtest").exit_code == 0
    load_key(path)
    assert run("show", str(path), "--network", "regtest").exit_code == 0


def test_without_a_network_no_bytes_pose_as_an_address_and_the_ways_out_are_named(
    folder: Path,
) -> None:
    made = run("new", "alice", *NOWHERE)
    assert made.exit_code == 0
    key = load_key(folder / "alice.pem")
    for done in (made, run("show", "alice", *NOWHERE), run("list", *NOWHERE)):
        assert done.exit_code == 0
        assert "depends on the network" in done.stdout
        assert key.address.hex() not in done.stdout
        for way_out in ("--node", "--genesis", "--network regtest", "--prefix", NOWHERE[1]):
            assert way_out in done.stderr
    assert "cairn wallet show alice" in made.stderr
    document = json.loads(run("show", "alice", *NOWHERE, "--json").stdout)
    assert document["address"] is None
    assert document["address_bytes"] == key.address.hex()


def test_a_prefix_is_enough_to_write_an_address(folder: Path) -> None:
    made = run("new", "alice", "--prefix", "dcairn", *NOWHERE)
    address = encode_address("dcairn", load_key(folder / "alice.pem").address)
    assert address in made.stdout
    assert made.stderr == ""
    for command in (["list"], ["show", "alice"]):
        assert address in run(*command, "--prefix", "dcairn", *NOWHERE).stdout


@pytest.mark.parametrize("prefix", ["A", "a1", "x" * 17, "é", "a b", "\x1b"])
def test_a_prefix_that_no_network_may_have_is_refused(folder: Path, prefix: str) -> None:
    made = run("new", "alice", "--prefix", prefix, *NOWHERE)
    assert made.exit_code == 2
    assert "is no address prefix" in made.stderr
    assert not folder.exists()


def test_encrypted_wallets_show_their_address_and_open_with_the_passphrase_alone(
    folder: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse\nsecond line\n")
    made = run("new", "vault", "--passphrase-file", str(secret), "--network", "regtest", "--json")
    assert made.exit_code == 0, made.output
    document = json.loads(made.stdout)
    assert document["encrypted"] is True
    assert b"ENCRYPTED" in (folder / "vault.pem").read_bytes()
    listed = json.loads(run("list", "--network", "regtest", "--json").stdout)["items"]
    assert [item["address"] for item in listed] == [document["address"]]
    wallet = find_wallet("vault", folder)
    assert open_wallet(wallet, str(secret)).public_key.hex() == document["public_key"]
    secret.write_text("wrong\n")
    shown = run("show", "vault", "--passphrase-file", str(secret), "--network", "regtest")
    assert shown.exit_code == 1
    assert "does not open" in shown.stderr


def test_a_public_key_of_another_wallet_is_noticed(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse")
    for name in ("mine", "theirs"):
        run("new", name, "--passphrase-file", str(secret), "--network", "regtest")
    (folder / "mine.pub").write_bytes((folder / "theirs.pub").read_bytes())
    shown = run("show", "mine", "--passphrase-file", str(secret), "--network", "regtest")
    assert shown.exit_code == 1
    assert "not the public key" in shown.stderr


def test_a_lost_public_key_asks_for_the_passphrase(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse")
    run("new", "vault", "--passphrase-file", str(secret), "--network", "regtest")
    (folder / "vault.pub").unlink()
    shown = run("show", "vault", "--network", "regtest")
    assert shown.exit_code == 2
    assert "--passphrase-file" in shown.stderr
    arguments = ["--passphrase-file", str(secret), "--network", "regtest", "--json"]
    assert json.loads(run("show", "vault", *arguments).stdout)["address"].startswith("rcairn1")


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 5_000, b"\xff\xff"])
def test_a_passphrase_file_must_hold_a_passphrase(
    folder: Path, tmp_path: Path, content: bytes
) -> None:
    secret = tmp_path / "passphrase"
    secret.write_bytes(content)
    made = run("new", "vault", "--passphrase-file", str(secret), "--network", "regtest")
    assert made.exit_code == 1
    assert "passphrase file" in made.stderr
    assert not (folder / "vault.pem").exists()


def test_list_tells_of_files_it_cannot_use(folder: Path) -> None:
    save_key(folder / "good.pem", make_key(1))
    save_key(folder / "open.pem", make_key(2))
    (folder / "open.pem").chmod(0o644)
    (folder / "broken.pem").write_text("not a key")
    (folder / "broken.pem").chmod(0o600)
    (folder / "folder.pem").mkdir()
    listed = run("list", "--network", "regtest", "--json")
    assert listed.exit_code == 0
    document = json.loads(listed.stdout)
    assert [item["name"] for item in document["items"]] == ["good"]
    assert len(document["problems"]) == 3
    assert any("chmod 600" in problem["fix"] for problem in document["problems"])


def test_list_of_nothing_says_how_to_begin(folder: Path) -> None:
    assert "cairn wallet new" in run("list", *NOWHERE).stdout
    assert json.loads(run("list", *NOWHERE, "--json").stdout)["items"] == []


def test_an_unknown_wallet_ends_with_4(folder: Path) -> None:
    shown = run("show", "nobody", "--network", "regtest", "--json")
    assert shown.exit_code == 4
    assert json.loads(shown.stdout)["error"]["code"] == "not-found"


def test_a_backup_goes_out_and_comes_in_under_its_passphrase(folder: Path, tmp_path: Path) -> None:
    run("new", "alice", "--network", "regtest")
    key = load_key(folder / "alice.pem")
    words = tmp_path / "words"
    words.write_text("correct horse\n", encoding="utf-8")
    backup = tmp_path / "out.pem"
    secret = ["--passphrase-file", str(words)]
    made = run("export", "alice", "-o", str(backup), *secret, "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["encrypted"] is True
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert "ENCRYPTED" in backup.read_text(encoding="ascii")
    assert load_key(backup, "correct horse").public_key == key.public_key

    backup.chmod(0o644)  # as a browser leaves what it downloads
    taken = run("import", str(backup), "--name", "again", *secret, "--json")
    assert taken.exit_code == 0, taken.output
    kept = folder / "again.pem"
    assert json.loads(taken.stdout)["address_bytes"] == key.address.hex()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert load_key(kept, "correct horse").public_key == key.public_key


def test_an_import_is_refused_in_words_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    run("new", "alice", "--network", "regtest")
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong\n", encoding="utf-8")
    backup = tmp_path / "bob.pem"
    save_key(backup, make_key(5), "right")
    junk = tmp_path / "junk.pem"
    junk.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    before = (folder / "alice.pem").read_bytes()
    for arguments, code, words in (
        ([str(tmp_path / "none.pem")], 4, "no such file"),
        ([str(backup), "--name", "alice"], 1, "never overwritten"),
        ([str(backup), "--passphrase-file", str(wrong)], 1, "passphrase"),
        ([str(junk)], 1, "key"),
    ):
        refused = run("import", *arguments)
        assert refused.exit_code == code, (arguments, refused.output)
        assert words in refused.stderr
    assert [file.name for file in folder.iterdir()] == ["alice.pem"]
    assert (folder / "alice.pem").read_bytes() == before


def test_an_export_never_overwrites(folder: Path, tmp_path: Path) -> None:
    run("new", "alice", "--network", "regtest")
    there = tmp_path / "there.pem"
    there.write_bytes(b"mine")
    refused = run("export", "alice", "-o", str(there))
    assert refused.exit_code == 1
    assert "name another" in refused.stderr
    assert there.read_bytes() == b"mine"

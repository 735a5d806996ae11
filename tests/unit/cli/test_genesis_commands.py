"""`cairn genesis`: the file it writes is one the node accepts, and says what was asked for."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cairn.cli.app import cairn
from cairn.cli.genesis_file import target_for
from cairn.consensus.crypto import encode_address
from cairn.consensus.params import parse_genesis
from cairn.consensus.proof_of_work import bits_to_target, work_of
from cairn.wallet import save_key
from tests.support.builders import COIN, make_key

BASE = ["--name", "mynet", "--prefix", "my", "--symbol", "MYC"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cairn, ["genesis", *arguments])


def test_new_writes_a_network_that_parses_and_shows_alike(tmp_path: Path) -> None:
    file = tmp_path / "genesis.toml"
    made = run("new", *BASE, "-o", str(file), "--json")
    assert made.exit_code == 0, made.output
    params = parse_genesis(file.read_text())
    document = json.loads(made.stdout)
    assert document["network_id"] == params.network_id().hex()
    assert (params.name, params.address_prefix, params.symbol) == ("mynet", "my", "MYC")
    assert params.target_interval_seconds == 60
    assert params.half_life_seconds == 288 * 60
    shown = json.loads(run("show", str(file), "--json").stdout)
    assert shown == {key: value for key, value in document.items() if key != "file"}
    assert document["network_id"] in run("show", str(file)).stdout


def test_the_first_target_takes_one_core_about_an_interval(tmp_path: Path) -> None:
    file = tmp_path / "genesis.toml"
    run("new", *BASE, "--interval", "30", "--hash-rate", "1000000", "-o", str(file))
    params = parse_genesis(file.read_text())
    expected = work_of(params.initial_target)
    assert 0.99 < expected / 30_000_000 < 1.01
    assert 3.99 < expected / work_of(params.target_limit) < 4.01


def test_an_easy_network_stays_within_the_easiest_target(tmp_path: Path) -> None:
    file = tmp_path / "genesis.toml"
    made = run("new", *BASE, "--interval", "1", "--hash-rate", "1", "-o", str(file))
    assert made.exit_code == 0
    assert parse_genesis(file.read_text()).initial_target == 0x207FFFFF
    assert target_for(1, 1) == bits_to_target(0x207FFFFF)


def test_allocations_take_addresses_and_wallets(tmp_path: Path) -> None:
    first, second = make_key(1), make_key(2)
    save_key(tmp_path / "wallets" / "founder.pem", first)
    text = encode_address("my", second.address)
    file = tmp_path / "genesis.toml"
    made = run(
        "new", *BASE, "-o", str(file), "--wallet-dir", str(tmp_path / "wallets"),
        "--allocate", "founder=1.5", "--allocate", f"{text}=2", "--allocate", "founder=1",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    held = dict(parse_genesis(file.read_text()).allocations)
    assert held == {first.address: 250_000_000, second.address: 2 * COIN}


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["--name", "My Net"], 78, "name must match"),
        (["--name", 'x"\nsymbol = "Y'], 78, "name must match"),
        (["--prefix", "1"], 78, "address_prefix must match"),
        (["--symbol", "btc"], 78, "symbol must match"),
        (["--subsidy", "99999999999"], 78, "genesis-invalid"),
        (["--subsidy", "-1"], 1, "is no amount"),
        (["--interval", "0"], 2, "interval"),
        (["--max-block-bytes", "10"], 78, "max_block_bytes"),
        (["--allocate", "nobody=1"], 4, "cairn wallet list"),
        (["--allocate", "nobody"], 2, "ADDRESS=AMOUNT"),
        (["--allocate", "my1" + "q" * 38 + "=1"], 1, "address-invalid"),
    ],
)
def test_refuses_what_no_network_can_have(
    tmp_path: Path, arguments: list[str], code: int, named: str
) -> None:
    file = tmp_path / "genesis.toml"
    made = run("new", *BASE, "-o", str(file), *arguments, "--wallet-dir", str(tmp_path))
    assert made.exit_code == code, made.output
    assert named in made.stderr
    assert not file.exists()


def test_never_replaces_a_network_unasked(tmp_path: Path) -> None:
    file = tmp_path / "genesis.toml"
    file.write_text("precious")
    refused = run("new", *BASE, "-o", str(file))
    assert refused.exit_code == 1
    assert file.read_text() == "precious"
    assert run("new", *BASE, "-o", str(file), "--force").exit_code == 0
    parse_genesis(file.read_text())


def test_show_names_the_fault_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "genesis.toml"
    file.write_text("name = 3")
    shown = run("show", str(file))
    assert shown.exit_code == 78
    assert "genesis-invalid" in shown.stderr
    assert run("show", str(tmp_path / "absent.toml")).exit_code == 4
    file.write_bytes(b"\xff\xfe")
    assert run("show", str(file)).exit_code == 78
    assert run("show", str(tmp_path)).exit_code == 2


def test_show_knows_the_built_in_network() -> None:
    document = json.loads(run("show", "--network", "regtest", "--json").stdout)
    assert document["name"] == "regtest"

"""Configuration: defaults, the file, variables over it, and every fault named at once."""

from pathlib import Path

import pytest

from cairn.config import Config, ConfigError, load_config

ONE_KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"


def load(folder: Path, text: str, **environment: str) -> Config:
    file = folder / "cairn.toml"
    file.write_text(text, encoding="utf-8")
    return load_config(file, environment)


def faults(folder: Path, text: str, **environment: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **environment)
    head, *lines = str(caught.value).splitlines()
    assert head.startswith(f"{len(lines)} fault(s) in the configuration ")
    return lines


def test_an_empty_file_gives_a_lone_node_on_loopback(tmp_path: Path) -> None:
    config = load(tmp_path, "")
    assert config.params.name == "regtest"
    assert config.peers.publish == "tcp://127.0.0.1:28600"
    assert config.peers.admission == "allowlist"
    assert config.database_url == "sqlite:////var/lib/cairn/cairn.db"
    assert config.read_database_url == config.database_url
    assert config.account_key_file == Path("/var/lib/cairn/keys/account.pem")
    assert config.request_socket == "ipc:///run/cairn/listener.sock"


def test_reads_values_and_lists(tmp_path: Path) -> None:
    text = f"""
[node]
name = "node-1.example"
[peers]
publish = "tcp://0.0.0.0:28600"
advertised_publish = "tcp://node1.example.net:28600"
allowed_keys = ["{ONE_KEY}"]
allowed_ranges = ["10.0.0.0/8", "fd00::/8"]
alphas = ["https://alpha.example.net"]
[pool]
min_fee_per_byte = 3
"""
    config = load(tmp_path, text)
    assert config.node.name == "node-1.example"
    assert config.peers.allowed_keys == (ONE_KEY,)
    assert config.peers.alphas == ("https://alpha.example.net",)
    assert config.pool.min_fee_per_byte == 3


def test_a_variable_overrides_the_file(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        '[miner]\nmode = "off"\nworkers = 2\n',
        CAIRN_MINER_MODE="always",
        CAIRN_MINER_HEARTBEAT_SECONDS="7",
        CAIRN_PEERS_ALPHAS="http://a:1, http://b:2",
    )
    assert (config.miner.mode, config.miner.workers) == ("always", 2)
    assert config.miner.heartbeat_seconds == 7
    assert load(tmp_path, "").miner.heartbeat_seconds is None
    assert config.peers.alphas == ("http://a:1", "http://b:2")


def test_reads_the_network_from_a_genesis_file(tmp_path: Path) -> None:
    from cairn.consensus.params import REGTEST_GENESIS  # noqa: PLC0415 - this test alone

    genesis = tmp_path / "genesis.toml"
    genesis.write_text(REGTEST_GENESIS.replace('"regtest"', '"mine"'), encoding="utf-8")
    assert load(tmp_path, f'[node]\nnetwork = "{genesis}"\n').params.name == "mine"


def test_names_every_fault_at_once(tmp_path: Path) -> None:
    text = """
colour = "green"
[node]
name = "two words"
nmae = "typo"
[miner]
workers = "many"
mode = "sometimes"
[web]
max_event_streams = -1
"""
    lines = faults(tmp_path, text, CAIRN_MINER_WROKERS="2", CAIRN_POOL_MAX_BYTES="1e6")
    keys = [line.split(":", maxsplit=1)[0] for line in lines]
    assert sorted(keys) == [
        "CAIRN_MINER_WROKERS",
        "CAIRN_POOL_MAX_BYTES",
        "colour",
        "miner.mode",
        "miner.workers",
        "node.name",
        "node.nmae",
        "web.max_event_streams",
    ]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[peers]\nallowed_ranges = ["nonsense"]', "peers.allowed_ranges"),
        ('[peers]\nallowed_ranges = ["10.0.0.1/8"]', "peers.allowed_ranges"),
        ('[peers]\nallowed_keys = ["short"]', "peers.allowed_keys"),
        ('[peers]\nalphas = ["ftp://a.example"]', "peers.alphas"),
        ('[peers]\nalphas = ["http://"]', "peers.alphas"),
        ('[web]\nurl = "http://a:99999"', "web.url"),
        ('[faucet]\nkey_file = "/nonexistent/faucet.pem"', "faucet.key_file"),
        ("[faucet]\namount = 0", "faucet.amount"),
        ("[faucet]\nper_minute = 0", "faucet.per_minute"),
        ("[faucet]\nseconds_per_address = 0", "faucet.seconds_per_address"),
        ('[peers]\npublish = "tcp://127.0.0.1"', "peers.publish"),
        ('[peers]\npublish = "tcp://127.0.0.1:70000"', "peers.publish"),
        ('[peers]\nrequest = "udp://127.0.0.1:5"', "peers.request"),
        ('[peers]\nrequest = "tcp://127.0.0.1:28600"', "peers.request"),
        ('[peers]\npublish = "tcp://0.0.0.0:28600"', "peers.advertised_publish"),
        ('[peers]\nadvertised_request = "tcp://*:28601"', "peers.advertised_request"),
        ('[peers]\nblocked_endpoints = ["127.0.0.1:1"]', "peers.blocked_endpoints"),
        ('[database]\nurl = "postgresql://x/y"', "database.url"),
        ('[database]\nread_url = "cairn.db"', "database.read_url"),
        ('[database]\nurl = "mysql+mysqldb://host"', "database.url"),
        ('[database]\nurl = "sqlite:///"', "database.url"),
        ('[web]\noperator_token_file = "/nowhere/token"', "web.operator_token_file"),
        ('[node]\naccount_passphrase_file = "/nowhere/words"', "node.account_passphrase_file"),
        ('[miner]\naddress = "rcairn1qqqq"', "miner.address"),
        ('[node]\nnetwork = "/nowhere/genesis.toml"', "node.network"),
        (f'[node]\nrun_directory = "/{"long" * 30}"', "node.run_directory"),
        ("[node]\nname = 3", "node.name"),
        ('node = "here"', "node"),
    ],
)
def test_names_the_setting_at_fault(tmp_path: Path, text: str, key: str) -> None:
    (line,) = faults(tmp_path, text)
    assert line.split(":", maxsplit=1)[0] == key


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "absent.toml", {})


def test_a_file_that_is_not_toml_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, "[node\n")


def test_a_database_password_is_never_shown(tmp_path: Path) -> None:
    config = load(tmp_path, '[database]\nurl = "mysql+mysqldb://u:hidden@h/d"')
    assert "hidden" not in repr(config)
    assert "hidden" not in str(
        faults(tmp_path, '[database]\nurl = ["mysql+mysqldb://u:hidden@h/d"]')
    )


def test_the_configuration_is_frozen(tmp_path: Path) -> None:
    config = load(tmp_path, "")
    with pytest.raises(AttributeError):
        config.node.name = "other"  # type: ignore[misc]


def test_the_faucet_does_not_give_from_the_nodes_own_account(tmp_path: Path) -> None:
    key = tmp_path / "keys" / "account.pem"
    key.parent.mkdir()
    key.touch()
    text = f'[node]\ndata_directory = "{tmp_path}"\n[faucet]\nkey_file = "{key}"\n'
    (fault,) = faults(tmp_path, text)
    assert fault.startswith("faucet.key_file: is the node's own account")

"""The listener's secrets: files must be private, what systemd hands in is taken as it is."""

from pathlib import Path

import pytest

from cairn.config import Config, load_config
from cairn.network.keys import CurveKeyError, load_or_create_curve_keys
from cairn.services.listener.keys import load_account_key, load_curve_pair
from cairn.wallet import WalletError, save_key
from tests.support.builders import make_key

KEY = make_key(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Both secrets, in files of the mode that systemd's credentials have."""
    save_key(tmp_path / "account.pem", KEY)
    load_or_create_curve_keys(tmp_path / "curve.key")
    for name in ("account.pem", "curve.key"):
        (tmp_path / name).chmod(0o440)
    return tmp_path


def config_of(folder: Path) -> Config:
    variables = {
        "CAIRN_NODE_ACCOUNT_KEY_FILE": str(folder / "account.pem"),
        "CAIRN_NODE_CURVE_KEY_FILE": str(folder / "curve.key"),
    }
    return load_config(environment=variables)


def test_credentials_may_be_readable_by_their_group(folder: Path) -> None:
    environment = {"CREDENTIALS_DIRECTORY": str(folder)}
    assert load_account_key(config_of(folder), environment) == KEY
    pair = load_curve_pair(config_of(folder), environment)
    assert len(pair.public) == 40


def test_other_files_may_not(folder: Path) -> None:
    for environment in ({}, {"CREDENTIALS_DIRECTORY": str(folder.parent)}):
        with pytest.raises(WalletError, match="0440"):
            load_account_key(config_of(folder), environment)
        with pytest.raises(CurveKeyError, match="others may read it"):
            load_curve_pair(config_of(folder), environment)


def test_credentials_readable_by_all_are_refused(folder: Path) -> None:
    (folder / "account.pem").chmod(0o444)
    (folder / "curve.key").chmod(0o444)
    environment = {"CREDENTIALS_DIRECTORY": str(folder)}
    with pytest.raises(WalletError):
        load_account_key(config_of(folder), environment)
    with pytest.raises(CurveKeyError):
        load_curve_pair(config_of(folder), environment)


def test_a_missing_credential_is_not_made(tmp_path: Path) -> None:
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    with pytest.raises(WalletError, match="no key file"):
        load_account_key(config_of(tmp_path), environment)
    assert not list(tmp_path.iterdir())


def test_a_passphrase_open_to_others_is_refused(tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.write_text("one two three\n", encoding="utf-8")
    file = tmp_path / "cairn.toml"
    file.write_text(
        f'[node]\ndata_directory = "{tmp_path}"\naccount_passphrase_file = "{words}"\n',
        encoding="utf-8",
    )
    config = load_config(file, {})
    for mode in (0o666, 0o644, 0o620):
        words.chmod(mode)
        with pytest.raises(WalletError, match="may be read or changed by others"):
            load_account_key(config)
    words.chmod(0o600)
    (tmp_path / "keys").mkdir(mode=0o700)
    assert load_account_key(config).public_key == load_account_key(config).public_key

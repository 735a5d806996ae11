"""The listener's secrets: a passphrase that others may read or change is refused."""

from pathlib import Path

import pytest

from cairn.config import load_config
from cairn.services.listener.keys import load_account_key
from cairn.wallet import WalletError


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

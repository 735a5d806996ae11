"""The node's secrets, read (and at first start made) by the listener alone."""

import logging
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from cairn.config import Config
from cairn.network.keys import CurveKeyPair, load_curve_keys, load_or_create_curve_keys
from cairn.services.logs import log_event
from cairn.wallet import AccountKey, WalletError, generate_key, load_key, save_key

_logger = logging.getLogger(__name__)


def load_account_key(config: Config, environment: Mapping[str, str] = os.environ) -> AccountKey:
    """The account key, made at first start unless systemd hands it in. Raises WalletError."""
    path = config.account_key_file
    passphrase = _read_passphrase(config.node.account_passphrase_file)
    if _is_credential(path, environment):
        return load_key(path, passphrase, group_may_read=True)
    if not path.exists():
        save_key(path, generate_key(), passphrase)
        log_event(_logger, "account key made", file=str(path))
    return load_key(path, passphrase)


def load_curve_pair(config: Config, environment: Mapping[str, str] = os.environ) -> CurveKeyPair:
    """The CURVE pair, made at first start unless systemd hands it in. Raises CurveKeyError."""
    if _is_credential(config.curve_key_file, environment):
        return load_curve_keys(config.curve_key_file, group_may_read=True)
    return load_or_create_curve_keys(config.curve_key_file)


def load_faucet_key(
    config: Config, environment: Mapping[str, str] = os.environ
) -> AccountKey | None:
    """The key that the faucet gives from, which is never made here; None: there is no faucet.

    Raises WalletError.
    """
    path = config.faucet.key_file
    if path is None:
        return None
    return load_key(path, group_may_read=_is_credential(path, environment))


def _is_credential(path: Path, environment: Mapping[str, str]) -> bool:
    """Whether the file lies where systemd's LoadCredential= puts secrets: memory that this
    service alone can open, whatever the mode of the file says."""
    directory = environment.get("CREDENTIALS_DIRECTORY", "")
    return directory != "" and path.parent == Path(directory)


def _read_passphrase(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o027:
                raise WalletError(
                    f"{path} may be read or changed by others (mode {mode:04o})",
                    f"chmod 0600 {path}",
                )
        return path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise WalletError(
            f"{path}: cannot be read: {error}", "write the passphrase there"
        ) from None

"""The node's two secrets, read (and at first start made) by the listener alone."""

import logging
import os
import stat
from pathlib import Path

from cairn.config import Config
from cairn.network.keys import CurveKeyPair, load_or_create_curve_keys
from cairn.services.logs import log_event
from cairn.wallet import AccountKey, WalletError, generate_key, load_key, save_key

_logger = logging.getLogger(__name__)


def load_account_key(config: Config) -> AccountKey:
    """The account key, made at first start. Raises WalletError in plain words."""
    path = config.account_key_file
    passphrase = _read_passphrase(config.node.account_passphrase_file)
    if not path.exists():
        save_key(path, generate_key(), passphrase)
        log_event(_logger, "account key made", file=str(path))
    return load_key(path, passphrase)


def load_curve_pair(config: Config) -> CurveKeyPair:
    """The CURVE key pair, made at first start. Raises CurveKeyError in plain words."""
    return load_or_create_curve_keys(config.curve_key_file)


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

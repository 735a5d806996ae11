"""Account keys, signing, and building transactions: everything that touches a secret.

Errors a person can cause are `WalletError`s in plain words that name the fixing command.
"""

from cairn.wallet.amounts import format_amount, parse_amount
from cairn.wallet.build import build_transaction
from cairn.wallet.errors import WalletError
from cairn.wallet.keyfile import load_key, save_key
from cairn.wallet.keys import AccountKey, generate_key, generate_private_key, public_key_of, sign
from cairn.wallet.notary import document_digest, notarization_data, notarized_digest

__all__ = [
    "AccountKey",
    "WalletError",
    "build_transaction",
    "document_digest",
    "format_amount",
    "generate_key",
    "generate_private_key",
    "load_key",
    "notarization_data",
    "notarized_digest",
    "parse_amount",
    "public_key_of",
    "save_key",
    "sign",
]

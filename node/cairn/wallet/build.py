"""Building signed transactions from an account key."""

from cairn.consensus.encoding import ADDRESS_BYTES, HASH_BYTES, U64_MAX
from cairn.consensus.transaction import Transaction, UnsignedTransaction, attach_signature
from cairn.wallet.errors import WalletError
from cairn.wallet.keys import AccountKey

_MAX_DATA_BYTES = 65_535
"""What the layout's two length bytes can say; a network may allow less."""


def build_transaction(
    key: AccountKey,
    network_id: bytes,
    sequence: int,
    recipient: bytes,
    amount: int,
    fee: int,
    timestamp: int,
    data: bytes = b"",
) -> Transaction:
    """The signed transaction of `key` on the network whose genesis hash is `network_id`.

    `recipient` is a 20-byte address, `amount` and `fee` are base units, `timestamp` seconds
    since the epoch. Raises WalletError for what the layout cannot hold.
    """
    if len(network_id) != HASH_BYTES:
        raise WalletError(f"a network id is {HASH_BYTES} bytes, got {len(network_id)}")
    if len(recipient) != ADDRESS_BYTES:
        raise WalletError(f"an address is {ADDRESS_BYTES} bytes, got {len(recipient)}")
    if len(data) > _MAX_DATA_BYTES:
        raise WalletError(f"data is {len(data)} bytes, at most {_MAX_DATA_BYTES}")
    numbers = {"sequence": sequence, "amount": amount, "fee": fee, "timestamp": timestamp}
    for name, value in (*numbers.items(), ("amount + fee", amount + fee)):
        if not 0 <= value <= U64_MAX:
            raise WalletError(f"{name} must lie between 0 and {U64_MAX}, got {value}")
    unsigned = UnsignedTransaction(
        public_key=key.public_key,
        sequence=sequence,
        recipient=recipient,
        amount=amount,
        fee=fee,
        timestamp=timestamp,
        data=data,
    )
    signature = key.sign(unsigned.signing_message(network_id))
    return attach_signature(unsigned, signature, network_id)

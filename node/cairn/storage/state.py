"""Reading accounts, for the writer and for those who only ask."""

from collections.abc import Collection

from sqlalchemy import Connection

from cairn.consensus.ledger import Account
from cairn.storage import dialect
from cairn.storage.tables import accounts

_COLUMNS = (accounts.c.address, accounts.c.balance, accounts.c.next_sequence)


def select_accounts(connection: Connection, addresses: Collection[bytes]) -> dict[bytes, Account]:
    """The accounts among these addresses that exist."""
    found = {}
    for chunk in dialect.chunks(addresses):
        rows = dialect.select_in(connection, _COLUMNS, accounts.c.address, chunk)
        for address, balance, next_sequence in rows:
            found[address] = Account(balance, next_sequence)
    return found

"""Confirmed accounts lately asked for, kept in memory beside the store."""

from collections import OrderedDict
from collections.abc import Collection, Mapping

from cairn.chain.store import ChainStore
from cairn.consensus.ledger import EMPTY_ACCOUNT, Account

_REMEMBERED = 16_384


class AccountCache:
    """The confirmed states of accounts. `follow` must be told of every change that is durable."""

    def __init__(self, store: ChainStore) -> None:
        self._store = store
        self._accounts: OrderedDict[bytes, Account] = OrderedDict()

    def of(self, addresses: Collection[bytes]) -> dict[bytes, Account]:
        """The states of these accounts, all zero where nothing is stored."""
        unknown = [address for address in addresses if address not in self._accounts]
        if unknown:
            stored = self._store.load_accounts(unknown)
            for address in unknown:
                self._accounts[address] = stored.get(address, EMPTY_ACCOUNT)
        found = {address: self._accounts[address] for address in addresses}
        while len(self._accounts) > _REMEMBERED:
            self._accounts.popitem(last=False)
        return found

    def follow(self, changed: Mapping[bytes, Account]) -> None:
        """Takes over new states of those that are remembered."""
        for address in changed.keys() & self._accounts.keys():
            self._accounts[address] = changed[address]

    def clear(self) -> None:
        """Forgets all."""
        self._accounts.clear()

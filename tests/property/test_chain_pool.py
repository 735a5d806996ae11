"""Whatever happens to a pool, its rows are what it holds and its ready ones can be mined."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cairn.chain.pool import Pool, PoolChange, PoolPolicy
from cairn.consensus.errors import RuleError
from cairn.consensus.ledger import EMPTY_ACCOUNT, Account, apply_transaction, check_spendable
from cairn.consensus.transaction import Transaction, decode_transaction
from tests.support.chain import NOW, bare_address, bare_transaction, check_pool

SENDERS = range(4)
POLICY = PoolPolicy(max_bytes=21 * 152, min_fee_per_byte=0, expiry_seconds=500)
"""Room for one or none that is held for a gap; the rest is filled by `fill`."""
FILLING = bytes(3 * 152)
transactions = st.builds(
    bare_transaction,
    sender=st.sampled_from(SENDERS),
    sequence=st.integers(0, 4),
    fee=st.sampled_from([10, 20, 22, 30, 100, 0]),
    amount=st.integers(1, 3),
    data=st.sampled_from([b"", bytes(40), FILLING]),
)
batches = st.lists(transactions, min_size=1, max_size=10)


class PoolMachine(RuleBasedStateMachine):
    """A pool, the table it is stored in, and the chain it follows."""

    @initialize(balances=st.lists(st.sampled_from([9_999, 100, 0]), min_size=4, max_size=4))
    def begin(self, balances: list[int]) -> None:
        self.pool = Pool(POLICY, 10_000)
        self.rows: dict[bytes, tuple[bytes, int]] = {}
        self.chain: list[list[Transaction]] = []
        self.states = [{bare_address(sender): Account(balances[sender], 0) for sender in SENDERS}]
        self.now = NOW

    @property
    def state(self) -> dict[bytes, Account]:
        return self.states[-1]

    def commit(self, change: PoolChange) -> None:
        """As `ChainStore.change_pool` does: removals first, then what is not there."""
        for removed in change.removed:
            self.rows.pop(removed, None)
        for row in change.rows():
            self.rows.setdefault(row.id, (row.raw, row.received_at))

    @rule(
        batch=batches,
        is_lost=st.sampled_from([False, False, False, True]),
        passed=st.integers(0, 100),
    )
    def admit(self, batch: list[Transaction], is_lost: bool, passed: int) -> None:
        self.now += passed
        change = PoolChange()
        for transaction in batch:
            before, ready = self.pool.ids(100), self.pool.select(2**40)
            try:
                account = self.state.get(transaction.sender, EMPTY_ACCOUNT)
                self.pool.admit(transaction, account, self.now, change)
            except RuleError:
                assert self.pool.ids(100) == before
            else:
                assert transaction.id in self.pool
                self.check_eviction(transaction, ready)
        if is_lost:  # the database failed: everything is read again
            self.restart()
        else:
            self.commit(change)

    def check_eviction(self, newcomer: Transaction, ready: list[Transaction]) -> None:
        """Of those that could be mined: none left for less per byte, and no gap came about."""
        still = {each.id for each in self.pool.select(2**40)}
        place = (newcomer.sender, newcomer.sequence)
        gone = [each for each in ready if each.id not in still]
        gone = [each for each in gone if (each.sender, each.sequence) != place]
        if gone:
            fees, size = sum(each.fee for each in gone), sum(len(each.raw) for each in gone)
            assert newcomer.id in still
            assert newcomer.fee * size > fees * len(newcomer.raw)
        for each in gone:
            assert each.id not in self.pool  # evicted, not left behind a gap

    @rule(undone=st.integers(0, 3), blocks=st.lists(batches, min_size=1, max_size=3))
    def move(self, undone: int, blocks: list[list[Transaction]]) -> None:
        """Takes blocks off and connects others, which mine what waits and what does not."""
        undone = min(undone, len(self.chain))
        kept = len(self.chain) - undone
        disconnected = [each for block in self.chain[kept:] for each in block]
        before = self.states[-1]
        del self.chain[kept:], self.states[kept + 1 :]
        for offered in blocks:
            self._connect([*self.pool.select(400), *disconnected[:2], *offered])
        mined = [each for block in self.chain[kept:] for each in block]
        mined_ids = {each.id for each in mined}
        returned = [each for each in disconnected if each.id not in mined_ids]
        touched = {each.sender for each in (*mined, *disconnected)}
        touched |= {address for address in before if before[address] != self.state.get(address)}
        accounts = {address: self.state.get(address, EMPTY_ACCOUNT) for address in touched}
        change = self.pool.follow(accounts, mined, returned, self.now)
        for mined_id in mined_ids:  # `connect_block` does
            self.rows.pop(mined_id, None)
        assert not change.added.keys() & mined_ids
        self.commit(change)

    def _connect(self, offered: list[Transaction]) -> None:
        state, block = dict(self.state), []
        for transaction in offered:
            try:
                check_spendable(transaction, state.get(transaction.sender, EMPTY_ACCOUNT))
            except RuleError:
                continue
            apply_transaction(state, transaction)
            block.append(transaction)
        self.chain.append(block)
        self.states.append(state)

    @rule(passed=st.integers(0, 600))
    def expire(self, passed: int) -> None:
        self.now += passed
        self.commit(self.pool.expire(self.now))
        assert all(at > self.now - POLICY.expiry_seconds for _, at in self.rows.values())

    @rule()
    def restart(self) -> None:
        rows = sorted(self.rows.items(), key=lambda item: item[1][1])
        stored = [(decode_transaction(raw, bytes(32)), at) for _, (raw, at) in rows]
        change = self.pool.restore(stored, self.state)
        assert (change.added, change.removed) == ({}, set())

    @invariant()
    def rows_are_what_waits(self) -> None:
        if not hasattr(self, "pool"):
            return
        check_pool(self.pool, self.state, POLICY)
        assert set(self.rows) == set(self.pool.ids(100))
        for name, (raw, received_at) in self.rows.items():
            transaction = self.pool.get(name)
            assert transaction is not None
            assert transaction.raw == raw
            assert self.pool.oldest_received_at([transaction]) == received_at


PoolMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=25)
TestPool = PoolMachine.TestCase

"""Token buckets: how much a peer may ask for."""

from collections import OrderedDict

MAX_REMEMBERED_PEERS = 4_096


class TokenBucket:
    """Fills at `rate` tokens a second up to `capacity`. It may go below zero once."""

    __slots__ = ("_at", "_tokens", "capacity", "rate")

    def __init__(self, rate: float, capacity: float, now: float) -> None:
        self.rate = rate
        self.capacity = capacity
        self._tokens = capacity
        self._at = now

    def take(self, tokens: float, now: float) -> bool:
        """Takes the tokens unless the bucket is empty."""
        self._fill(now)
        if self._tokens <= 0:
            return False
        self._tokens -= tokens
        return True

    def charge(self, tokens: float) -> None:
        """Takes tokens whatever is left: for work whose size is known only afterwards."""
        self._tokens -= tokens

    def wait_seconds(self, now: float) -> float:
        """Until `take` gives again."""
        self._fill(now)
        return max(0.0, (1.0 - self._tokens) / self.rate)

    def _fill(self, now: float) -> None:
        self._tokens = min(self.capacity, self._tokens + (now - self._at) * self.rate)
        self._at = now


class PeerBudget:
    """One peer's requests: their rate, how many are being answered, how many were too many."""

    __slots__ = ("bucket", "refused_in_a_row", "under_way")

    def __init__(self, bucket: TokenBucket) -> None:
        self.bucket = bucket
        self.under_way = 0
        self.refused_in_a_row = 0


class Budgets:
    """A budget per key; the longest unused ones are forgotten."""

    def __init__(self, rate: float, capacity: float) -> None:
        self._rate = rate
        self._capacity = capacity
        self._budgets: OrderedDict[str, PeerBudget] = OrderedDict()

    def of(self, key: str, now: float) -> PeerBudget:
        """The budget of this peer."""
        budget = self._budgets.get(key)
        if budget is None:
            budget = PeerBudget(TokenBucket(self._rate, self._capacity, now))
            self._budgets[key] = budget
            if len(self._budgets) > MAX_REMEMBERED_PEERS:
                self._budgets.popitem(last=False)
        else:
            self._budgets.move_to_end(key)
        return budget

"""Real nodes on loopback, used through their API: one alone, then a second beside it."""

import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from tests.bench.measure import Figure, median_milliseconds, rate
from tests.support.network import PATIENT_MINER, LocalNetwork, LocalNode
from tests.support.wallets import SignedTransaction

_ACCOUNTS = 160
_PER_ACCOUNT = 60
"""Below the 64 that may wait for one sender."""
_CONNECTIONS = 16
_BATCH = 100


class Client:
    """One kept-alive connection to a node."""

    def __init__(self, node: LocalNode) -> None:
        parts = urlsplit(node.spec.url)
        assert parts.hostname
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)

    def get(self, path: str) -> bytes:
        """Body of a GET, which must answer 200."""
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (answer.status, body[:300])
        return body

    def post(self, document: object) -> None:
        """Posts transactions, which must all be accepted."""
        self._connection.request(
            "POST",
            "/api/v1/transactions",
            json.dumps(document),
            {"Content-Type": "application/json"},
        )
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 202, (answer.status, body[:300])
        assert b'"refused"' not in body, body[:300]

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


def node_figures(folder: Path, database: str, database_urls: Sequence[str]) -> Iterator[Figure]:
    """Posting to one node on `database` (a name for people), then gossip to a second."""
    with LocalNetwork(folder, accounts=_ACCOUNTS) as network:
        (first,) = network.add_nodes(1, database_urls[:1], overrides={"miner": PATIENT_MINER})
        transactions = _supply(network)
        client = Client(first)
        client.get("/api/v1/genesis")
        yield Figure(
            f"GET of a page without database, one connection ({database} node)",
            rate(lambda: sum(bool(client.get("/api/v1/genesis")) for _ in range(200))),
            "/s",
        )
        yield Figure(
            f"POST of one transaction, median ({database})",
            _post_singly(client, _take(transactions, 300)),
            "ms",
            4,
        )
        yield Figure(
            f"POST of one transaction, {_CONNECTIONS} connections ({database})",
            _post_together(first, _take(transactions, 1_500)),
            "/s",
            600,
        )
        yield Figure(
            f"POST of {_BATCH} transactions a call, 2 connections ({database})",
            _post_batches(first, _take(transactions, 4_000)),
            "/s",
            3_000,
        )
        (second,) = network.add_nodes(1, database_urls[1:], overrides={"miner": PATIENT_MINER})
        network.wait_connected()
        _wait_quiet(network, second)
        yield Figure(
            f"202 on one node to event on the other, median ({database})",
            _gossip(client, second, _take(transactions, 200)),
            "ms",
            10,
        )
        client.close()


def _supply(network: LocalNetwork) -> Iterator[SignedTransaction]:
    """Signed ahead, each account's in order of sequence, accounts in turn."""
    recipient = network.accounts[0].address
    made = [
        account.transaction(network.name, sequence, recipient, 1_000)
        for sequence in range(_PER_ACCOUNT)
        for account in network.accounts
    ]
    return iter(made)


def _take(transactions: Iterator[SignedTransaction], count: int) -> list[SignedTransaction]:
    taken = list(itertools.islice(transactions, count))
    assert len(taken) == count, "the benchmark ran out of transactions"
    return taken


def _post_singly(client: Client, transactions: Sequence[SignedTransaction]) -> float:
    seconds = []
    for transaction in transactions:
        start = time.perf_counter()
        client.post(transaction.document)
        seconds.append(time.perf_counter() - start)
    return median_milliseconds(seconds)


def _post_together(node: LocalNode, transactions: Sequence[SignedTransaction]) -> float:
    def work(share: Sequence[SignedTransaction]) -> None:
        client = Client(node)
        for transaction in share:
            client.post(transaction.document)
        client.close()

    # A share keeps an account's transactions in one connection, so in order.
    shares = [
        [tx for tx in transactions if _account_number(tx) % _CONNECTIONS == number]
        for number in range(_CONNECTIONS)
    ]
    return _items_per_second(work, shares, len(transactions))


def _post_batches(node: LocalNode, transactions: Sequence[SignedTransaction]) -> float:
    def work(share: Sequence[SignedTransaction]) -> None:
        client = Client(node)
        for start in range(0, len(share), _BATCH):
            client.post([each.document for each in share[start : start + _BATCH]])
        client.close()

    shares = [
        [tx for tx in transactions if _account_number(tx) % 2 == number] for number in range(2)
    ]
    return _items_per_second(work, shares, len(transactions))


def _items_per_second(
    work: Callable[[Sequence[SignedTransaction]], None],
    shares: Sequence[Sequence[SignedTransaction]],
    count: int,
) -> float:
    start = time.perf_counter()
    with ThreadPoolExecutor(len(shares)) as threads:
        list(threads.map(work, shares))
    return count / (time.perf_counter() - start)


def _account_number(transaction: SignedTransaction) -> int:
    return int(str(transaction.document["public_key"])[-8:], 16)


def _wait_quiet(network: LocalNetwork, node: LocalNode) -> None:
    """Until the second node has all that the first has: the gossip figure starts idle."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        sizes = {int(each.status()["pool"]["transactions"]) for each in network.nodes}
        if len(sizes) == 1:
            return
        time.sleep(0.05)
    raise AssertionError(f"{node.name} does not catch up")


def _gossip(client: Client, second: LocalNode, transactions: Sequence[SignedTransaction]) -> float:
    """Median milliseconds from a 202 to the transaction's event in the other node's stream."""
    stream = _EventStream(second)
    seconds = []
    for transaction in transactions:
        client.post(transaction.document)
        acknowledged = time.perf_counter()
        seconds.append(max(0.0, stream.wait_for(transaction.hex_id) - acknowledged))
    stream.close()
    return median(seconds) * 1_000


class _EventStream:
    """A node's server-sent events, noted with the time they came."""

    def __init__(self, node: LocalNode) -> None:
        parts = urlsplit(node.spec.url)
        assert parts.hostname
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        self._connection.request("GET", "/api/v1/events")
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200
        self._came = threading.Condition()
        self._lines: list[tuple[float, str]] = []
        self._answer.readline()  # the stream has begun
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while line := self._answer.readline():
            now = time.perf_counter()
            with self._came:
                self._lines.append((now, line.decode()))
                self._came.notify()

    def wait_for(self, text: str) -> float:
        """When a line with `text` came."""
        with self._came:
            while True:
                for at, line in self._lines:
                    if text in line:
                        self._lines.clear()
                        return at
                assert self._came.wait(10), f"no event names {text}"

    def close(self) -> None:
        """Ends the stream; its thread ends with the connection."""
        if self._connection.sock is not None:
            self._connection.sock.close()

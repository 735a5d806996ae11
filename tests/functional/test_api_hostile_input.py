"""Bad input to the HTTP API: a problem document with a stable code, and nothing changes.

Each case is sent to a node on which nothing moves by itself; tip, pool and balances must be
afterwards what they were before.
"""

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.support.network import COIN, LocalNetwork, LocalNode
from tests.support.rest import Reply
from tests.support.wallets import Account, NetworkName, SignedTransaction

JSON = "application/json"
BYTES = "application/octet-stream"
TEN_MIB = 10 * 1024 * 1024


@dataclass
class Ground:
    """A node, and an account on it that has sent one mined transaction."""

    network: LocalNetwork
    node: LocalNode
    account: Account
    other: Account

    @property
    def name(self) -> NetworkName:
        """For signing."""
        return self.network.name

    def sign(self, **changes: object) -> SignedTransaction:
        """A transaction that the node would take, but for the changes."""
        fields: dict[str, object] = {
            "network": self.name,
            "sequence": 1,
            "recipient": self.other.address,
            "amount": COIN,
            **changes,
        }
        return self.account.transaction(**fields)  # type: ignore[arg-type]

    def document(self, **changes: object) -> dict[str, object]:
        """Its JSON form, with fields changed after signing."""
        return {**self.sign().document, **changes}

    def post(self, body: bytes, content_type: str = JSON) -> Reply:
        """To `POST transactions`."""
        headers = {"Content-Type": content_type} if content_type else {}
        return self.node.api.call("POST", "/api/v1/transactions", body, headers)

    def state(self) -> object:
        """All that bad input must leave alone."""
        balances = self.network.balances(self.node)
        return self.node.tip(), self.node.pool_ids(), balances


@pytest.fixture(scope="module")
def ground(quiet: LocalNetwork) -> Ground:
    [node] = quiet.nodes
    found = Ground(quiet, node, quiet.accounts[5], quiet.accounts[6])
    first = found.sign(sequence=0)
    assert found.post(first.raw, BYTES).status == 202
    node.mine(1)
    assert node.find(first) == "mined"
    return found


@pytest.fixture
def unchanged(ground: Ground) -> Iterator[None]:
    before = ground.state()
    yield
    assert ground.state() == before


Make = Callable[[Ground], bytes]


def _json(**changes: object) -> Make:
    return lambda ground: json.dumps(ground.document(**changes)).encode()


def _signed(**changes: object) -> Make:
    return lambda ground: json.dumps(ground.sign(**changes).document).encode()


def _replaced(old: str, new: str) -> Make:
    def make(ground: Ground) -> bytes:
        text = json.dumps(ground.document())
        assert old in text
        return text.replace(old, new, 1).encode()

    return make


def _without(field: str) -> Make:
    def make(ground: Ground) -> bytes:
        document = ground.document()
        del document[field]
        return json.dumps(document).encode()

    return make


def _flipped_signature(ground: Ground) -> bytes:
    signature = bytearray.fromhex(str(ground.document()["signature"]))
    signature[40] ^= 1
    return json.dumps(ground.document(signature=signature.hex())).encode()


def _other_network(ground: Ground) -> bytes:
    elsewhere = NetworkName(bytes(32), ground.name.prefix)
    return json.dumps(ground.sign(network=elsewhere).document).encode()


def _foreign_address(ground: Ground) -> bytes:
    foreign = NetworkName(ground.name.id, "rcairn").address(ground.other.address)
    return json.dumps(ground.document(recipient=foreign)).encode()


def _mistyped_address(ground: Ground) -> bytes:
    address = str(ground.document()["recipient"])
    last = "q" if address[-1] != "q" else "p"
    return json.dumps(ground.document(recipient=address[:-1] + last)).encode()


def _not_utf8(ground: Ground) -> bytes:
    return json.dumps(ground.document()).encode().replace(b'"data": "', b'"data": "\xff\xfe')


SINGLE: dict[str, tuple[Make, int, set[str]]] = {
    "bad signature": (_flipped_signature, 422, {"signature-invalid"}),
    "high s": (_signed(high_s=True), 422, {"signature-invalid"}),
    "signature of zeros": (_json(signature="00" * 64), 422, {"signature-invalid"}),
    # No coin was ever sent to such a key's address: refused before its signature is looked at.
    "key off the curve": (_json(public_key="02" + "ff" * 32), 422, {"balance-insufficient"}),
    "signed for another network": (_other_network, 422, {"signature-invalid"}),
    "address of another network": (_foreign_address, 422, {"address-wrong-network"}),
    "address with a wrong character": (_mistyped_address, 422, {"address-invalid"}),
    # Another amount than the mined one's: within the same second it would be the same transaction.
    "used sequence": (_signed(sequence=0, amount=77), 409, {"sequence-mismatch"}),
    "sequence far ahead": (_signed(sequence=1_000), 422, {"pool-gap-too-wide"}),
    "greatest sequence": (_signed(sequence=2**53 - 1), 422, {"pool-gap-too-wide"}),
    "overdraft": (_signed(amount=10**15), 422, {"balance-insufficient"}),
    "amount and fee overflow": (
        _signed(amount=2**64 - 1, fee=1_000),
        422,
        {"amount-overflow"},
    ),
    "amount above 64 bits": (_json(amount=str(2**64)), 400, {"number-too-large"}),
    "nothing in it": (_signed(amount=0), 422, {"transaction-empty"}),
    "too much data": (_signed(data=bytes(1_025)), 422, {"transaction-data-too-large"}),
    "no fee": (_signed(fee=0), 422, {"pool-fee-too-low"}),
    "stamped in 1970": (_signed(timestamp=1), 422, {"pool-timestamp"}),
    "stamped in the future": (_signed(timestamp=2**53 - 1), 422, {"pool-timestamp"}),
    "unknown field": (_json(memo="hello"), 400, {"unknown-field"}),
    "missing field": (_without("fee"), 400, {"missing-field"}),
    "float amount": (_replaced(f'"{COIN}"', "1.5"), 400, {"float-not-allowed"}),
    "integer amount": (_replaced(f'"{COIN}"', f"{COIN}"), 400, {"wrong-type"}),
    "negative amount": (_json(amount="-1"), 400, {"number-negative"}),
    "NaN": (_replaced(f'"{COIN}"', "NaN"), 400, {"not-a-number"}),
    "infinity": (_replaced(f'"{COIN}"', "Infinity"), 400, {"not-a-number"}),
    "boolean sequence": (_json(sequence=True), 400, {"wrong-type"}),
    "negative sequence": (_json(sequence=-1), 400, {"number-negative"}),
    "null recipient": (_json(recipient=None), 400, {"wrong-type"}),
    "digits of another script": (_json(amount="١٢٣"), 400, {"number-invalid"}),
    "amount with underscores": (_json(amount="1_000"), 400, {"number-invalid"}),
    "short key": (_json(public_key="02" * 10), 400, {"hex-invalid"}),
    "no hexadecimal": (_json(signature="zz" * 64), 400, {"hex-invalid"}),
    "duplicate key": (_replaced('"fee"', '"fee": "1", "fee"'), 400, {"duplicate-key"}),
    "invalid UTF-8": (_not_utf8, 400, {"invalid-utf8"}),
    "lone surrogate": (_replaced('"data": "', '"data": "\\ud800'), 400, {"malformed-json"}),
    "not JSON": (lambda _: b"{", 400, {"malformed-json"}),
    "nothing at all": (lambda _: b"", 400, {"body-empty"}),
    "a number": (lambda _: b"5", 400, {"wrong-type"}),
    "an array of numbers": (lambda _: b"[1, 2]", 400, {"wrong-type"}),
    "an empty array": (lambda _: b"[]", 400, {"value-out-of-range"}),
    "deep nesting": (lambda _: b"[" * 100_000, 400, {"nesting-too-deep"}),
    "ten mebibytes": (lambda _: b" " * TEN_MIB, 413, {"body-too-large"}),
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("case", SINGLE)
def test_refuses_a_transaction(ground: Ground, case: str) -> None:
    make, status, codes = SINGLE[case]
    _check_problem(ground.post(make(ground)), status, codes)


BINARY: dict[str, tuple[Make, set[str]]] = {
    "truncated": (lambda ground: ground.sign().raw[:-1], {"encoding-truncated"}),
    "one byte": (lambda _: b"\x01", {"encoding-truncated"}),
    "a byte too many": (
        lambda ground: ground.sign().raw + b"\x01",
        {"encoding-truncated", "encoding-trailing-bytes"},
    ),
    "another version": (lambda ground: b"\x02" + ground.sign().raw[1:], {"transaction-version"}),
    "too much data": (
        lambda ground: ground.sign(data=bytes(1_025)).raw,
        {"transaction-data-too-large"},
    ),
    "bytes of chance": (lambda _: bytes(range(256)) * 3, {"transaction-version"}),
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("case", BINARY)
def test_refuses_bytes_that_are_no_transaction(ground: Ground, case: str) -> None:
    make, codes = BINARY[case]
    reply = ground.post(make(ground), BYTES)
    assert reply.status in (400, 422)
    _check_problem(reply, reply.status, codes)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_refuses_other_content_types(ground: Ground, content_type: str) -> None:
    body = json.dumps(ground.document()).encode()
    _check_problem(ground.post(body, content_type), 415, {"wrong-content-type"})


@pytest.mark.usefixtures("unchanged")
def test_refuses_more_than_500_at_once(ground: Ground) -> None:
    body = json.dumps([ground.document()] * 501).encode()
    reply = ground.post(body)
    assert reply.status in (400, 413, 422)
    _check_problem(reply, reply.status, {"too-many"})


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("method", "path", "status", "codes"),
    [
        ("GET", "/api/v1/blocks/zz", 400, None),
        ("GET", "/api/v1/blocks/-1", 400, None),
        ("GET", "/api/v1/blocks/99999999999999999999", 404, None),
        ("GET", f"/api/v1/blocks/{'ab' * 32}", 404, {"not-found"}),
        ("GET", "/api/v1/blocks?limit=0", 400, None),
        ("GET", "/api/v1/blocks?limit=ten", 400, None),
        ("GET", "/api/v1/blocks?before=-5", 400, None),
        ("GET", "/api/v1/blocks?before=%00", 400, None),
        ("GET", "/api/v1/transactions/abc", 400, None),
        ("GET", f"/api/v1/transactions/{'ab' * 32}", 404, {"not-found"}),
        ("GET", f"/api/v1/transactions/{'ab' * 32}/proof", 404, {"not-found"}),
        ("GET", "/api/v1/accounts/nobody", 400, {"address-invalid"}),
        ("GET", "/api/v1/pool?cursor=';drop table pool", 400, None),
        ("GET", "/api/v1/nowhere", 404, {"not-found"}),
        ("DELETE", "/api/v1/blocks", 405, {"method-not-allowed"}),
        ("POST", "/api/v1/mine", 401, {"unauthorized"}),
        ("POST", "/api/v1/nodes", 400, None),
    ],
)
def test_refuses_bad_questions(
    ground: Ground, method: str, path: str, status: int, codes: set[str] | None
) -> None:
    body = b"{}" if method == "POST" else None
    path = path.replace(" ", "%20").replace("'", "%27")
    reply = ground.node.api.call(method, path, body, {"Content-Type": JSON} if body else {})
    accepted = {status, 422} if status == 400 else {404, 400} if "999" in path else {status}
    assert reply.status in accepted, reply.body
    _check_problem(reply, reply.status, codes)


@pytest.mark.usefixtures("unchanged")
def test_refuses_a_wrong_operator_token(ground: Ground) -> None:
    reply = ground.node.api.post_json("mine", {"blocks": 1}, token="not-the-token")
    _check_problem(reply, 401, {"unauthorized"})


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"POST /api/v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        (
            b"POST /api/v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["binary", "negative length", "two lengths", "long header", "long path"],
)
def test_survives_what_is_no_http(ground: Ground, rubbish: bytes) -> None:
    address = ("127.0.0.1", ground.node.spec.http_port)
    with socket.create_connection(address, timeout=10) as connection:
        try:
            connection.sendall(rubbish)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(4_096)
        except OSError:
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:200]
    assert ground.node.is_ready()


def test_body_without_end_is_cut_off(ground: Ground) -> None:
    """A chunked body tells no length: the node must stop reading by itself."""
    head = (
        b"POST /api/v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    address = ("127.0.0.1", ground.node.spec.http_port)
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(head)
        sent = 0
        try:
            while sent < 4 * TEN_MIB:
                connection.sendall(chunk)
                sent += len(chunk)
            connection.sendall(b"0\r\n\r\n")
            answer = connection.recv(4_096)
        except OSError:
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:200]
    assert ground.node.is_ready()


def _check_problem(reply: Reply, status: int, codes: set[str] | None) -> None:
    """That a reply is a problem document with one of these codes."""
    assert reply.status == status, (reply.status, reply.body[:500])
    assert reply.content_type == "application/problem+json"
    problem = reply.json()
    assert problem["status"] == status
    assert problem["detail"]
    assert problem["title"]
    assert isinstance(problem["code"], str)
    if codes is not None:
        assert problem["code"] in codes, problem

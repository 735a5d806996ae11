"""The book of nodes: who is admitted, scored, banned, replaced and kept."""

import dataclasses

import msgspec
import pytest

from cairn.consensus.errors import Rule, RuleError
from cairn.network.book import FORGET_SECONDS, NodeBook
from cairn.network.keys import CurveKeyPair, generate_curve_keys
from cairn.network.records import NodeRecord, encode_record, sign_record
from cairn.network.settings import AccountSigner, PeerSettings
from tests.support.builders import make_key

NETWORK = bytes(32)
NOW = 1_800_000_000
KEYS = [generate_curve_keys() for _ in range(6)]
OWN = KEYS[5]


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


def make_book(clock: Clock | None = None, **settings: object) -> NodeBook:
    base = PeerSettings(OWN, admission="open", allowed_ranges=("127.0.0.0/8",))
    return NodeBook(
        dataclasses.replace(base, **settings),  # type: ignore[arg-type]
        NETWORK,
        clock or Clock(),
    )


def make_record(
    keys: CurveKeyPair = KEYS[0], account: int = 0, timestamp: int = NOW, port: int = 1
) -> bytes:
    key = make_key(account)
    record = NodeRecord(
        NETWORK, f"node-{port}", "http://127.0.0.1", f"tcp://127.0.0.1:{port}",
        f"tcp://127.0.0.1:{port + 1}", keys.public, key.public_key, "1", timestamp,
    )  # fmt: skip
    return encode_record(sign_record(record, AccountSigner(key.public_key, key.sign)))


def rule_of(error: RuleError | None) -> Rule | None:
    return None if error is None else error.rule


def test_learns_a_record_once() -> None:
    book = make_book()
    assert book.learn(make_record()) is not None
    assert book.learn(make_record()) is None
    assert [view.name for view in book.views()] == ["node-1"]


def test_never_learns_itself() -> None:
    book = make_book()
    assert book.learn(make_record(OWN)) is None
    assert book.views() == []


def test_newer_record_replaces_an_older_one_and_not_the_reverse() -> None:
    book = make_book()
    book.learn(make_record(port=1))
    assert book.learn(make_record(timestamp=NOW + 5, port=7)) is not None
    assert book.learn(make_record(timestamp=NOW + 1, port=9)) is None
    assert book.views()[0].publish == "tcp://127.0.0.1:7"


def test_curve_key_stays_with_its_first_account_until_its_holder_speaks() -> None:
    book = make_book()
    book.learn(make_record(account=1))
    with pytest.raises(RuleError, match="another account"):
        book.learn(make_record(account=2, timestamp=NOW + 9))
    with pytest.raises(RuleError, match="another account"):
        book.learn(make_record(account=2), proven_by=KEYS[1].public)
    node = book.learn(make_record(account=2), proven_by=KEYS[0].public)
    assert node is not None
    book.touch(node)
    with pytest.raises(RuleError, match="another account"):
        book.learn(make_record(account=1, timestamp=NOW + 9), proven_by=KEYS[0].public)


def test_allowlist_refuses_keys_and_records_of_others() -> None:
    book = make_book(admission="allowlist", allowed_keys=(KEYS[0].public,))
    assert book.refusal(KEYS[0].public) is None
    assert rule_of(book.refusal(KEYS[1].public)) is Rule.PEER_NOT_ADMITTED
    assert book.learn(make_record(KEYS[0])) is not None
    with pytest.raises(RuleError) as refused:
        book.learn(make_record(KEYS[1]))
    assert refused.value.rule is Rule.PEER_NOT_ADMITTED


def test_hundred_points_ban_for_a_day() -> None:
    clock = Clock()
    book = make_book(clock)
    book.learn(make_record())
    assert not book.punish(KEYS[0].public, 99, "nearly")
    assert book.punish(KEYS[0].public, 1, "enough")
    assert rule_of(book.refusal(KEYS[0].public)) is Rule.PEER_BANNED
    assert book.records(10) == []
    assert book.candidates() == []
    clock.now += 24 * 3_600 + 1
    assert book.refusal(KEYS[0].public) is None


def test_points_are_forgiven_by_the_minute() -> None:
    clock = Clock()
    book = make_book(clock)
    book.learn(make_record())
    book.punish(KEYS[0].public, 90, "once")
    clock.now += 30 * 60
    assert book.views()[0].score == 60
    assert not book.punish(KEYS[0].public, 20, "again")


def test_operator_bans_and_lifts() -> None:
    book = make_book()
    book.set_ban(KEYS[3].public, True)
    assert rule_of(book.refusal(KEYS[3].public)) is Rule.PEER_BANNED
    book.set_ban(KEYS[3].public, False)
    assert book.refusal(KEYS[3].public) is None
    with pytest.raises(RuleError):
        book.set_ban("no key", True)


def test_blocked_endpoint_shuts_out_whoever_names_it() -> None:
    book = make_book(blocked_endpoints=("tcp://127.0.0.1:2",))
    book.learn(make_record(port=1))  # its request port is 2
    assert rule_of(book.refusal(KEYS[0].public)) is Rule.PEER_NOT_ADMITTED
    assert book.candidates() == []
    assert book.records(10) == []


def test_everything_survives_the_store() -> None:
    clock = Clock()
    book = make_book(clock)
    node = book.learn(make_record(KEYS[0], port=1))
    book.learn(make_record(KEYS[1], account=1, port=3))
    assert node is not None
    book.touch(node)
    book.punish(KEYS[1].public, 100, "bad")
    book.set_ban(KEYS[2].public, True)
    rows, removed = book.take_changes()
    assert {row.state for row in rows} == {"known", "banned"}
    assert book.take_changes() == ([], [])
    other = make_book(clock)
    other.load(rows)
    assert other.views() == book.views()
    assert rule_of(other.refusal(KEYS[1].public)) is Rule.PEER_BANNED
    assert rule_of(other.refusal(KEYS[2].public)) is Rule.PEER_BANNED
    other.put_back(rows, removed)
    assert {row.curve_key for row in other.take_changes()[0]} == {row.curve_key for row in rows}


def test_stored_node_this_network_no_longer_allows_is_forgotten() -> None:
    book = make_book()
    book.learn(make_record())
    rows, _ = book.take_changes()
    strict = make_book(allowed_ranges=())
    strict.load(rows)
    assert strict.views() == []
    assert strict.take_changes() == ([], [KEYS[0].public])


def test_nodes_not_heard_of_are_forgotten_after_two_weeks() -> None:
    clock = Clock()
    book = make_book(clock)
    book.learn(make_record(KEYS[0]))
    clock.now += FORGET_SECONDS - 10
    seen = book.learn(make_record(KEYS[1], account=1, port=3))
    assert seen is not None
    clock.now += 20
    book.forget_old()
    assert [view.curve_key for view in book.views()] == [KEYS[1].public]
    assert KEYS[0].public in book.take_changes()[1]


def test_book_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cairn.network.book.MAX_KNOWN_NODES", 2)
    clock = Clock()
    book = make_book(clock)
    kept = book.learn(make_record(KEYS[0]))
    assert kept is not None
    book.touch(kept)
    for number in (1, 2):
        clock.now += 1
        book.learn(make_record(KEYS[number], account=number, port=10 * number))
    assert {view.curve_key for view in book.views()} == {KEYS[0].public, KEYS[2].public}


def test_candidates_are_tried_by_what_is_known_of_them() -> None:
    clock = Clock()
    book = make_book(clock)
    for number in range(4):
        book.learn(make_record(KEYS[number], account=number, port=10 * number + 1))
    seen, failing, waiting, fresh = book.nodes()
    book.touch(seen)
    failing.failures = 2
    waiting.attempt_at = clock.now + 60
    assert book.candidates() == [seen, fresh, failing]


def test_record_with_wrong_signature_is_not_learned() -> None:
    record = msgspec.msgpack.decode(make_record())
    record[1] = "forged"
    book = make_book()
    with pytest.raises(RuleError) as refused:
        book.learn(msgspec.msgpack.encode(record))
    assert refused.value.rule is Rule.SIGNATURE_INVALID
    assert book.views() == []

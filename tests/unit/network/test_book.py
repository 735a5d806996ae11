"""The book of nodes: who is admitted, scored, banned, replaced and kept."""

import dataclasses

import msgspec
import pytest

from cairn.consensus.errors import Rule, RuleError
from cairn.network import book as book_module
from cairn.network.book import FORGET_SECONDS, NodeBook
from cairn.network.crowds import MAX_PER_ACCOUNT, STALE_SECONDS
from cairn.network.keys import CurveKeyPair, generate_curve_keys
from cairn.network.known import Node
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


def test_curve_key_is_its_holders_and_nobody_keeps_it_from_them() -> None:
    book = make_book()
    book.learn(make_record(account=1))
    assert book.learn(make_record(account=2)) is not None  # neither has proved anything
    assert book.learn(make_record(account=1), proven_by=KEYS[1].public) is not None
    assert book.learn(make_record(account=2), proven_by=KEYS[0].public) is not None
    for proven_by in (None, KEYS[0].public):
        with pytest.raises(RuleError, match="another account"):
            book.learn(make_record(account=1, timestamp=NOW + 9), proven_by=proven_by)


def test_record_learned_by_hearsay_is_proven_by_its_holder() -> None:
    book = make_book()
    book.learn(make_record(account=1))
    assert book.learn(make_record(account=1), proven_by=KEYS[0].public) is None
    with pytest.raises(RuleError, match="another account"):
        book.learn(make_record(account=2, timestamp=NOW + 9))


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


def test_a_ban_outlives_the_crowd_of_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though its key was forgotten before, in the time between two saves."""
    monkeypatch.setattr(book_module, "MAX_STRANGERS", 3)
    book = make_book()
    for key in ("culprit", "a", "b", "c"):
        book.punish(key, 20, "a little")
    assert book.punish("culprit", 100, "too much")
    rows, removed = book.take_changes()
    assert [row.curve_key for row in rows if row.state == "banned"] == ["culprit"]
    assert "culprit" not in removed
    for key in ("d", "e", "f"):
        book.punish(key, 1, "a little")
    assert rule_of(book.refusal("culprit")) is Rule.PEER_BANNED


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


def public_record(keys: CurveKeyPair, account: int, host: str, timestamp: int = NOW) -> bytes:
    key = make_key(account)
    record = NodeRecord(
        NETWORK, "public", "http://127.0.0.1", f"tcp://{host}:1", f"tcp://{host}:2",
        keys.public, key.public_key, "1", timestamp,
    )  # fmt: skip
    return encode_record(sign_record(record, AccountSigner(key.public_key, key.sign)))


def learn_proven(book: NodeBook, raw: bytes, keys: CurveKeyPair) -> Node | None:
    return book.learn(raw, proven_by=keys.public)


def test_an_account_has_few_places() -> None:
    clock = Clock()
    book = make_book(clock)
    for number, keys in enumerate(KEYS[:MAX_PER_ACCOUNT]):
        assert learn_proven(book, make_record(keys, port=10 * number + 1), keys)
    assert book.learn(make_record(KEYS[4], port=91)) is None
    assert len(book.nodes()) == MAX_PER_ACCOUNT
    clock.now += STALE_SECONDS + 1
    assert book.learn(make_record(KEYS[4], port=91)) is not None
    assert book.get(KEYS[0].public) is None
    assert len(book.nodes()) == MAX_PER_ACCOUNT


def test_a_neighbourhood_has_few_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cairn.network.book.MAX_PER_NEIGHBOURHOOD", 2)
    book = make_book()
    for number in range(2):
        keys = KEYS[number]
        assert learn_proven(book, public_record(keys, number, f"8.8.8.{number + 1}"), keys)
    assert book.learn(public_record(KEYS[2], 2, "8.8.8.77")) is None
    assert book.learn(public_record(KEYS[2], 2, "8.8.9.77")) is not None
    assert book.learn(public_record(KEYS[2], 2, "8.8.8.77", NOW + 1)) is None  # nor by moving
    assert book.learn(make_record(KEYS[2], 2, NOW + 2)) is not None  # an allowed range
    assert len(book.nodes()) == 3


def test_alphas_have_a_place_in_a_full_book(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cairn.network.book.MAX_KNOWN_NODES", 2)
    clock = Clock()
    book = make_book(clock)
    for number in range(2):
        learn_proven(book, make_record(KEYS[number], number, port=10 * number + 1), KEYS[number])
    alpha = make_record(KEYS[2], account=2, port=51)
    assert book.learn(alpha) is None
    book.reserve(alpha)
    node = book.learn(alpha)
    assert node is not None
    assert book.candidates()[0] is node
    clock.now += 2 * STALE_SECONDS
    fresh = make_record(KEYS[3], 3, int(clock.now), port=61)
    assert learn_proven(book, fresh, KEYS[3]) is not None
    assert book.learn(make_record(KEYS[4], 4, port=71)) is None
    assert {each.record.curve_key for each in book.nodes()} == {KEYS[2].public, KEYS[3].public}


def test_remembered_alpha_keeps_its_place_and_who_names_its_url_gains_none() -> None:
    clock = Clock()
    before = make_book(clock)
    assert learn_proven(before, make_record(KEYS[2], 2, NOW, port=51), KEYS[2]) is not None
    clock.now += 1
    pretender = make_record(KEYS[3], 3, int(clock.now), port=61)
    assert learn_proven(before, pretender, KEYS[3]) is not None
    rows, _ = before.take_changes()
    book = make_book(clock, alphas=("http://127.0.0.1",))
    book.load(rows[::-1])
    clock.now += 2 * STALE_SECONDS
    assert book.candidates()[0].record.curve_key == KEYS[2].public
    account = [
        learn_proven(book, make_record(KEYS[number], 3, int(clock.now), port=71), KEYS[number])
        for number in (0, 1)
    ]
    assert all(account)
    assert book.get(KEYS[2].public) is not None


def test_each_neighbourhood_has_its_turn_among_candidates() -> None:
    book = make_book()
    for number in range(4):
        book.learn(public_record(KEYS[number], number, f"8.8.8.{number + 1}"))
    book.learn(public_record(KEYS[4], 4, "9.9.9.9"))
    for _ in range(20):
        first_two = {node.neighbourhood for node in book.candidates()[:2]}
        assert first_two == {"8.8.8.0/24", "9.9.9.0/24"}


def test_allowed_keys_are_not_counted() -> None:
    allowed = tuple(keys.public for keys in KEYS)
    book = make_book(admission="allowlist", allowed_keys=allowed)
    for number, keys in enumerate(KEYS[:5]):
        assert learn_proven(book, make_record(keys, port=10 * number + 1), keys)
    assert len(book.nodes()) == 5 > MAX_PER_ACCOUNT

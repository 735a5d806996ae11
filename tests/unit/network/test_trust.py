"""Claims of work: who is asked first, and how long a peer is left alone."""

from cairn.network.trust import MAX_PAUSE_SECONDS, ClaimHistory


def test_pauses_double_up_to_their_limit() -> None:
    history = ClaimHistory()
    pauses = [history.failed("liar", 30.0, 0.0) for _ in range(100)]
    assert pauses[:6] == [30.0, 60.0, 120.0, 240.0, 480.0, MAX_PAUSE_SECONDS]
    assert set(pauses[5:]) == {MAX_PAUSE_SECONDS}
    assert not history.may_ask("liar", MAX_PAUSE_SECONDS - 1)
    assert history.may_ask("liar", MAX_PAUSE_SECONDS)


def test_delivering_ends_distrust() -> None:
    history = ClaimHistory()
    history.failed("peer", 5.0, 0.0)
    history.lied("peer")
    history.delivered("peer")
    assert history.failed("peer", 5.0, 0.0) == 5.0
    assert history.lied("peer") == 1


def test_who_delivered_goes_before_strangers_and_strangers_before_who_failed() -> None:
    history = ClaimHistory()
    history.delivered("honest")
    history.failed("honest", 5.0, 0.0)  # one mishap
    history.failed("liar", 5.0, 0.0)
    ranked = sorted(["liar", "stranger", "honest"], key=history.rank)
    assert ranked == ["honest", "stranger", "liar"]


def test_equals_take_turns() -> None:
    history = ClaimHistory()
    turns: list[str] = []
    for moment in range(1, 7):
        key = min(["a", "b", "c"], key=history.rank)
        history.asked(key, float(moment))
        turns.append(key)
    assert turns == ["a", "b", "c", "a", "b", "c"]


def test_new_keys_do_not_fill_memory() -> None:
    history = ClaimHistory()
    for number in range(3_000):
        history.failed(str(number), 5.0, 0.0)
    assert history.may_ask("0", 0.0)
    assert not history.may_ask("2999", 0.0)

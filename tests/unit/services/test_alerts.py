"""What a listener warns its operator of."""

from cairn.ipc.messages import Alert
from cairn.services.listener.alerts import AlertBook, clock_problem, difficulty_problem
from tests.support.builders import ChainBuilder, make_params


def test_an_alert_keeps_its_time_until_it_is_over() -> None:
    now = 100
    book = AlertBook(lambda: now)
    book.set("disk-low", "10 MiB are free")
    now = 200
    book.set("disk-low", "9 MiB are free")
    assert book.current() == [Alert("disk-low", "9 MiB are free", 100)]
    book.set("disk-low", None)
    assert book.current() == []


def test_blocks_at_the_easiest_target_are_a_problem() -> None:
    params = make_params(initial_target=0x1F7FFFFF, target_limit=0x207FFFFF, half_life_seconds=60)
    chain = ChainBuilder(params)
    hard = chain.mine(timestamp=params.genesis_time + 600)
    easy = chain.mine(timestamp=params.genesis_time + 1_200)
    assert difficulty_problem(hard.header.encode(), params) is None
    problem = difficulty_problem(easy.header.encode(), params)
    assert problem is not None
    assert "2 hashes" in problem


def test_but_not_on_a_network_that_begins_there() -> None:
    chain = ChainBuilder(make_params())
    assert difficulty_problem(chain.mine().header.encode(), chain.params) is None


def test_a_clock_is_behind_when_most_peers_blocks_would_be_refused() -> None:
    assert clock_problem(120) is None
    assert "121 s" in str(clock_problem(121))

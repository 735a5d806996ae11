"""Known nodes, on every database."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from cairn.chain.node_store import NodeRow
from cairn.storage.node_store import SqlNodeStore
from cairn.storage.queries import Queries


def node(number: int, **changes: object) -> NodeRow:
    row = NodeRow(
        curve_key=f"{number:040d}",
        record=bytes(range(256)) * 8,
        name=f"node {number} 'ü\\%s\" 🪨",
        url=f"https://node{number}.example",
        publish="tcp://192.0.2.1:28600",
        request="tcp://192.0.2.1:28601",
        address=number.to_bytes(20, "big"),
        version="1.2.3",
        state="known",
        height=number,
        lag_milliseconds=0,
        score=0,
        banned_until=0,
        first_seen=1_700_000_000 + number,
        last_seen=1_700_000_000,
    )
    return replace(row, **changes)


@pytest.fixture
def node_store(engine: Engine) -> SqlNodeStore:
    return SqlNodeStore(engine)


def test_knows_nobody_at_first(node_store: SqlNodeStore) -> None:
    assert node_store.load_nodes() == []


def test_keeps_every_field(node_store: SqlNodeStore, queries: Queries) -> None:
    rows = [node(2), node(1, height=2**32 - 1, score=100, banned_until=2**40, state="banned")]
    node_store.save_nodes(rows)
    assert node_store.load_nodes() == rows[::-1], "in the order first seen"
    assert queries.nodes() == rows[::-1]


def test_saving_again_replaces(node_store: SqlNodeStore) -> None:
    node_store.save_nodes([node(1), node(2)])
    changed = node(1, state="connected", height=99, name="another", record=b"")
    node_store.save_nodes([changed, node(3)])
    assert node_store.load_nodes() == [changed, node(2), node(3)]


def test_keys_differ_by_case(node_store: SqlNodeStore) -> None:
    rows = [node(1, curve_key="a" * 40), node(2, curve_key="A" * 40), node(3, curve_key="aB" * 20)]
    node_store.save_nodes(rows)
    assert node_store.load_nodes() == rows


def test_forgets_nodes(node_store: SqlNodeStore) -> None:
    rows = [node(number) for number in range(5)]
    node_store.save_nodes(rows)
    node_store.delete_nodes([rows[0].curve_key, rows[3].curve_key, "x" * 40])
    assert node_store.load_nodes() == [rows[1], rows[2], rows[4]]


def test_nothing_to_do_is_no_error(node_store: SqlNodeStore) -> None:
    node_store.save_nodes([])
    node_store.delete_nodes([])
    assert node_store.load_nodes() == []


def test_takes_a_thousand_nodes(node_store: SqlNodeStore) -> None:
    rows = [node(number) for number in range(1_000)]
    node_store.save_nodes(rows)
    assert node_store.load_nodes() == rows
    node_store.delete_nodes([row.curve_key for row in rows])
    assert node_store.load_nodes() == []


def test_a_banned_key_without_a_record_is_kept_but_no_node(
    node_store: SqlNodeStore, queries: Queries
) -> None:
    stranger = node(1, record=b"", address=bytes(20), state="banned", banned_until=2**40)
    node_store.save_nodes([stranger, node(2)])
    assert node_store.load_nodes() == [stranger, node(2)]
    assert queries.nodes() == [node(2)]

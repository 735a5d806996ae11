"""What a development network says without a terminal, and what it takes for haste."""

import io
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from cairn.cli.devnet import stopping
from cairn.cli.devnet.nodes import Node, NodeSpec
from cairn.cli.devnet.stopping import StopSignal
from cairn.cli.devnet.watch import NodeView, Watch

VIEW = NodeView("node-0", "http://127.0.0.1:1", height="5", pool="10", peers="2", state="synced")


@pytest.fixture
def stop() -> Iterator[StopSignal]:
    made = StopSignal()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        ({}, 1),
        ({"pool": "11"}, 1),
        ({"hash_rate": "1.00 MH/s"}, 1),
        ({"height": "6"}, 2),
        ({"peers": "1"}, 2),
        ({"state": "syncing"}, 2),
    ],
)
def test_a_line_is_for_news_and_not_for_the_pool(
    tmp_path: Path, change: dict[str, str], lines: int
) -> None:
    written = io.StringIO()
    node = Node(NodeSpec(0, tmp_path, tmp_path, 1, 2, 3, tmp_path / "genesis.json"))
    with Watch([node], Console(file=written), None) as watch:
        watch.tell([VIEW])
        watch.tell([replace(VIEW, **change)])
    assert len(written.getvalue().splitlines()) == lines


def test_a_doubled_signal_is_one(stop: StopSignal) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.wait(5)
    assert stop.count == 1


def test_a_later_signal_means_haste(stop: StopSignal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "SAME_SECONDS", 0.0)
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    assert stop.wait(5)
    assert stop.count == 2

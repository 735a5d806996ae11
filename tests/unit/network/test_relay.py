"""Peers whose transactions the ledger refuses: no blame, but bounded work."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from cairn.consensus.errors import Rule, RuleError
from cairn.network import relay as relay_module
from cairn.network.link import LinkEvents, PeerLink
from cairn.network.messages import TransactionsBroadcast
from cairn.network.port import LedgerPort
from cairn.network.relay import TransactionRelay

CHEAP = b"too cheap"


KNOWN = b"known"


class ChoosyLedger:
    """Refuses what begins as `CHEAP` does, or `KNOWN`, and remembers what it was offered."""

    def __init__(self) -> None:
        self.offered: list[bytes] = []

    async def accept_transactions(self, raws: Sequence[bytes]) -> list[RuleError | None]:
        self.offered += raws
        return [self._judge(raw) for raw in raws]

    def _judge(self, raw: bytes) -> RuleError | None:
        if raw.startswith(KNOWN):
            return RuleError(Rule.POOL_DUPLICATE, "waits already")
        return RuleError(Rule.POOL_FEE_TOO_LOW, "pays nothing") if raw.startswith(CHEAP) else None


def test_refusals_cost_a_peer_its_turn_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "REFUSED_AT_ONCE", 600.0)
    monkeypatch.setattr(relay_module, "REFUSED_PER_SECOND", 0.001)

    async def pass_on() -> None:
        ledger = ChoosyLedger()
        pusher, honest = (PeerLink(key, cast(LinkEvents, None), 5, 5) for key in ("a", "b"))
        punished: list[str] = []
        relay = TransactionRelay(
            cast(LedgerPort, ledger),
            list,
            lambda key, *_: punished.append(key),
            lambda: True,
        )
        relay.start()
        for sequence in range(1, 5):
            cheap = [CHEAP + b"%d %d" % (sequence, number) for number in range(500)]
            relay.receive(pusher, TransactionsBroadcast(sequence, cheap))
        # What others told us before is no fault of who tells it again.
        known = [KNOWN + b"%d" % number for number in range(1_500)]
        for sequence in range(1, 4):
            portion = known[sequence * 500 - 500 : sequence * 500]
            relay.receive(honest, TransactionsBroadcast(sequence, portion))
        relay.receive(honest, TransactionsBroadcast(4, [b"good"]))
        while b"good" not in ledger.offered:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert len(ledger.offered) == 2_501  # two batches, what is known, and the good one
        relay.receive(pusher, TransactionsBroadcast(5, [b"good, but from whom?"]))
        # Another peer brings what was dropped, and is heard.
        relay.receive(honest, TransactionsBroadcast(5, [b"good, but from whom?"]))
        while len(ledger.offered) < 2_502:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert pusher.pool_wanted
        assert punished == []
        await relay.stop()

    asyncio.run(asyncio.wait_for(pass_on(), 20))

"""Signatures are checked once, and no more passes are remembered than allowed."""

import pytest

from cairn.chain import signatures
from cairn.chain.signatures import SignatureChecker
from cairn.consensus.errors import Rule
from cairn.consensus.transaction import Transaction, decode_transaction
from tests.support.builders import make_key, make_params, make_transaction
from tests.support.refusals import refused

PARAMS = make_params({})
NETWORK = PARAMS.network_id()
GOOD = [make_transaction(make_key(1), PARAMS, number, bytes(20), 1, 1) for number in range(150)]
BAD = [decode_transaction(each.raw[:-1] + bytes([each.raw[-1] ^ 1]), NETWORK) for each in GOOD[:3]]


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Ids of the transactions that were really verified."""
    seen: list[bytes] = []
    check = signatures.check_signature

    def counting(transaction: Transaction, network_id: bytes) -> None:
        seen.append(transaction.id)
        check(transaction, network_id)

    monkeypatch.setattr(signatures, "check_signature", counting)
    return seen


def test_a_pass_is_remembered_and_a_fault_is_not(checked: list[bytes]) -> None:
    checker = SignatureChecker(NETWORK)
    assert checker.faults([GOOD[0]]) == checker.faults([GOOD[0]]) == [None]
    assert len(checked) == 1
    for _ in range(2):
        (fault,) = checker.faults([BAD[1]])
        assert fault is not None
        assert fault.rule is Rule.SIGNATURE_INVALID
    assert len(checked) == 3
    checker.close()


def test_forgets_the_oldest_pass_beyond_its_bound(checked: list[bytes]) -> None:
    checker = SignatureChecker(NETWORK, remembered=2)
    checker.faults(GOOD[:3])
    checked.clear()
    checker.faults(GOOD[1:3])
    assert checked == []
    checker.faults(GOOD[:1])
    assert checked == [GOOD[0].id]
    checker.close()


def test_answers_in_order_however_many_threads_share_the_work(checked: list[bytes]) -> None:
    checker = SignatureChecker(NETWORK, workers=3)
    many = [*GOOD[:70], BAD[0], *GOOD[70:140], BAD[1], BAD[2]]
    faults = checker.faults(many)
    assert [position for position, fault in enumerate(faults) if fault] == [70, 141, 142]
    assert sorted(checked) == sorted(each.id for each in many)
    assert checker.faults([]) == []
    checker.close()


def test_raises_the_first_fault() -> None:
    checker = SignatureChecker(NETWORK)
    checker.check(GOOD[:5])
    with refused(Rule.SIGNATURE_INVALID) as caught:
        checker.check([GOOD[0], BAD[2], BAD[0]])
    assert BAD[2].id.hex() in str(caught.value)
    checker.close()

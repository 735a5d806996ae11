"""Asserting that a rule was broken, by name and numbers."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cairn.consensus.errors import Rule, RuleError


@contextmanager
def refused(rule: Rule, **numbers: int | str) -> Iterator[pytest.ExceptionInfo[RuleError]]:
    """The block must raise RuleError with this rule, and with at least these numbers."""
    with pytest.raises(RuleError) as caught:
        yield caught
    error = caught.value
    assert error.rule is rule, str(error)
    assert numbers.items() <= error.numbers.items(), error.numbers
    assert str(error) == f"{rule.value}: {error.detail}"

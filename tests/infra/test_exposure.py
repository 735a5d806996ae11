"""How exposed the services are, as systemd scores them."""

import pytest
from testinfra.host import Host

from tests.support.lab import SERVICES


@pytest.mark.parametrize("unit", SERVICES)
def test_exposure_is_at_most_one_and_a_half(host: Host, unit: str) -> None:
    done = host.run("systemd-analyze security --no-pager --threshold=15 %s", unit)
    assert done.rc == 0, done.stdout[-400:]

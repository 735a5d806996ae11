"""Fixtures for all tests: a private MariaDB server, and an empty database on either engine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.mariadb import PrivateMariaDB

# Machines that run tests are busy: how long one example takes says nothing about the code.
settings.register_profile(
    "cairn", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("cairn")

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[PrivateMariaDB]:
    """One MariaDB server for the whole run, started when the first test asks for it."""
    with PrivateMariaDB() as server:
        yield server


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """SQLAlchemy URL of a new, empty database; the test runs once on each engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'cairn.db'}"
        return
    server: PrivateMariaDB = request.getfixturevalue("mariadb")
    server.start()  # a test before this one may have killed it
    name = f"cairn_test_{next(_numbers)}"
    yield server.create_database(name)
    server.start()
    server.drop_database(name)

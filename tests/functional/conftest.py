"""Fixtures for functional tests; a failing test tells the ends of the nodes' logs."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.support import network as networks
from tests.support.network import PATIENT_MINER, LocalNetwork


@pytest.fixture
def make_network(tmp_path: Path) -> Iterator[Callable[..., LocalNetwork]]:
    """Makes networks that end with the test; numbers of the genesis file may be given."""
    made: list[LocalNetwork] = []

    def make(**genesis: int) -> LocalNetwork:
        folder = tmp_path / f"network-{len(made)}"
        folder.mkdir()
        made.append(LocalNetwork(folder, **genesis))
        return made[-1]

    yield make
    for network in made:
        network.close()


@pytest.fixture(scope="session")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """Three nodes that mine by themselves, for tests that leave the network sound."""
    with LocalNetwork(tmp_path_factory.mktemp("trio")) as network:
        network.add_nodes(3)
        yield network


@pytest.fixture(scope="session")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """One node that mines when it is asked to and never else: nothing moves by itself."""
    with LocalNetwork(tmp_path_factory.mktemp("quiet")) as network:
        network.add_nodes(1, overrides={"miner": PATIENT_MINER})
        yield network


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds the logs of networks that run to the report of a failure."""
    report = yield
    if report.failed:
        used = [each for each in networks.alive if each in item.funcargs.values()]  # type: ignore[attr-defined]
        for network in used or networks.alive:
            report.sections.append((f"logs in {network.folder}", network.logs()))
    return report

"""A headless browser (Debian's Chromium and its driver), and a node for it to look at."""

import shutil
from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from tests.support.builders import COIN, make_key
from tests.support.gunicorn import running_gunicorn
from tests.support.network import free_ports
from tests.support.web import WebTestNode

ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-extensions", "--no-default-browser-check", "--window-size=1280,900",
)  # fmt: skip
NOTE = "<img src=x onerror=alert(1)> & “quotes”"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebTestNode]:
    """A listener with two blocks, a hostile note, and a transaction that waits."""
    running = WebTestNode(tmp_path_factory.mktemp("seen"))
    try:
        running.start_listener()
        alice, bob = make_key(0), make_key(1)
        running.submit([running.transaction(alice, bob, COIN, data=NOTE.encode())])
        running.mine(2)
        running.submit([running.transaction(bob, alice, COIN)])
        yield running
    finally:
        running.close()


@pytest.fixture(scope="module")
def url(node: WebTestNode) -> Iterator[str]:
    """Of its pages, served as they are in operation."""
    with running_gunicorn(node.config_file, free_ports(1)[0]) as (api, _):
        yield api.url


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """One for all tests: starting it takes seconds. Its profile is its own."""
    profile = tmp_path_factory.mktemp("profile")
    options = ChromeOptions()
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    programs = [shutil.which("chromium"), shutil.which("chromedriver")]
    assert all(programs), "this test needs Debian's packages chromium and chromium-driver"
    options.binary_location = str(programs[0])
    driver = Chrome(options, Service(str(programs[1])))
    try:
        yield driver
    finally:
        driver.quit()
        shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture
def browser(chromium: Chrome) -> Iterator[Chrome]:
    """The browser. After the test its console must hold no error."""
    yield chromium
    errors = [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"]
    chromium.get("about:blank")
    assert not errors, errors

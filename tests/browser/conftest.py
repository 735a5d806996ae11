"""A headless browser (Debian's Chromium and its driver), and nodes for it to look at."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from cairn.consensus.crypto import decode_address, encode_address
from cairn.wallet import build_transaction, load_key
from tests.browser.screens import FOLDER as SCREENSHOTS
from tests.support.builders import COIN, make_key
from tests.support.devnet import DevUp, free_base_port
from tests.support.gunicorn import running_gunicorn
from tests.support.network import free_ports
from tests.support.rest import RestApi
from tests.support.web import WebTestNode

AFAR = "node.test"
"""A name of the nodes under test that the browser takes for another machine's."""
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-extensions", "--no-default-browser-check", "--window-size=1280,900",
    "--hide-scrollbars", "--force-prefers-reduced-motion",  # clicks do not wait for scrolling
    f"--host-resolver-rules=MAP {AFAR} 127.0.0.1",
)  # fmt: skip
NOTE = "<img src=x onerror=alert(1)> & “quotes”"
NODES = 3
_REFUSALS = "pages of this test answer with 4xx, which browsers log as an error"
_OWN_SCHEMES = ("about", "blob", "chrome", "data")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"refusals: {_REFUSALS}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if SCREENSHOTS.is_dir():
        count = len(list(SCREENSHOTS.glob("*.png")))
        terminalreporter.write_line(f"{count} screenshots of the pages are in {SCREENSHOTS}")


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


class DevNet:
    """The development network as `./dev up` starts it: three nodes that mine by themselves."""

    def __init__(self, data: Path, base_port: int) -> None:
        self.data = data
        self.urls = [f"http://127.0.0.1:{base_port + 10 * number}" for number in range(NODES)]

    def operator_token(self, node: int = 0) -> str:
        """Of one node."""
        file = self.data / f"node-{node}" / "operator.token"
        return file.read_text(encoding="utf-8").strip()

    def operate(self, node: int, path: str, **fields: object) -> None:
        """Has a node's operator do this, which must not be refused."""
        reply = RestApi(self.urls[node]).post_json(path, fields, self.operator_token(node))
        assert reply.status in {200, 202}, reply.body

    def cairn(self, *words: str, node: int = 0) -> Any:
        """What the `cairn` command answers, as JSON; its wallets are the demo wallets."""
        program = Path(sys.executable).parent / "cairn"
        environment = {
            **os.environ,
            "CAIRN_URL": self.urls[node],
            "CAIRN_WALLET_DIR": str(self.data / "wallets"),
        }
        done = subprocess.run(
            [str(program), *words, "--json"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def send(self, sender: str, recipient: str, *words: str) -> str:
        """Sends from a demo wallet; the transaction's id."""
        answer = self.cairn("send", "--from", sender, "--to", recipient, "--yes", *words)
        return str(answer["id"])

    def pay_many(self, sender: str, recipient: str, fees: Sequence[int]) -> None:
        """Small payments of a demo wallet, one for each fee (base units), in one call."""
        api, key = RestApi(self.urls[0]), load_key(self.data / "wallets" / f"{sender}.pem")
        prefix = recipient.partition("1")[0]
        network_id = bytes.fromhex(api.get("blocks/0")["hash"])
        first = api.get(f"accounts/{encode_address(prefix, key.address)}")["next_sequence"]
        to, now = decode_address(prefix, recipient), int(time.time())
        paid = [
            build_transaction(key, network_id, first + number, to, COIN * (number + 1), fee, now)
            for number, fee in enumerate(fees)
        ]
        reply = api.post_transactions([each.raw for each in paid])
        assert reply.status == 202, reply.body


@pytest.fixture(scope="session")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevNet]:
    """One for all tests."""
    data = tmp_path_factory.mktemp("devnet") / "net"
    base_port = free_base_port(NODES)
    run = DevUp(data, "--nodes", str(NODES), base_port=base_port)
    try:
        run.wait_line(r"^ready")
        yield DevNet(data, base_port)
    finally:
        run.stop()


@pytest.fixture
def resting(devnet: DevNet) -> Iterator[DevNet]:
    """The network while no miner mines of itself: what is sent waits until a test says "mine"."""
    for node in range(NODES):
        devnet.operate(node, "miner", mode="off")
    yield devnet
    for node in range(NODES):
        devnet.operate(node, "miner", mode=None)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """One for all tests: starting it takes seconds. Its profile is its own."""
    profile = tmp_path_factory.mktemp("profile")
    downloads = tmp_path_factory.mktemp("downloads")
    options = ChromeOptions()
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    programs = [shutil.which("chromium"), shutil.which("chromedriver")]
    assert all(programs), "this test needs Debian's packages chromium and chromium-driver"
    options.binary_location = str(programs[0])
    driver = Chrome(options, Service(str(programs[1])))
    driver.downloads = downloads  # type: ignore[attr-defined]
    try:
        yield driver
    finally:
        driver.quit()
        shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture
def downloads(chromium: Chrome) -> Path:
    """Where the browser puts what it is given; empty at first."""
    folder: Path = chromium.downloads  # type: ignore[attr-defined]
    for file in folder.iterdir():
        file.unlink()
    return folder


@pytest.fixture
def browser(chromium: Chrome, request: pytest.FixtureRequest) -> Iterator[Chrome]:
    """The browser. After the test its console must hold no error, a breach of the pages'
    content policy being one, and it must have asked nobody but the nodes under test.
    """
    chromium.get_log("performance")
    chromium.get_log("browser")
    yield chromium
    errors = [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"]
    asked = _asked_origins(chromium)
    chromium.get("about:blank")
    if request.node.get_closest_marker("refusals"):
        errors = [entry for entry in errors if "the server responded with" not in entry["message"]]
    # A browser tells so of every page that comes over plain HTTP from elsewhere.
    told = f"http://{AFAR}:", "Cross-Origin-Opener-Policy header has been ignored"
    errors = [entry for entry in errors if not all(words in entry["message"] for words in told)]
    assert not errors, errors
    strangers = {origin for origin in asked if urlsplit(origin).hostname not in ("127.0.0.1", AFAR)}
    assert not strangers, strangers


def _asked_origins(chromium: Chrome) -> set[str]:
    """Scheme, host and port of every request since the log was read last."""
    origins = set()
    for entry in chromium.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            parts = urlsplit(message["params"]["request"]["url"])
            if parts.scheme not in _OWN_SCHEMES:
                origins.add(f"{parts.scheme}://{parts.netloc}")
    return origins

"""Whatever others put into a ledger, a record or a link is text on every page, and nothing else."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import quote

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from cairn.chain.node_store import NodeRow
from cairn.storage.engine import open_engine
from cairn.storage.migrate import migrate
from cairn.storage.node_store import SqlNodeStore
from tests.browser.hostile import CORPUS, EXTRA, HIDING, Watch
from tests.support.builders import COIN, ChainBuilder, make_key
from tests.support.chain import ChainNode
from tests.support.gunicorn import running_gunicorn
from tests.support.network import free_ports
from tests.support.polling import wait_until
from tests.support.rest import RestApi
from tests.support.web import TOKEN, WebTestNode

SECONDS = 20
ALL = (*CORPUS, *HIDING)
SENDER, RECIPIENT = make_key(0), make_key(1)
POLICY = "<meta http-equiv=Content-Security-Policy content=\"script-src 'none'\">"
pytestmark = pytest.mark.refusals


@dataclass(frozen=True)
class Place:
    """A node whose ledger, pool and list of nodes are full of hostile text."""

    url: str
    mined: tuple[str, ...]
    """Ids, in the order of `ALL`."""
    block: str
    account: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Half of its transactions are mined, in a block with a hostile `extra`; as many wait."""
    node = WebTestNode(tmp_path_factory.mktemp("hostile"))
    try:
        mined, block = _fill_chain(node)
        node.start_listener()
        waiting = [
            node.transaction(SENDER, RECIPIENT, data=text.encode(), sequence=len(ALL) + at)
            for at, text in enumerate(ALL)
        ]
        node.submit(waiting)
        _store_nodes(node)
        with running_gunicorn(node.config_file, free_ports(1)[0]) as (api, _):
            yield Place(api.url, mined, block, node.address(SENDER))
    finally:
        node.close()


def _fill_chain(node: WebTestNode) -> tuple[tuple[str, ...], str]:
    """Ids of the transactions, and the hash of the block that holds them."""
    chain = ChainBuilder(node.params)
    sent = [
        node.transaction(SENDER, RECIPIENT, COIN, data=text.encode(), sequence=at)
        for at, text in enumerate(ALL)
    ]
    block = chain.mine(sent, extra=EXTRA.encode())
    migrate(node.config.database_url)
    offline = ChainNode(node.config.database_url, node.params)
    try:
        offline.offer(block, now=int(time.time()))
        assert offline.chain.tip.hash == block.hash
    finally:
        offline.close()
    return tuple(each.id.hex() for each in sent), block.hash.hex()


def _store_nodes(node: WebTestNode) -> None:
    """Rows that no record which the protocol takes can make: pages do not count on that."""
    plain = NodeRow(
        curve_key="", record=b"\x00", name="", url="http://127.0.0.1:1", publish="", request="",
        address=make_key(5).address, version="", state="known", height=1, lag_milliseconds=1,
        score=0, banned_until=0, first_seen=1, last_seen=1,
    )  # fmt: skip
    engine = open_engine(node.config.database_url)
    try:
        SqlNodeStore(engine).save_nodes(
            [
                replace(
                    plain,
                    curve_key=f"{at:040d}" if at else "<img breach src=x onerror=alert(1)>",
                    **dict.fromkeys(("name", "url", "publish", "request", "version"), text[:128]),
                )
                for at, text in enumerate(ALL)
            ]
        )
    finally:
        engine.dispose()


@pytest.fixture
def watch(chromium: Chrome) -> Iterator[Watch]:
    """On every page that the test opens."""
    watching = Watch(chromium)
    yield watching
    watching.close()


def opened(browser: Chrome, url: str) -> str:
    """The text of the page, once its modules have run and it has refreshed itself."""
    browser.get(url)
    mark = browser.find_element(By.ID, "live-mark")
    WebDriverWait(browser, SECONDS).until(lambda _: mark.get_attribute("data-state") == "live")
    return str(browser.execute_script("return document.body.textContent"))


def refreshed(browser: Chrome) -> None:
    """Returns when the page has put fresh copies of its parts in place."""
    browser.execute_async_script(
        "const done = arguments[0];"
        "document.addEventListener('cairn:refreshed', () => done(), {once: true});"
        "document.dispatchEvent(new CustomEvent('cairn:new-block', {detail: {}}));"
        "setTimeout(done, 2000);"
    )


@pytest.mark.parametrize(
    ("markup", "seen"),
    [
        ("<img breach src='data:,'>", "element: <img"),
        ("<p onclick=x>y</p>", "handler: <p"),
        ("<a href=' javascript:alert(1)'>x</a>", "link: <a"),
        ("<iframe></iframe>", "element: <iframe"),
        ("<p style='color:red'>x</p>", "style: <p"),
        ("<script>alert(1)</script>", "alert(1)"),
        ("<script>window.breach = 1</script>", "a script ran"),
        ("<img src='data:,' onerror=alert(2)>", "alert(2)"),
        (
            POLICY + "<img src='data:,' onerror=alert(1)>",
            "policy: script-src",
        ),
    ],
)
def test_watch_sees_each_kind_of_breach(
    chromium: Chrome, watch: Watch, markup: str, seen: str
) -> None:
    """On pages without a policy of their own: else the other tests here would prove nothing."""
    chromium.get("data:text/html," + quote(f"<!doctype html><title>x</title>{markup}"))
    wait_until(
        lambda: any(seen in each for each in watch.breaches()), SECONDS, seen, watch.breaches
    )
    chromium.get_log("browser")  # what was provoked is not held against the pages


def test_data_of_transactions_is_text(browser: Chrome, watch: Watch, place: Place) -> None:
    for id_, text in zip(place.mined, ALL, strict=True):
        browser.get(f"{place.url}/transaction/{id_}")
        shown = browser.find_element(By.CSS_SELECTOR, "pre.payload").get_property("textContent")
        assert shown == (text if text in CORPUS else text.encode().hex())
        assert watch.breaches() == [], text


@pytest.mark.parametrize("page", ["block", "overview", "chain", "pool", "address", "nodes"])
def test_lists_show_hostile_text_as_text(
    browser: Chrome, watch: Watch, place: Place, page: str
) -> None:
    path, shows = {
        "block": (f"/block/{place.block}", ALL),
        "overview": ("/", ()),
        "chain": ("/chain", ()),
        "pool": ("/pool?order=age", ALL),
        "address": (f"/address/{place.account}", ALL),
        "nodes": ("/nodes", CORPUS),
    }[page]
    shown = opened(browser, place.url + path)
    for text in shows:
        assert (text if text in CORPUS else text.encode().hex()[:80])[:128].strip() in shown
    assert watch.breaches() == []
    refreshed(browser)
    assert watch.breaches() == []


def test_words_of_a_miner_are_text(browser: Chrome, watch: Watch, place: Place) -> None:
    assert EXTRA in opened(browser, f"{place.url}/block/{place.block}")
    assert watch.breaches() == []


def test_operators_page_shows_hostile_nodes_and_log_as_text(
    browser: Chrome, watch: Watch, place: Place
) -> None:
    opened(browser, f"{place.url}/operator")
    browser.find_element(By.ID, "token").send_keys(TOKEN)
    browser.find_element(By.CSS_SELECTOR, "main form button").click()
    WebDriverWait(browser, SECONDS).until(lambda _: browser.current_url.endswith("/operator"))
    shown = opened(browser, f"{place.url}/operator")
    for text in CORPUS:
        assert text[:128].strip() in shown
    assert watch.breaches() == []
    field = browser.find_element(By.ID, "url")
    browser.execute_script("arguments[0].removeAttribute('pattern')", field)
    field.send_keys("http://127.0.0.1:1/<img breach src=x onerror=alert(1)>")
    field.submit()
    WebDriverWait(browser, SECONDS).until(lambda _: browser.find_elements(By.ID, "said"))
    assert watch.breaches() == []
    browser.delete_all_cookies()


def test_search_text_is_text(browser: Chrome, watch: Watch, place: Place) -> None:
    for text in CORPUS[1:8] + HIDING:
        browser.get(f"{place.url}/search?q={quote(text)}")
        if text in CORPUS:
            shown = browser.find_element(By.CSS_SELECTOR, "pre.payload").get_property("textContent")
            assert shown == text
        assert watch.breaches() == [], text


@pytest.mark.parametrize(
    "path",
    [
        "/chain?before=%s", "/block/%s", "/block/1?first=%s", "/transaction/%s",
        "/transaction/%s/proof", "/address/%s", "/pool?order=%s", "/pool?cursor=%s",
        "/nodes?cursor=%s", "/forks?cursor=%s", "/forks?before=%s", "/faucet?address=%s",
        "/faucet?paid=%s", "/operator?level=%s", "/wallet?to=%s&amount=%s", "/notarize?q=%s",
        "/verify?id=%s", "/send?to=%s", "/problems/%s", "/there/is/nothing/%s", "/#%s",
    ],
)  # fmt: skip
def test_links_carry_nothing_into_a_page(
    browser: Chrome, watch: Watch, place: Place, path: str
) -> None:
    for text in (CORPUS[2] + CORPUS[4] + CORPUS[5], CORPUS[15], HIDING[2]):
        browser.get(place.url + path.replace("%s", quote(text, safe="")))
        if browser.find_elements(By.ID, "live-mark"):
            assert watch.breaches() == [], text


def test_api_answers_are_never_a_page(place: Place) -> None:
    for path in (
        f"/api/v1/transactions/{place.mined[1]}",
        "/api/v1/pool",
        "/api/v1/nodes",
        f"/api/v1/blocks/{quote(CORPUS[1], safe='')}",
        f"/api/v1/accounts/{quote(CORPUS[2], safe='')}",
    ):
        reply = RestApi(place.url).call("GET", path)
        assert reply.content_type in {"application/json", "application/problem+json"}
        assert reply.headers["x-content-type-options"] == "nosniff"

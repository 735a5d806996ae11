"""How pages are looked at: sizes and colours, pictures for a person, axe-core for a machine."""

import base64
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from selenium.webdriver import Chrome

FOLDER = Path(__file__).parents[2] / ".cairn" / "screenshots"
"""Kept after the run, for a person to look at."""
MAX_HEIGHT = 4_000
FOR_README = ("overview-light.png", "wallet-review-dark.png")
"""Their tops are also kept small, as `readme-…`: `docs/images` has copies."""
AXE_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
SERIOUS = ("serious", "critical")
COLOUR_RULES = ("color-contrast", "link-in-text-block")
"""All that can differ between a page in light and the same in dark."""


@dataclass(frozen=True)
class Screen:
    """A way to look at a page."""

    name: str
    colours: str
    width: int
    height: int = 900


SCREENS = (
    Screen("light", "light", 1_280),
    Screen("dark", "dark", 1_280),
    Screen("phone", "light", 360, 740),
)


WIDTHS = (360, 576, 768, 992, 1_200, 1_440)
"""Where the layout changes, and where it is narrowest for what it then shows."""
_PROTRUDING = """
const found = [];
for (const card of document.querySelectorAll("main .card, dialog[open]")) {
  const edge = card.getBoundingClientRect().right + 1;
  for (const each of card.querySelectorAll("*")) {
    const { width, right } = each.getBoundingClientRect();
    if (!width || right <= edge) continue;
    let holder = each.parentElement;
    while (holder !== card && getComputedStyle(holder).overflowX === "visible") {
      holder = holder.parentElement;
    }
    if (holder === card) found.push(`${Math.round(right - edge)} px: ${each.outerHTML}`);
  }
}
return found;
"""


def look_through(browser: Chrome, screen: Screen) -> None:
    """At the page that is open, and from then on."""
    features = [
        {"name": "prefers-color-scheme", "value": screen.colours},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    _set_size(browser, screen, screen.height)


def look_as_usual(browser: Chrome) -> None:
    """Undoes `look_through`."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def _set_size(browser: Chrome, screen: Screen, height: int) -> None:
    size = {"width": screen.width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def take_picture(browser: Chrome, screen: Screen, name: str, folder: Path = FOLDER) -> Path:
    """The whole page, as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    height = int(browser.execute_script("return document.documentElement.scrollHeight"))
    _set_size(browser, screen, max(screen.height, min(height, MAX_HEIGHT)))
    file = folder / f"{name}-{screen.name}.png"
    _capture(browser, file)
    _set_size(browser, screen, screen.height)
    if file.name in FOR_README:
        clip = {"x": 0, "y": 0, "width": screen.width, "height": screen.height, "scale": 0.75}
        _capture(browser, folder / f"readme-{file.name}", clip=clip)
    return file


def _capture(browser: Chrome, file: Path, **options: object) -> None:
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", **options})
    file.write_bytes(base64.b64decode(shot["data"]))


def sideways(browser: Chrome) -> int:
    """Pixels by which the page is wider than the screen."""
    script = "const d = document.documentElement; return d.scrollWidth - d.clientWidth"
    return int(browser.execute_script(script))


def protruding(browser: Chrome) -> list[str]:
    """What sticks out of the card it is in, at any width."""
    found = []
    for width in WIDTHS:
        _set_size(browser, Screen("", "light", width), 900)
        found += [
            f"{each[:200]} sticks out of its card at {width} px"
            for each in browser.execute_script(_PROTRUDING)
        ]
    return found


@cache
def _axe() -> str:
    spec = importlib.util.find_spec("axe_playwright_python")
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")


def axe_violations(browser: Chrome, screen: Screen) -> list[str]:
    """What axe-core finds serious or critical on the page, in its words."""
    if not browser.execute_script("return Boolean(window.axe)"):
        browser.execute_script(_axe())
    only = (
        {"type": "rule", "values": COLOUR_RULES}
        if screen.colours == "dark"
        else {"type": "tag", "values": AXE_TAGS}
    )
    found = browser.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run(document, {runOnly: arguments[0], resultTypes: ['violations']})"
        ".then((result) => done(result), (error) => done({failed: String(error)}))",
        only,
    )
    assert "failed" not in found, found
    assert found["testEngine"]["name"] == "axe-core"
    return [
        f"{each['id']} ({each['impact']}): {each['help']}: "
        + "; ".join(
            node["html"][:160] + " | " + node["failureSummary"][:300] for node in each["nodes"][:3]
        )
        for each in found["violations"]
        if each["impact"] in SERIOUS
    ]

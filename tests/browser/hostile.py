"""Text that would do harm if a page took it for markup, and what sees whether one did."""

from selenium.webdriver import Chrome

CORPUS = (
    "<script breach>window.breach = 1</script>",
    "<img breach src=x onerror=alert(1)>",
    '"><img breach src=x onerror=alert(1)>',
    "'><svg breach onload=alert(1)>",
    "' autofocus onfocus=alert(1) breach='",
    '" style="position:fixed;inset:0" onmouseover="alert(1)" breach="',
    '</title></pre></td></tr></table></script><iframe breach srcdoc="<script>alert(1)</script>">',
    "<!-- --><style breach>body{display:none}</style>",
    '<meta breach http-equiv=refresh content="0;url=https://evil.example/">',
    "<base breach href=https://evil.example/>",
    "<form breach action=https://evil.example/><input breach name=q autofocus>",
    "<link breach rel=stylesheet href=https://evil.example/x.css>",
    "<object breach data=https://evil.example/></object><embed breach src=//evil.example>",
    '<div breach id=live-mark data-live="new-block" data-copy=x>name</div>',
    "<a breach href=javascript:alert(1)>read me</a>",
    "javascript:alert(document.domain)//",
    "<math breach><mi breach xlink:href=javascript:alert(1)>",
    "<noscript><p breach title='</noscript><img breach src=x onerror=alert(1)>'>",
    "<textarea breach></textarea><template breach>{{ 7 * 7 }}{% raw %}${alert(1)}</template>",
    "&lt;img breach src=x onerror=alert(1)&gt; &amp;quot; &#60;script&#62;",
    "\\u003cimg breach src=x\\u003e \\x3cscript\\x3e",
    "data: <b breach>event</b>\n\nevent: new-block\ndata: {}\n",
    "＜script breach＞alert(1)＜/script＞ ﹤img breach﹥",
    "../../operator/logout?x=<i breach>#<u breach>",
)
"""Whatever becomes an element of these has the attribute `breach`."""
HIDING = (
    "\u202egnp.exe <img breach src=x>",
    "zero\u200bwidth\ufeff<img breach src=x>",
    "\x00\x1b[31m<img breach src=x>\x7f",
)
"""Characters that hide or turn what is around them: they show as hexadecimal."""
EXTRA = "<img breach src=x onerror=alert(1)>'\"</pre><script breach>"
"""Fits a block's 64 bytes of the miner's own."""

_WATCH = """
window.told = [];
for (const name of ["alert", "confirm", "prompt", "open"]) {
  window[name] = (...words) => { window.told.push(`${name}(${words})`); };
}
document.addEventListener("securitypolicyviolation", (event) => {
  window.told.push(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""
_FIND = """
const found = [...window.told];
if (window.breach) found.push("a script ran");
const outer = (element) => element.outerHTML.slice(0, 200);
for (const each of document.querySelectorAll("*")) {
  const names = each.getAttributeNames();
  if (names.includes("breach")) found.push(`element: ${outer(each)}`);
  if (names.some((name) => name.startsWith("on"))) found.push(`handler: ${outer(each)}`);
  if (names.includes("style")) found.push(`style: ${outer(each)}`);
  for (const name of ["href", "src", "action", "formaction", "data", "srcdoc"]) {
    const value = each.getAttribute(name);
    if (value !== null && /^\\s*javascript:/i.test(value)) found.push(`link: ${outer(each)}`);
  }
}
for (const each of document.scripts) {
  if (!each.src.startsWith(`${location.origin}/`)) found.push(`script: ${outer(each)}`);
}
for (const each of document.querySelectorAll("iframe, object, embed, base, meta[http-equiv]")) {
  found.push(`element: ${outer(each)}`);
}
return found;
"""


class Watch:
    """Sees dialogs, breaches of the content policy and foreign elements on every page opened."""

    def __init__(self, browser: Chrome) -> None:
        self._browser = browser
        added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WATCH})
        self._script = added["identifier"]

    def breaches(self) -> list[str]:
        """On the page that is open now."""
        found: list[str] = self._browser.execute_script(_FIND)
        return found

    def close(self) -> None:
        """Pages opened from now on are not watched."""
        self._browser.execute_cdp_cmd(
            "Page.removeScriptToEvaluateOnNewDocument", {"identifier": self._script}
        )

"""A browser of the operator, as far as cookies and forms go."""

import re
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import urlencode

from tests.support.rest import Reply, RestApi


@dataclass
class OperatorBrowser:
    """Keeps cookies, sends forms from the node's own origin, follows no redirect."""

    api: RestApi
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with everything, as a proxy's."""
    scheme: str = "http"
    """Of the address in its address bar."""
    cookies: dict[str, str] = field(default_factory=dict)
    set_cookies: list[str] = field(default_factory=list)
    """Every Set-Cookie header it saw."""

    def open(self, path: str = "/operator") -> Reply:
        """A page."""
        return self._call("GET", path)

    def log_in(self, token: str) -> Reply:
        """Sends the login form."""
        return self.post("/operator/login", token=token)

    def press(self, action: str, **fields: str) -> str:
        """Sends a form of the operator's page; the page that follows."""
        found = re.search(r'name="form_token" value="([0-9a-f]+)"', self.open().body.decode())
        assert found is not None, "it is logged in"
        reply = self.post(f"/operator/{action}", form_token=found[1], **fields)
        assert reply.status == 303, reply.body
        return self.open().body.decode()

    def post(self, path: str, **fields: str) -> Reply:
        """Sends a form."""
        return self._call("POST", path, urlencode(fields).encode())

    def _call(self, method: str, path: str, body: bytes | None = None) -> Reply:
        place = self.api.url.partition("://")[2]
        headers = {**self.headers, "Accept": "text/html"}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            headers["Origin"] = f"{self.scheme}://{place}"
        reply = self.api.call(method, path, body, headers)
        if text := reply.headers.get("set-cookie"):
            self.set_cookies.append(text)
            for name, morsel in SimpleCookie(text).items():
                self.cookies[name] = morsel.value
                if not morsel.value:
                    del self.cookies[name]
        return reply

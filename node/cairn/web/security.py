"""Headers that keep a browser from doing more than the pages need, and patience with clients."""

import ipaddress
from collections.abc import Iterable

from flask import Flask, Response, current_app, request

from cairn.web.problems import ApiProblem

_POLICY = (
    "default-src 'none'",
    "base-uri 'none'",
    "connect-src 'self'",
    "font-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "img-src 'self' data:",  # Bootstrap's style sheet draws its small signs with data: URLs
    "require-trusted-types-for 'script'",  # no script turns text into markup or code,
    "script-src 'self'",
    "style-src 'self'",
    "trusted-types 'none'",  # and none may vouch for such text
    "worker-src 'none'",
)
CONTENT_SECURITY_POLICY = "; ".join(_POLICY)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_IPV6 = 6
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_IPV6_CUSTOMER_BITS = 64

SOCKET_SECONDS = "SOCKET_SECONDS"
"""Application setting: how long a client may leave us waiting for its next bytes."""
DEFAULT_SOCKET_SECONDS = 30.0


def install_socket_timeout(app: Flask) -> None:
    """Gives up on clients that stop sending or reading: each would hold a thread for ever."""
    app.config.setdefault(SOCKET_SECONDS, DEFAULT_SOCKET_SECONDS)

    @app.before_request
    def limit_waiting() -> None:
        connection = request.environ.get("gunicorn.socket")
        if connection is not None:
            connection.settimeout(current_app.config[SOCKET_SECONDS])


def install_security_headers(app: Flask) -> None:
    """Adds the headers to every answer."""

    @app.after_request
    def harden(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


def check_origin() -> None:
    """Raises ApiProblem `origin-refused` unless a page of this very place sent the form.

    Every browser names the origin of a form that is posted.
    """
    own = f"{request.scheme}://{request.host}"
    if request.headers.get("Origin") != own:
        raise ApiProblem("origin-refused", f"only pages of {own} may send this form")
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise ApiProblem("origin-refused", "another site sent this form")


def name_origin(response: Response) -> Response:
    """For pages with such a form: `no-referrer` would have browsers hide the form's origin."""
    response.headers["Referrer-Policy"] = "same-origin"
    return response


class CountedAddresses:
    """Whose connections and event streams are bounded by address: all but proxies and this machine.

    Behind a proxy all clients have the proxy's address, or none over a socket of the file
    system: who is one of a crowd is then the proxy's to say.
    """

    def __init__(self, proxies: Iterable[str] = ()) -> None:
        """`proxies`: addresses and networks, or `*` for all, as gunicorn's `forwarded_allow_ips`.

        Raises ValueError for what is neither.
        """
        named = list(proxies)
        self._all_proxies = "*" in named
        self._proxies = [ipaddress.ip_network(name) for name in named if name != "*"]

    def of(self, address: str | None) -> str:
        """What the address is counted as, an IPv6 one as its /64; empty: it is not."""
        parsed = _parsed(address)
        if parsed is None or self._all_proxies:
            return ""
        if any(parsed in network for network in self._proxies):
            return ""
        return _customer(parsed)

    def client(self, address: str | None, forwarded_for: str | None) -> str:
        """As `of`, but of the client that a proxy speaks for: the last one of its header."""
        if (counted := self.of(address)) or not forwarded_for:
            return counted
        named = _parsed(forwarded_for.rpartition(",")[2].strip())
        return "" if named is None else _customer(named)


def _parsed(address: str | None) -> _Address | None:
    """The address; None for one of this machine, and for a socket of the file system."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return None
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return None if parsed.is_loopback else parsed


def _customer(address: _Address) -> str:
    if address.version == _IPV6:  # one customer mostly has all of them
        return str(ipaddress.ip_network((address.packed, _IPV6_CUSTOMER_BITS), strict=False))
    return str(address)

"""Headers that keep a browser from doing more than the pages need, and patience with clients."""

import ipaddress

from flask import Flask, Response, current_app, request

_POLICY = (
    "default-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "img-src 'self' data:",  # Bootstrap's style sheet draws its small signs with data: URLs
    "object-src 'none'",
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


def is_local(address: str) -> bool:
    """Whether the address is this machine's own, as a proxy's in front of the node mostly is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return True  # a socket of the file system has no address
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback

"""Talks to a node's REST API with the standard library: bounded, with time limits, typed errors."""

import contextlib
import http.client
import json
import ssl
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from cairn import __version__
from cairn.cli.failures import FIXES, ExitCode, Failure

MAX_BODY_BYTES = 32 * 1024 * 1024
"""The largest answer taken: a block of 4 MB is 8 MB of hexadecimal digits, and has fields too."""
_PIECE_BYTES = 65_536
_MAX_TEXT = 400
_STATUS_EXITS = {404: ExitCode.NOT_FOUND, 503: ExitCode.UNREACHABLE, 504: ExitCode.UNREACHABLE}


class NodeClient:
    """One node, reached at an http(s) URL. Each call is one connection.

    Every failure is a `Failure`: exit code 3 when no node answers, 4 for what it does not
    have, 1 for what it refuses, with the code and numbers of its problem document.
    """

    def __init__(self, url: str, timeout_seconds: float = 15.0, token: str = "") -> None:
        """Raises Failure when `url` is not an http(s) URL. `token` is the operator's."""
        try:
            parts = urlsplit(url)
            self._port = parts.port
        except ValueError as error:
            raise _bad_url(url, str(error)) from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise _bad_url(url, "it must begin with http:// or https:// and name a host")
        if parts.username or parts.query or parts.fragment:
            raise _bad_url(url, "it must not hold a user, a query or a fragment")
        self.url = url.rstrip("/")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._base = parts.path.rstrip("/") + "/api/v1/"
        self._timeout_seconds = timeout_seconds
        self._token = token

    def get(self, *path: str, **query: str | int | None) -> Any:
        """The JSON that GET answers; `path` is joined under /api/v1/, None is left out."""
        return self._json("GET", path, query)

    def get_bytes(self, *path: str, **query: str | int | None) -> bytes:
        """The bytes that GET answers when asked for `application/octet-stream`."""
        return self._call("GET", path, query, accept="application/octet-stream")

    def post(self, *path: str, document: object) -> Any:
        """The JSON that POST of a JSON document answers."""
        return self._json("POST", path, {}, json.dumps(document).encode(), "application/json")

    def post_bytes(self, *path: str, content: bytes) -> Any:
        """The JSON that POST of bytes answers."""
        return self._json("POST", path, {}, content, "application/octet-stream")

    def _json(
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, str | int | None],
        body: bytes | None = None,
        content_type: str = "",
    ) -> Any:
        return self._parse(self._call(method, path, query, body, content_type))

    def _call(
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, str | int | None],
        body: bytes | None = None,
        content_type: str = "",
        accept: str = "application/json",
    ) -> bytes:
        target = self._base + "/".join(quote(part, safe="") for part in path)
        given = {key: value for key, value in query.items() if value is not None}
        if given:
            target += "?" + urlencode(given)
        headers = {
            "Accept": f"{accept}, application/problem+json",
            "User-Agent": f"cairn/{__version__}",
        }
        if body is not None:
            headers["Content-Type"] = content_type
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            with contextlib.closing(self._connection()) as connection:
                connection.request(method, target, body, headers)
                with connection.getresponse() as response:
                    answer = self._read_body(response)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        if len(answer) > MAX_BODY_BYTES:
            raise self._not_cairn(f"it sent more than {MAX_BODY_BYTES} bytes")
        if not 200 <= response.status < 300:
            raise self._refusal(response.status, answer)
        return answer

    def _read_body(self, response: http.client.HTTPResponse) -> bytes:
        """At most a byte more than allowed, and no longer than ten time limits in all."""
        deadline = time.monotonic() + 10 * self._timeout_seconds
        pieces, size = [], 0
        while size <= MAX_BODY_BYTES:
            piece = response.read1(_PIECE_BYTES)
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
            if time.monotonic() > deadline:
                raise TimeoutError
        return b"".join(pieces)

    def _connection(self) -> http.client.HTTPConnection:
        if self._secure:
            return http.client.HTTPSConnection(
                self._host,
                self._port,
                timeout=self._timeout_seconds,
                context=ssl.create_default_context(),
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_seconds)

    def _parse(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise self._not_cairn("what it sent is not JSON") from None

    def _refusal(self, status: int, body: bytes) -> Failure:
        try:
            problem = json.loads(body)
        except (ValueError, RecursionError):
            problem = None
        if not isinstance(problem, dict) or not isinstance(problem.get("code"), str):
            return self._not_cairn(f"it answered with status {status} and no problem document")
        return problem_failure(problem, _STATUS_EXITS.get(status, ExitCode.FOUND))

    def _unreachable(self, error: Exception) -> Failure:
        if isinstance(error, TimeoutError):
            reason = f"no answer within {self._timeout_seconds:g} s"
        elif isinstance(error, ssl.SSLCertVerificationError):
            reason = f"its certificate is not trusted: {error.verify_message}"
        elif isinstance(error, OSError):
            reason = error.strerror or str(error)
        else:
            reason = f"it broke the connection off ({type(error).__name__})"
        return Failure(
            f"no node answers at {self.url}: {reason}",
            "start one (`./dev up`, `systemctl start cairn.target`) or name another: --node URL",
            exit_code=ExitCode.UNREACHABLE,
        )

    def _not_cairn(self, reason: str) -> Failure:
        return Failure(
            f"{self.url} does not answer as a Cairn node: {reason}",
            "check the address: --node URL, or CAIRN_URL",
            exit_code=ExitCode.UNREACHABLE,
            code="not-a-node",
        )


def problem_failure(problem: Mapping[str, object], exit_code: ExitCode = ExitCode.FOUND) -> Failure:
    """The failure that a problem document (or the `problem` of one item) tells."""
    code = str(problem.get("code", "refused"))[:_MAX_TEXT]
    detail = str(problem.get("detail") or problem.get("title") or code)[:_MAX_TEXT]
    numbers = problem.get("numbers")
    if not isinstance(numbers, dict):
        numbers = {}
    return Failure(detail, FIXES.get(code, ""), exit_code=exit_code, code=code, numbers=numbers)


def _bad_url(url: str, reason: str) -> Failure:
    return Failure(
        f"{url!r} is not a node's address: {reason}",
        "give it as http://HOST:PORT with --node or CAIRN_URL",
        exit_code=ExitCode.USAGE,
    )

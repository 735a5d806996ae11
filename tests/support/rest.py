"""A plain HTTP client for a node's API, apart from the node's own code."""

import contextlib
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


class NoAnswer(Exception):
    """The node did not answer, or broke the connection off."""


@dataclass(frozen=True)
class Reply:
    """What a node answered."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes

    @property
    def content_type(self) -> str:
        """Without parameters."""
        return self.headers.get("content-type", "").split(";")[0].strip()

    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


@dataclass(frozen=True)
class RestApi:
    """A node at `http://host:port`; one connection a call."""

    url: str
    timeout_seconds: float = 10.0
    headers: Mapping[str, str] = field(default_factory=dict)

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Any request. Raises NoAnswer."""
        parts = urlsplit(self.url)
        assert parts.hostname
        connection = http.client.HTTPConnection(
            parts.hostname, parts.port, timeout=self.timeout_seconds
        )
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                # A server may answer before it has read a body that is too large anyway.
                connection.request(method, path, body, {**self.headers, **(headers or {})})
            answer = connection.getresponse()
            names = {key.lower(): value for key, value in answer.getheaders()}
            return Reply(answer.status, names, answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(f"{method} {self.url}{path}: {error!r}") from None
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """Decoded body of `GET /api/v1/PATH`, which must answer 200."""
        reply = self.call("GET", f"/api/v1/{path}")
        assert reply.status == 200, f"GET {path}: {reply.status} {reply.body[:500]!r}"
        return reply.json()

    def post_json(self, path: str, document: object, token: str = "") -> Reply:
        """`POST /api/v1/PATH` with a JSON document."""
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return self.call("POST", f"/api/v1/{path}", json.dumps(document).encode(), headers)

    def post_transactions(self, raws: list[bytes]) -> Reply:
        """Canonical bytes, one after another."""
        headers = {"Content-Type": "application/octet-stream"}
        return self.call("POST", "/api/v1/transactions", b"".join(raws), headers)

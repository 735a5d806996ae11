"""The little of a node's HTTP API that a development network needs."""

import http.client
import json
from typing import Any

from cairn.cli.devnet.nodes import HOST

MAX_REPLY_BYTES = 8 * 1024 * 1024


class Unreachable(Exception):
    """The node did not answer, or not in a way one can read."""


class NodeApi:
    """A node's API on this machine. A connection a call: nodes come and go here."""

    def __init__(self, port: int, timeout_seconds: float = 5.0) -> None:
        self._port = port
        self._timeout_seconds = timeout_seconds

    def get(self, path: str) -> tuple[int, Any]:
        """Status and decoded body of `GET /api/v1/PATH`. Raises Unreachable."""
        return self._call("GET", path, None, {})

    def submit(self, transactions: list[bytes]) -> tuple[int, Any]:
        """Posts canonical transactions, 1 to 500, in one call. Raises Unreachable."""
        headers = {"Content-Type": "application/octet-stream"}
        return self._call("POST", "transactions", b"".join(transactions), headers)

    def is_ready(self) -> bool:
        """Whether the node says that it can do its work."""
        try:
            return self.get("ready")[0] == 200
        except Unreachable:
            return False

    def connected_peers(self) -> int:
        """How many peers it is connected with; 0 when it does not answer."""
        try:
            status, body = self.get("nodes")
        except Unreachable:
            return 0
        if status != 200:
            return 0
        return sum(1 for node in body["items"] if node.get("connected") is True)

    def _call(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=self._timeout_seconds)
        try:
            connection.request(method, f"/api/v1/{path}", body, headers)
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read(MAX_REPLY_BYTES))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unreachable(f"{HOST}:{self._port}: {error}") from None
        finally:
            connection.close()

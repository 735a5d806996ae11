"""Joining: handing our record to an alpha's HTTP API, which answers with the nodes it knows."""

import http.client
import json
import logging
import time
from urllib.parse import urlsplit

from cairn.network.messages import MAX_NODES
from cairn.network.records import MAX_RECORD_BYTES
from cairn.network.threads import call_in_thread

_logger = logging.getLogger(__name__)

NODES_PATH = "/api/v1/nodes"
SOCKET_SECONDS = 5.0
WHOLE_SECONDS = 15.0
MAX_ANSWER_BYTES = 4 * 1024 * 1024
MAX_PROBLEM_CHARACTERS = 300


class JoinFailed(Exception):
    """The alpha could not be joined at; the message is for people."""


async def post_record(url: str, record: bytes) -> list[bytes]:
    """The records the alpha at `url` answered with. Raises JoinFailed."""
    return await call_in_thread(lambda: _post(url, record), "join")


def _post(url: str, record: bytes) -> list[bytes]:
    connection, path = _connection(url)
    body = json.dumps({"record": record.hex()})
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    deadline = time.monotonic() + WHOLE_SECONDS
    try:
        # http.client follows no redirect: an alpha cannot send us elsewhere.
        connection.request("POST", path + NODES_PATH, body, headers)
        with connection.getresponse() as response:
            answer = _read(response, deadline)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise JoinFailed(f"{url}: {type(error).__name__}: {error}") from None
    finally:
        connection.close()
    if response.status not in (200, 201, 202):
        raise JoinFailed(f"{url} answered {response.status}: {_problem(answer)}")
    return _records(url, answer)


def _connection(url: str) -> tuple[http.client.HTTPConnection, str]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        url.encode("ascii")
    except ValueError as error:
        raise JoinFailed(f"{url!r} is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise JoinFailed(f"{url!r} is not http(s)://host")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        return kind(host, port, timeout=SOCKET_SECONDS), parts.path.rstrip("/")
    except (http.client.HTTPException, ValueError) as error:  # a space in the host
        raise JoinFailed(f"{url!r} is no URL: {error}") from None


def _read(response: http.client.HTTPResponse, deadline: float) -> bytes:
    """The whole body, within bounds of size and time."""
    parts = []
    size = 0
    while part := response.read1(65_536):
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise OSError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
        if time.monotonic() > deadline:
            raise OSError(f"the answer took longer than {WHOLE_SECONDS:.0f} s")
    return b"".join(parts)


def _problem(answer: bytes) -> str:
    """What a problem document (RFC 9457) says, printable and short."""
    try:
        document = json.loads(answer)
        text = str(document.get("detail") or document.get("title") or "")
    except (ValueError, AttributeError, RecursionError):
        text = ""
    printable = "".join(character for character in text if character.isprintable())
    return printable[:MAX_PROBLEM_CHARACTERS] or "no reason given"


def _records(url: str, answer: bytes) -> list[bytes]:
    try:
        document = json.loads(answer)
        texts = [item["record"] for item in document["items"]][: MAX_NODES + 1]
        records = [bytes.fromhex(text) for text in texts]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise JoinFailed(f"{url} did not answer with a list of node records") from None
    return [record for record in records if len(record) <= MAX_RECORD_BYTES]

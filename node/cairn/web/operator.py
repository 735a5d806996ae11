"""What only the operator may do: a token, compared with a file's content."""

import hmac
from hashlib import sha256
from pathlib import Path

from flask import request

from cairn.config import Config
from cairn.web.node import WebNode
from cairn.web.problems import ApiProblem

MIN_TOKEN_CHARACTERS = 16
_MAX_TOKEN_BYTES = 4_096


def check_operator(node: WebNode) -> None:
    """Checks the bearer token of a call.

    Raises ApiProblem `unauthorized`, `too-many-requests` after too many wrong ones, or
    `operator-disabled` where there is no token.
    """
    wanted = operator_token(node.config)
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given.strip():
        raise ApiProblem("unauthorized", "this call needs the operator's token as a bearer token")
    compare_token(given.strip(), wanted, node)


def compare_token(given: str, wanted: str, node: WebNode) -> None:
    """Raises ApiProblem `unauthorized` for another token, and `too-many-requests` after too many
    of this client: even for the right one, or guessing would not be slower for it. Among clients
    that cannot be told apart the right one is always taken: any of them could keep it out.
    """
    # Digests have one length, so the time taken tells nothing of the token's.
    digests = [sha256(text.encode("utf-8", "replace")).digest() for text in (wanted, given)]
    is_right = hmac.compare_digest(*digests)
    client = node.client()
    if is_right and not client:
        return
    wait = node.attempts.wait_seconds(client)
    if wait > 0:
        raise ApiProblem(
            "too-many-requests",
            f"too many wrong tokens were tried; try again in {wait} s",
            retry_after_seconds=wait,
        )
    if not is_right:
        node.attempts.count(client)
        raise ApiProblem("unauthorized", "this is not the operator's token")


def operator_token(config: Config) -> str:
    """The token. Raises ApiProblem `operator-disabled` where there is none."""
    file = config.web.operator_token_file
    if file is None:
        raise ApiProblem(
            "operator-disabled",
            "operator calls are off: set web.operator_token_file in this node's configuration",
        )
    return _read_token(file)


def _read_token(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as stream:
            token = stream.read(_MAX_TOKEN_BYTES).strip()
    except (OSError, UnicodeDecodeError):
        token = ""
    if len(token) < MIN_TOKEN_CHARACTERS:
        raise ApiProblem(
            "operator-disabled",
            "the file that web.operator_token_file names cannot be read, or holds fewer than "
            f"{MIN_TOKEN_CHARACTERS} characters",
        )
    return token

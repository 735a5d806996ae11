"""Calls that only the operator may make: a bearer token, compared with a file's content."""

import hmac
from hashlib import sha256
from pathlib import Path

from flask import request

from cairn.config import Config
from cairn.web.problems import ApiProblem

MIN_TOKEN_CHARACTERS = 16
_MAX_TOKEN_BYTES = 4_096


def check_operator(config: Config) -> None:
    """Raises ApiProblem `unauthorized`, or `operator-disabled` where there is no token."""
    file = config.web.operator_token_file
    if file is None:
        raise ApiProblem(
            "operator-disabled",
            "operator calls are off: set web.operator_token_file in this node's configuration",
        )
    wanted = _read_token(file)
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given.strip():
        raise ApiProblem("unauthorized", "this call needs the operator's token as a bearer token")
    # Digests have one length, so the time taken tells nothing of the token's.
    digests = [sha256(text.encode("utf-8", "replace")).digest() for text in (wanted, given.strip())]
    if not hmac.compare_digest(*digests):
        raise ApiProblem("unauthorized", "this is not the operator's token")


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

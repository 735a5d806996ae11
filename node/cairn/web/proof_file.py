"""A proof as the file that `cairn verify` reads; `cairn.cli.proof_file` has its definition.

The headers of a long chain are many megabytes, so they are sent as they are read.
"""

import base64
import json
from collections.abc import Iterator
from time import monotonic

from cairn.consensus.encoding import sha256d
from cairn.web.models import ProofView
from cairn.web.node import WebNode

FORMAT = "cairn-proof"
VERSION = 1
_PAGE_HEADERS = 2_000
"""A header is 96 bytes, a multiple of 3: base64 of pages joins without padding."""
_PREVIOUS = slice(8, 40)
"""Where a header names the hash of the one before."""
_HEADER_CHARACTERS = 128
_PATIENCE_SECONDS = 30.0
_SLOWEST_CHARACTERS = 50_000
"""A second: whoever reads more slowly is cut off, as a request thread waits meanwhile."""


class TooSlowError(Exception):
    """The client takes too long: the file is cut off."""


class ChainMovedError(Exception):
    """A reorganisation came in between: the file is cut off, and to be asked for again."""


def proof_file(proof: ProofView, tip_height: int, node: WebNode) -> Iterator[str]:
    """The text of the file in parts, with the headers of heights 1 to `tip_height`.

    Raises ChainMovedError and TooSlowError between parts.
    """
    fields = {
        "format": FORMAT,
        "version": VERSION,
        "network": node.params.name,
        "network_id": proof.network_id,
        "transaction": proof.transaction,
        "height": proof.height,
        "leaf_index": proof.leaf_index,
        "leaf_count": proof.leaf_count,
        "path": proof.path,
    }
    yield json.dumps(fields, indent=1).removesuffix("\n}") + ',\n "headers": "'
    yield from _headers(proof, tip_height, node)
    yield '"\n}\n'


def _headers(proof: ProofView, tip_height: int, node: WebNode) -> Iterator[str]:
    previous = node.network_id
    patience = _PATIENCE_SECONDS + tip_height * _HEADER_CHARACTERS / _SLOWEST_CHARACTERS
    deadline = monotonic() + patience
    for first in range(1, tip_height + 1, _PAGE_HEADERS):
        count = min(_PAGE_HEADERS, tip_height + 1 - first)
        page = node.queries.headers(first, count)
        if len(page) != count or page[0][_PREVIOUS] != previous:
            raise ChainMovedError
        place = proof.height - first
        if 0 <= place < count and page[place].hex() != proof.header:
            raise ChainMovedError
        previous = sha256d(page[-1])
        if monotonic() > deadline:
            raise TooSlowError
        yield base64.b64encode(b"".join(page)).decode("ascii")

"""Node records: what a node says of itself, signed with its account key.

A record is a msgpack array in one byte form only. The signature covers
`"cairn:node:v1"` ‖ network id ‖ the array without the signature.
"""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from cairn.consensus.crypto import address_of, verify_signature
from cairn.consensus.encoding import HASH_BYTES, PUBLIC_KEY_BYTES, SIGNATURE_BYTES
from cairn.consensus.errors import Rule, RuleError
from cairn.network.addresses import Network, check_endpoint, is_hostname
from cairn.network.keys import is_curve_key
from cairn.network.settings import AccountSigner

MAX_RECORD_BYTES = 1_400
MAX_URL_CHARACTERS = 256
MAX_CLOCK_AHEAD_SECONDS = 7_200

_TAG = b"cairn:node:v1"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9.+_-]{1,64}", re.ASCII)
_URL_CHARACTERS = re.compile(r"[A-Za-z0-9:/.\[\]_~%-]+", re.ASCII)


class NodeRecord(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A node's own words. Decoded is not yet checked."""

    network_id: bytes
    name: str
    """Letters, digits, '.', '_', '-'; at most 64."""
    url: str
    """http(s) address of its pages and API; shown, never fetched."""
    publish: str
    """`tcp://host:port` of its PUB socket."""
    request: str
    """`tcp://host:port` of its ROUTER socket."""
    curve_key: str
    """Z85, 40 characters."""
    public_key: bytes
    """Of its account, 33 bytes."""
    version: str
    """Of its software."""
    timestamp: int
    """Seconds since the epoch when it was signed: a later record replaces an earlier."""
    signature: bytes = b""
    """64 bytes."""

    def signing_message(self) -> bytes:
        """Tag, network id, the record's bytes with an empty signature."""
        unsigned = msgspec.structs.replace(self, signature=b"")
        return _TAG + self.network_id + encode_record(unsigned)

    @property
    def address(self) -> bytes:
        """Of its account, 20 bytes."""
        return address_of(self.public_key)


_decoder = msgspec.msgpack.Decoder(NodeRecord)
_encoder = msgspec.msgpack.Encoder()


def encode_record(record: NodeRecord) -> bytes:
    """The record's one byte form."""
    return _encoder.encode(record)


def decode_record(raw: bytes) -> NodeRecord:
    """The record these bytes are. Raises RuleError `node-record-invalid`; nothing is checked."""
    if len(raw) > MAX_RECORD_BYTES:
        raise RuleError(
            Rule.NODE_RECORD_INVALID,
            f"record is {len(raw)} bytes, at most {MAX_RECORD_BYTES}",
            length=len(raw),
            limit=MAX_RECORD_BYTES,
        )
    try:
        record = _decoder.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _invalid(f"not a node record: {error}") from None
    if encode_record(record) != raw:
        raise _invalid("not in the record's one byte form")
    return record


def sign_record(record: NodeRecord, account: AccountSigner) -> NodeRecord:
    """The record with the account's signature."""
    return msgspec.structs.replace(record, signature=account.sign(record.signing_message()))


def check_record(
    record: NodeRecord, network_id: bytes, ranges: Sequence[Network], now: float
) -> None:
    """Raises RuleError unless the record is sound, of this network, routable and signed."""
    _check_form(record, now)
    if record.network_id != network_id:
        raise RuleError(
            Rule.NETWORK_MISMATCH,
            f"network {record.network_id.hex()}, this one is {network_id.hex()}",
            got=record.network_id.hex(),
            expected=network_id.hex(),
        )
    check_endpoint(record.publish, ranges)
    check_endpoint(record.request, ranges)
    if not verify_signature(record.public_key, record.signing_message(), record.signature):
        raise RuleError(
            Rule.SIGNATURE_INVALID, f"the record of {record.name} is not signed by its account"
        )


def _check_form(record: NodeRecord, now: float) -> None:
    lengths = (
        ("network_id", record.network_id, HASH_BYTES),
        ("public_key", record.public_key, PUBLIC_KEY_BYTES),
        ("signature", record.signature, SIGNATURE_BYTES),
    )
    for field, value, length in lengths:
        if len(value) != length:
            raise _invalid(f"{field} is {len(value)} bytes, must be {length}")
    if not _NAME.fullmatch(record.name):
        raise _invalid("name must be 1 to 64 letters, digits, '.', '_' or '-'")
    if not _VERSION.fullmatch(record.version):
        raise _invalid("version must be 1 to 64 letters, digits, '.', '+', '_' or '-'")
    if not is_curve_key(record.curve_key):
        raise _invalid("curve_key is not 32 bytes in Z85")
    if not is_node_url(record.url):
        raise _invalid(f"url must be http(s)://host, at most {MAX_URL_CHARACTERS} characters")
    if not 0 < record.timestamp <= now + MAX_CLOCK_AHEAD_SECONDS:
        raise _invalid(
            f"timestamp {record.timestamp} is more than {MAX_CLOCK_AHEAD_SECONDS} s ahead of "
            f"{int(now)}, or not positive"
        )


def is_node_url(url: str) -> bool:
    """Whether the text is a plain http(s) URL: no credentials, query or fragment."""
    if len(url) > MAX_URL_CHARACTERS or not _URL_CHARACTERS.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not host:
        return False
    return ":" in host or is_hostname(host) or _is_dotted(host)


def _is_dotted(host: str) -> bool:
    numbers = host.split(".")
    return len(numbers) == 4 and all(number.isdigit() and int(number) < 256 for number in numbers)


def _invalid(detail: str) -> RuleError:
    return RuleError(Rule.NODE_RECORD_INVALID, detail)

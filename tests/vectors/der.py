"""Strict DER for ECDSA signatures: what the vectors carry and the protocol does not."""


def parse_der_signature(der: bytes) -> tuple[int, int]:
    """(r, s) of SEQUENCE { INTEGER r, INTEGER s } in DER; ValueError on any other form."""
    body, rest = _take(0x30, der)
    r, body = _take_integer(body)
    s, body = _take_integer(body)
    if rest or body:
        raise ValueError("bytes after the signature")
    return r, s


def _take_integer(data: bytes) -> tuple[int, bytes]:
    content, rest = _take(0x02, data)
    if not content:
        raise ValueError("an integer without bytes")
    if len(content) > 1 and content[0] in (0x00, 0xFF) and content[0] >> 7 == content[1] >> 7:
        raise ValueError("an integer longer than it needs to be")
    return int.from_bytes(content, "big", signed=True), rest


def _take(tag: int, data: bytes) -> tuple[bytes, bytes]:
    if len(data) < 2 or data[0] != tag:
        raise ValueError(f"tag {tag:#04x} expected")
    length = data[1]  # a P-256 signature never needs the long form
    if length >= 0x80 or len(data) < 2 + length:
        raise ValueError("length")
    return data[2 : 2 + length], data[2 + length :]

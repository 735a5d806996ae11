"""For any values and any bytes: layouts round-trip, and bad bytes raise RuleError alone."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.consensus.block import (
    Block,
    Coinbase,
    Header,
    build_block,
    decode_block,
    decode_header,
)
from cairn.consensus.crypto import (
    decode_address,
    encode_address,
    is_public_key,
    verify_signature,
)
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.params import parse_genesis
from cairn.consensus.transaction import (
    Transaction,
    UnsignedTransaction,
    attach_signature,
    decode_transaction,
)
from cairn.wallet import WalletError, format_amount, parse_amount
from tests.support.builders import (
    REGTEST_GENESIS,
    block_bytes,
    coinbase_bytes,
    header_bytes,
    make_key,
    transaction_body,
)

NETWORK = bytes(range(32))
LIMIT = 1_000_000

u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
hashes = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20)
unsigned = st.builds(
    UnsignedTransaction,
    public_key=st.binary(min_size=33, max_size=33),
    sequence=u64,
    recipient=addresses,
    amount=u64,
    fee=u64,
    timestamp=u64,
    data=st.binary(max_size=80),
)
transactions = st.builds(
    lambda fields, signature: attach_signature(fields, signature, NETWORK),
    unsigned,
    st.binary(min_size=64, max_size=64),
)
headers = st.builds(Header, u32, hashes, hashes, u64, u32, u64)
coinbases = st.builds(Coinbase, addresses, u64, st.binary(max_size=64))
blocks = st.builds(build_block, headers, coinbases, st.lists(transactions, max_size=4))

_DECODERS: list[Callable[[bytes], Transaction | Header | Block]] = [
    lambda raw: decode_transaction(raw, NETWORK),
    decode_header,
    lambda raw: decode_block(raw, NETWORK, LIMIT),
]


@given(unsigned, st.binary(min_size=64, max_size=64))
def test_transactions_round_trip(fields: UnsignedTransaction, signature: bytes) -> None:
    body = transaction_body(
        fields.public_key,
        fields.sequence,
        fields.recipient,
        fields.amount,
        fields.fee,
        fields.timestamp,
        fields.data,
    )
    assert fields.encode() == body
    transaction = decode_transaction(body + signature, NETWORK)
    assert transaction.raw == body + signature
    assert transaction == attach_signature(fields, signature, NETWORK)
    assert transaction.signing_message(NETWORK) == fields.signing_message(NETWORK)


@given(headers)
def test_headers_round_trip(header: Header) -> None:
    assert header.encode() == header_bytes(header)
    assert decode_header(header.encode()) == header


@given(blocks)
def test_blocks_round_trip(block: Block) -> None:
    assert block.raw == block_bytes(block.header, block.coinbase, block.transactions)
    assert block.coinbase.encode() == coinbase_bytes(block.coinbase)
    assert decode_block(block.raw, NETWORK, LIMIT) == block


@given(st.binary(max_size=600))
def test_random_bytes_decode_or_break_a_rule(raw: bytes) -> None:
    for decode in _DECODERS:
        _decodes_whole_or_breaks_a_rule(decode, raw)


@settings(max_examples=200)
@given(blocks, st.data())
def test_mutated_blocks_decode_or_break_a_rule(block: Block, data: st.DataObject) -> None:
    _decodes_whole_or_breaks_a_rule(_DECODERS[2], data.draw(mutations(block.raw)))


@given(transactions, st.data())
def test_mutated_transactions_decode_or_break_a_rule(
    transaction: Transaction, data: st.DataObject
) -> None:
    _decodes_whole_or_breaks_a_rule(_DECODERS[0], data.draw(mutations(transaction.raw)))


@given(st.binary(max_size=70), st.binary(max_size=40), st.binary(max_size=130))
def test_verification_never_raises(public_key: bytes, message: bytes, signature: bytes) -> None:
    assert verify_signature(public_key, message, signature) is False
    assert isinstance(is_public_key(public_key), bool)


@given(
    st.sampled_from([b"\x02", b"\x03", b"\x04", b"\x00"]),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=64, max_size=64),
)
def test_verification_never_raises_on_the_right_lengths(
    form: bytes, x: bytes, signature: bytes
) -> None:
    assert verify_signature(form + x, b"message", signature) is False


@given(st.integers(0, 96 * 8 - 1), st.integers(0, 3))
def test_any_flipped_bit_of_key_or_signature_is_noticed(bit: int, number: int) -> None:
    key = make_key(number)
    joined = key.public_key[1:] + key.sign(b"message")
    flipped = (int.from_bytes(joined, "big") ^ 1 << bit).to_bytes(96, "big")
    assert verify_signature(key.public_key, b"message", joined[32:])
    assert not verify_signature(key.public_key[:1] + flipped[:32], b"message", flipped[32:])


@given(addresses, st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=16))
def test_addresses_round_trip(address: bytes, prefix: str) -> None:
    text = encode_address(prefix, address)
    assert decode_address(prefix, text) == address
    assert len(text) <= 90


@given(addresses, st.data())
def test_any_one_changed_character_of_an_address_is_noticed(
    address: bytes, data: st.DataObject
) -> None:
    text = encode_address("rcairn", address)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    changed = text[:place] + other + text[place + 1 :]
    if changed.lower() == text:
        return  # a letter of the other case: refused as mixed, or the same character
    with pytest.raises(RuleError) as refusal:
        decode_address("rcairn", changed)
    assert refusal.value.rule in {Rule.ADDRESS_INVALID, Rule.ADDRESS_WRONG_NETWORK}


@given(addresses, st.data())
def test_swapped_or_lost_characters_of_an_address_are_noticed(
    address: bytes, data: st.DataObject
) -> None:
    text = encode_address("rcairn", address)
    place = data.draw(st.integers(0, len(text) - 2))
    swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    for changed in {swapped, text[:place] + text[place + 1 :]} - {text}:
        with pytest.raises(RuleError):
            decode_address("rcairn", changed)


@given(st.text(max_size=100))
def test_any_text_is_an_address_or_breaks_a_rule(text: str) -> None:
    with pytest.raises(RuleError):
        decode_address("rcairn", text)


@given(st.text(max_size=60), st.data())
def test_a_mutated_genesis_file_parses_or_breaks_a_rule(
    insertion: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(REGTEST_GENESIS)))
    end = data.draw(st.integers(start, min(start + 40, len(REGTEST_GENESIS))))
    try:
        params = parse_genesis(REGTEST_GENESIS[:start] + insertion + REGTEST_GENESIS[end:])
    except RuleError:
        return
    assert len(params.network_id()) == 32


@given(u64)
def test_amounts_round_trip_as_text(units: int) -> None:
    assert parse_amount(format_amount(units).replace(",", "")) == units


@given(st.text("0123456789.,-+e ", max_size=30))
def test_any_text_is_an_amount_or_a_wallet_error(text: str) -> None:
    try:
        units = parse_amount(text)
    except WalletError:
        return
    assert 0 <= units < 2**64


def mutations(raw: bytes) -> st.SearchStrategy[bytes]:
    """`raw` with a slice replaced by other bytes."""
    place = st.integers(0, len(raw))
    return st.builds(
        lambda start, width, insertion: raw[:start] + insertion + raw[start + width :],
        place,
        st.integers(0, 12),
        st.binary(max_size=12),
    )


def _decodes_whole_or_breaks_a_rule(
    decode: Callable[[bytes], Transaction | Header | Block], raw: bytes
) -> None:
    try:
        found = decode(raw)
    except RuleError:
        return
    again = found.encode() if isinstance(found, Header) else found.raw
    assert again == raw

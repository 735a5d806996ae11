"""The genesis file: what it may say, and that nothing in it changes unnoticed."""

from dataclasses import fields, replace

import pytest

from cairn.consensus.crypto import encode_address
from cairn.consensus.errors import Rule
from cairn.consensus.params import MAX_SUPPLY, REGTEST_GENESIS, NetworkParams, parse_genesis
from tests.support.builders import genesis_text, make_key, make_params
from tests.support.refusals import refused

ADDRESS = encode_address("rcairn", make_key(0).address)


def changed(name: str, toml_value: str) -> str:
    """The regtest genesis file with one field set to other TOML."""
    lines = [line for line in REGTEST_GENESIS.splitlines() if not line.startswith(f"{name} =")]
    return "\n".join([*lines, f"{name} = {toml_value}"]) + "\n"


def test_reads_the_built_in_regtest() -> None:
    params = parse_genesis(REGTEST_GENESIS)
    assert (params.name, params.address_prefix, params.symbol) == ("regtest", "rcairn", "RCRN")
    assert params.allocations == ()


def test_reads_allocations_sorted_by_address() -> None:
    params = make_params({make_key(number).address: number + 1 for number in range(5)})
    found = parse_genesis(genesis_text(params))
    assert found == params
    assert list(found.allocations) == sorted(found.allocations)


def test_the_order_of_lines_makes_no_other_network() -> None:
    backward = "\n".join(reversed(REGTEST_GENESIS.splitlines()))
    assert parse_genesis(backward).network_id() == parse_genesis(REGTEST_GENESIS).network_id()


def test_every_field_changes_the_network_id() -> None:
    base = make_params()
    changes = {
        "name": "other",
        "address_prefix": "other",
        "symbol": "OTHER",
        "allocations": ((make_key(0).address, 1),),
    }
    ids = {base.network_id()}
    for item in fields(NetworkParams):
        value = changes.get(item.name) or getattr(base, item.name) + 1
        ids.add(replace(base, **{item.name: value}).network_id())
    assert len(ids) == len(fields(NetworkParams)) + 1


def test_text_cannot_move_between_fields_unnoticed() -> None:
    one = make_params(name="ab", address_prefix="c")
    other = make_params(name="a", address_prefix="bc")
    assert one.network_id() != other.network_id()


@pytest.mark.parametrize("name", [item.name for item in fields(NetworkParams)][:-1])
def test_refuses_a_missing_field(name: str) -> None:
    lines = [line for line in REGTEST_GENESIS.splitlines() if not line.startswith(f"{name} =")]
    with refused(Rule.GENESIS_INVALID) as refusal:
        parse_genesis("\n".join(lines))
    assert refusal.value.detail == f"missing field {name}"


def test_refuses_an_unknown_field() -> None:
    with refused(Rule.GENESIS_INVALID) as refusal:
        parse_genesis(REGTEST_GENESIS + "colour = 1\n")
    assert refusal.value.detail == "unknown field colour"


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("genesis_time", 0, 2**40),
        ("target_interval_seconds", 1, 86_400),
        ("half_life_seconds", 1, 31_536_000),
        ("initial_subsidy", 0, None),
        ("halving_interval_blocks", 1, None),
        ("max_block_bytes", 10_000, 4_000_000),
        ("max_data_bytes", 0, 65_535),
    ],
)
def test_holds_each_integer_to_its_range(name: str, low: int, high: int | None) -> None:
    assert getattr(parse_genesis(changed(name, str(low))), name) == low
    outside = [low - 1, -(2**63), *([] if high is None else [high + 1, 2**63 - 1])]
    for value in outside:
        with refused(Rule.GENESIS_INVALID) as refusal:
            parse_genesis(changed(name, str(value)))
        assert refusal.value.detail.startswith(f"{name} must be an integer from")
    if high is not None:
        assert getattr(parse_genesis(changed(name, str(high))), name) == high


@pytest.mark.parametrize("value", ["1.0", "true", '"1"', "[1]", "nan", "2020-01-01"])
def test_refuses_what_is_no_integer(value: str) -> None:
    with refused(Rule.GENESIS_INVALID):
        parse_genesis(changed("target_interval_seconds", value))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", '""'),
        ("name", '"Upper"'),
        ("name", '"a b"'),
        ("name", '"../../etc"'),
        ("name", '"a\\n"'),
        ("name", f'"{"a" * 33}"'),
        ("name", "1"),
        ("address_prefix", '"CAIRN"'),
        ("address_prefix", '"c1"'),
        ("address_prefix", f'"{"a" * 17}"'),
        ("symbol", '"crn"'),
        ("symbol", '"<b>"'),
    ],
)
def test_refuses_text_of_another_form(name: str, value: str) -> None:
    with refused(Rule.GENESIS_INVALID) as refusal:
        parse_genesis(changed(name, value))
    assert refusal.value.detail.startswith(f"{name} must match")


@pytest.mark.parametrize("name", ["initial_target", "target_limit"])
@pytest.mark.parametrize("bits", ["0x01fedcba", "0x00000001", "0xff123456", "0x02123456"])
def test_refuses_targets_that_are_no_canonical_bits_and_names_the_field(
    name: str, bits: str
) -> None:
    with refused(Rule.GENESIS_INVALID) as refusal:
        parse_genesis(changed(name, bits))
    assert refusal.value.detail.startswith(f"{name}: bits {bits}")


def test_refuses_a_first_target_easier_than_the_limit() -> None:
    assert parse_genesis(changed("initial_target", "0x1f7fffff")).initial_target == 0x1F7FFFFF
    with refused(Rule.GENESIS_INVALID):
        parse_genesis(changed("target_limit", "0x1f7fffff"))


def test_refuses_a_supply_that_a_signed_64_bit_balance_cannot_hold() -> None:
    def genesis(allocated: int) -> str:
        return genesis_text(
            make_params(
                {make_key(0).address: allocated}, initial_subsidy=4, halving_interval_blocks=10
            )
        )

    subsidies = 10 * (4 + 2 + 1)
    parse_genesis(genesis(MAX_SUPPLY - subsidies))
    with refused(Rule.GENESIS_INVALID) as refusal:
        parse_genesis(genesis(MAX_SUPPLY - subsidies + 1))
    assert str(MAX_SUPPLY + 1) in refusal.value.detail


def test_refuses_data_that_no_block_could_hold() -> None:
    text = genesis_text(make_params(max_block_bytes=10_000, max_data_bytes=9_000))
    parse_genesis(text)
    with refused(Rule.GENESIS_INVALID):
        parse_genesis(text.replace("max_data_bytes = 9000", "max_data_bytes = 9001"))


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        ("allocations = 3", Rule.GENESIS_INVALID),
        (f"[allocations]\n{ADDRESS} = 0", Rule.GENESIS_INVALID),
        (f"[allocations]\n{ADDRESS} = -5", Rule.GENESIS_INVALID),
        (f"[allocations]\n{ADDRESS} = 1.5", Rule.GENESIS_INVALID),
        (f"[allocations]\n{ADDRESS} = 1\n{ADDRESS.upper()} = 1", Rule.GENESIS_INVALID),
        (f"[allocations]\n{ADDRESS} = 1\n{ADDRESS} = 1", Rule.GENESIS_INVALID),
        ("[allocations]\nrcairn1qqqq = 1", Rule.ADDRESS_INVALID),
        ('[allocations]\n"" = 1', Rule.ADDRESS_INVALID),
        (
            f"[allocations]\n{encode_address('cairn', bytes(20))} = 1",
            Rule.ADDRESS_WRONG_NETWORK,
        ),
    ],
)
def test_refuses_unsound_allocations(table: str, rule: Rule) -> None:
    with refused(rule):
        parse_genesis(REGTEST_GENESIS + table + "\n")


@pytest.mark.parametrize(
    "text", ["= 1", "a = ", "\x00", f"name = {'9' * 5_000}", "a = " + "[" * 9_999]
)
def test_refuses_what_is_no_toml(text: str) -> None:
    with refused(Rule.GENESIS_INVALID) as refusal:
        parse_genesis(text)
    assert refusal.value.detail.startswith("not TOML")

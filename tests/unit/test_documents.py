"""The documents say what the code does: examples, tables, links and commands are compared.

In `docs/protocol.md` a fenced block whose info string names a value (```hex blocks[1].raw) is
an example: of a frozen vector in tests/vectors, or of one that `_computed` makes here.
"""

import json
import re
import tomllib
import typing
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import pytest
from zmq.utils import z85

from cairn import config
from cairn.cli.app import cairn
from cairn.consensus.errors import Rule
from cairn.consensus.params import parse_genesis
from cairn.consensus.proof_of_work import asert_bits, bits_to_target, work_of
from cairn.network import messages as wire
from cairn.network.addresses import parse_ranges
from cairn.network.records import NodeRecord, check_record, encode_record, sign_record
from cairn.network.scoring import block_points, message_points, transaction_points
from cairn.network.settings import AccountSigner
from cairn.network.sync import LIE_POINTS
from cairn.wallet import AccountKey
from cairn.web.alert_help import ALERT_HELP, AlertHelp
from cairn.web.problems import CODE_STATUS, status_of

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
README = (ROOT / "README.md").read_text()

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


# -- the protocol's examples ---------------------------------------------------------------------


class Example(NamedTuple):
    """A fenced block of the protocol that shows a value."""

    kind: str
    """`hex`, or else the text itself is the value."""
    name: str
    content: str


def _examples() -> list[Example]:
    found = []
    for info, content in _FENCE.findall(PROTOCOL):
        kind, _, name = info.partition(" ")
        if name:
            found.append(Example(kind, name, content))
    return found


def _hex_of(content: str) -> str:
    """The hex at the left of each line; what it is follows after three spaces."""
    return "".join(line.split("   ")[0].replace(" ", "") for line in content.splitlines())


@cache
def _vectors(name: str) -> Any:
    return json.loads((ROOT / "tests" / "vectors" / f"{name}.json").read_text())


def _vector(name: str) -> str:
    """The value at a path such as `merkle[2].paths[1]`; a list's values one after another."""
    file, *steps = re.findall(r"\w+", name)
    value = _vectors(file)
    for step in steps:
        value = value[int(step)] if step.isdigit() else value[step]
    return "".join(value) if isinstance(value, list) else str(value)


def _genesis_preimage() -> str:
    params = parse_genesis(_vectors("networks")[1]["genesis_file"])
    integers = (
        params.genesis_time,
        params.target_interval_seconds,
        params.half_life_seconds,
        params.initial_target,
        params.target_limit,
        params.initial_subsidy,
        params.halving_interval_blocks,
        params.max_block_bytes,
        params.max_data_bytes,
        len(params.allocations),
    )
    texts = (params.name, params.address_prefix, params.symbol)
    parts = [b"cairn:genesis:v1", *(bytes([len(text)]) + text.encode() for text in texts)]
    parts += [number.to_bytes(8, "big") for number in integers]
    parts += [address + amount.to_bytes(8, "big") for address, amount in params.allocations]
    return b"".join(parts).hex()


def _node_record() -> NodeRecord:
    account = AccountKey(1)
    record = NodeRecord(
        network_id=bytes.fromhex(_vector("networks[0].network_id")),
        name="cairn-1",
        url="https://one.example.net",
        publish="tcp://203.0.113.7:28600",
        request="tcp://203.0.113.7:28601",
        curve_key=z85.encode(bytes(range(1, 33))).decode("ascii"),
        public_key=account.public_key,
        version="0.1.0",
        timestamp=1_700_000_000,
    )
    return sign_record(record, AccountSigner(account.public_key, account.sign))


@cache
def _computed() -> dict[str, str]:
    block_hash = bytes.fromhex(_vector("blocks[1].hash"))
    header = bytes.fromhex(_vector("blocks[1].header.raw"))
    tip = wire.TipBroadcast(12, 345, header, wire.encode_work(6))
    question = wire.Request(7, wire.GetHeaders([block_hash]))
    return {
        "genesis.preimage": _genesis_preimage(),
        "wire.get_headers": wire.encode_message(question).hex(),
        "wire.busy": wire.encode_message(wire.Reply(7, wire.Busy(250))).hex(),
        "wire.tip_broadcast": wire.encode_message(tip).hex(),
        "wire.node_record": encode_record(_node_record()).hex(),
    }


@pytest.mark.parametrize("example", _examples(), ids=lambda example: example.name)
def test_example_is_what_the_vectors_or_encoders_say(example: Example) -> None:
    wanted = _computed().get(example.name) or _vector(example.name)
    given = _hex_of(example.content) if example.kind == "hex" else example.content
    assert given.rstrip("\n") == wanted.rstrip("\n")


def test_every_layout_has_its_example() -> None:
    shown = {re.split(r"[\[.]", example.name)[0] for example in _examples()}
    vectors = {path.stem for path in (ROOT / "tests" / "vectors").glob("*.json")}
    assert shown == vectors | {"genesis", "wire"}
    assert {example.name for example in _examples()} >= set(_computed())


def test_genesis_example_is_what_the_genesis_block_commits_to() -> None:
    commitment = sha256(bytes.fromhex(_computed()["genesis.preimage"])).hexdigest()
    assert commitment == _vector("networks[1].commitment")


def test_node_record_example_is_sound() -> None:
    record = _node_record()
    ranges = parse_ranges(["203.0.113.0/24"])  # documentation's own range, not the internet's
    check_record(record, record.network_id, ranges, record.timestamp)


# -- the protocol's tables -----------------------------------------------------------------------


def _rows(text: str, *header: str) -> list[list[str]]:
    """The cells of the one table with this header."""
    start = "| " + " | ".join(header) + " |\n"
    assert text.count(start) == 1, f"{text.count(start)} tables with the header {header}"
    rows = []
    for line in text.split(start)[1].splitlines()[1:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line[1:-1].split("|")])
    return rows


def _code(cell: str) -> str:
    assert re.fullmatch(r"`[^`]+`", cell), cell
    return cell.strip("`")


def test_every_rule_is_documented_once_in_the_codes_order() -> None:
    rows = _rows(PROTOCOL, "code", "broken when")
    assert [_code(code) for code, _ in rows] == [rule.value for rule in Rule]
    assert all(len(meaning) > 10 for _, meaning in rows)


def test_every_api_code_is_documented_with_its_status() -> None:
    rows = _rows(PROTOCOL, "code", "status", "when")
    documented = {_code(row[0]): int(row[1]) for row in rows}
    assert len(documented) == len(rows)
    own = {code for code in CODE_STATUS if not isinstance(code, Rule)}
    assert set(documented) == own
    assert documented == {code: status_of(code) for code in own}


def test_rules_with_a_status_of_their_own_are_named() -> None:
    section = PROTOCOL.split("## 11.")[1].split("| code |")[0]
    for code, status in CODE_STATUS.items():
        if isinstance(code, Rule):
            assert f"`{code.value}`" in section
            assert f"({status})" in section


def _fields_of(body: type[wire.Body]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(body)]


def test_every_message_is_documented_with_its_fields_and_reply() -> None:
    kinds = {
        **dict.fromkeys(typing.get_args(wire.RequestBody), "request"),
        **dict.fromkeys(typing.get_args(wire.ReplyBody), "reply"),
        wire.TransactionsBroadcast: "topic `tx`",
        wire.TipBroadcast: "topic `chain`",
    }
    tags = {str(body.__struct_config__.tag) for body in kinds}
    documented = {}
    for type_, kind, names, reply in _rows(PROTOCOL, "type", "kind", "fields", "reply"):
        documented[_code(type_)] = kind, re.findall(r"`(\w+)`", names)
        assert (kind == "request") == bool(reply)
        answers = set(re.findall(r"`(\w+)`", reply)) - {"ids"}
        assert answers <= tags
    assert documented == {
        str(body.__struct_config__.tag): (kind, _fields_of(body)) for body, kind in kinds.items()
    }


def test_every_wire_limit_is_documented() -> None:
    documented = {}
    for number, meaning in _rows(PROTOCOL, "limit", "of"):
        name = meaning.split("`")[1]
        documented[name] = int(number.replace(",", ""))
    actual = {name: value for name, value in vars(wire).items() if name.startswith("MAX_")}
    assert documented == actual


def test_compact_bits_are_as_tabled() -> None:
    for bits, target, work in _rows(PROTOCOL, "bits", "target", "work"):
        mantissa, exponent = re.fullmatch(r"`(\w+)` · 2\^(\d+)", target).groups()  # type: ignore[union-attr]
        number = int(_code(bits), 16)
        assert bits_to_target(number) == int(mantissa, 16) << int(exponent)
        assert work_of(number) == int(work)


def test_difficulty_is_as_tabled() -> None:
    start, height, interval = 1_700_000_000, 10, 60
    for delay, bits in _rows(PROTOCOL, "parent's delay in seconds", "bits"):
        computed = asert_bits(
            anchor_bits=0x1D00FFFF,
            anchor_height=0,
            anchor_parent_time=start - interval,
            height=height,
            time=start + height * interval + int(delay),
            target_interval=interval,
            half_life=3_600,
            limit_bits=0x1E00FFFF,
        )
        assert int(_code(bits), 16) == computed


def test_alerts_are_as_the_operators_page_has_them() -> None:
    rows = _rows(
        (ROOT / "docs" / "operations.md").read_text(), "code", "what it means", "what to do"
    )
    documented = {_code(code): AlertHelp(meaning, remedy) for code, meaning, remedy in rows}
    assert documented == ALERT_HELP
    listener = ROOT / "node" / "cairn" / "services" / "listener"
    source = "\n".join(path.read_text() for path in listener.glob("*.py"))
    raised = set(re.findall(r'alerts\.set\(\s*"([a-z-]+)"', source))
    assert raised | {"listener-unavailable"} == set(ALERT_HELP)


def test_points_are_as_tabled() -> None:
    points = [int(row[1]) for row in _rows(PROTOCOL, "what", "points")]
    assert points == [
        message_points(Rule.MESSAGE_MALFORMED),
        transaction_points(Rule.SIGNATURE_INVALID),
        transaction_points(Rule.TRANSACTION_EMPTY),
        block_points(Rule.PROOF_OF_WORK),
        LIE_POINTS,
        block_points(Rule.TIMESTAMP_TOO_NEW) + transaction_points(Rule.POOL_FULL),
    ]


# -- the README ----------------------------------------------------------------------------------


def test_readme_opens_with_its_two_commands() -> None:
    first_block = re.search(r"\n((?: {4}[^\n]+\n)+)", README)
    assert first_block is not None
    commands = [line.strip().split("  ")[0] for line in first_block[1].splitlines()]
    assert commands == ["./dev up", "./dev test"]
    before = README[: first_block.start()].strip().splitlines()
    assert before[0].startswith("# ")
    assert len(" ".join(before[1:]).split()) < 40, "one sentence comes before the commands"


def _sections() -> dict[str, type[Any]]:
    hints = typing.get_type_hints(config.Config)
    return {name: hint for name, hint in hints.items() if name != "params"}


def _shown_default(value: object) -> str:
    if value in (None, "", ()):
        return ""
    return f"{value:,}" if isinstance(value, int) else f"`{value}`"


def _configuration() -> Iterator[tuple[str, str]]:
    for section, type_ in _sections().items():
        for field in fields(type_):
            yield f"{section}.{field.name}", _shown_default(field.default)


def test_readme_documents_every_setting_with_its_default() -> None:
    rows = _rows(README, "key", "default", "meaning")
    documented = [(_code(key), default) for key, default, _ in rows]
    assert documented == list(_configuration())
    assert all(meaning for _, _, meaning in rows)


def test_readme_configuration_example_is_accepted(tmp_path: Path) -> None:
    blocks = [content for info, content in _FENCE.findall(README) if info == "toml"]
    assert blocks
    for content in blocks:
        file = tmp_path / "cairn.toml"
        genesis = tmp_path / "genesis.toml"
        genesis.write_text(_vector("networks[1].genesis_file"))
        file.write_text(content.replace("/etc/cairn/genesis.toml", str(genesis)))
        tomllib.loads(content)
        config.load_config(file, {})


def _commands() -> Iterator[tuple[str, str]]:
    """Every `cairn …` line of a code block, and of inline code, in the documents."""
    for path in DOCUMENTS:
        text = path.read_text()
        blocks = [content for _, content in _FENCE.findall(text)]
        blocks += re.findall(r"(?:^ {4}[^\n]*\n)+", text, re.MULTILINE)
        for line in "\n".join(blocks).splitlines():
            if match := re.match(r"\s*(?:\$ )?(?:\.venv/bin/)?(cairn [a-z].*)", line):
                yield _name(path), match[1]
        for code in re.findall(r"`(cairn [a-z][^`]*)`", text):
            yield _name(path), code


@pytest.mark.parametrize(("document", "line"), sorted(set(_commands())))
def test_command_in_a_document_exists_with_its_options(document: str, line: str) -> None:
    command: click.Command = cairn
    words = line.split(" #", maxsplit=1)[0].split()[1:]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        context = click.Context(command)
        found = command.get_command(context, words[0])
        if found is None and command.invoke_without_command:
            break
        assert found is not None, f"{document}: no command {words[0]!r} in {line!r}"
        command, words = found, words[1:]
    options = {name for param in command.params for name in param.opts}
    used = {word.split("=")[0] for word in words if word.startswith("-") and word != "-"}
    assert used <= options | {"--help"}, f"{document}: {line!r}"


# -- all documents -------------------------------------------------------------------------------


def _anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in _HEADING.findall(_FENCE.sub("", text))
    }


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_links_lead_somewhere(path: Path) -> None:
    for link in _LINK.findall(_FENCE.sub("", path.read_text())):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in _anchors(target.read_text()), f"{link} has no such heading"


def test_decisions_are_numbered_and_listed() -> None:
    files = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(name[:4]) for name in files] == list(range(1, len(files) + 1))
    for name in files:
        assert f"(decisions/{name})" in ARCHITECTURE, f"{name} is not listed in architecture.md"


def test_architecture_states_the_dependency_rule_that_is_enforced() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    stated = " → ".join(re.sub(r"[()]", "", layer) for layer in layers)
    assert stated in " ".join(ARCHITECTURE.split())


def test_architecture_describes_every_package() -> None:
    packages = {path.parent.name for path in (ROOT / "node" / "cairn").glob("*/__init__.py")}
    described = set(re.findall(r"^- \*\*`cairn\.(\w+)`\*\*", ARCHITECTURE, re.MULTILINE))
    assert described == packages | {"config"}

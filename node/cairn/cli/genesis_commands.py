"""`cairn genesis new|show`: the file that defines a network."""

import time
from pathlib import Path
from typing import Any

import click

from cairn.cli.command import (
    CairnGroup,
    NetworkChoice,
    config_option,
    example,
    json_option,
    network_options,
    wallet_option,
)
from cairn.cli.failures import ExitCode, Failure
from cairn.cli.genesis_file import DEFAULT_HASH_RATE, GenesisChoices, write_genesis
from cairn.cli.networks import load_genesis, offline_params
from cairn.cli.output import counted, facts, hashes, moment, out, print_json, table
from cairn.cli.wallets import find_wallet, wallet_folder
from cairn.consensus.crypto import decode_address, encode_address
from cairn.consensus.errors import RuleError
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof_of_work import work_of
from cairn.wallet import format_amount, parse_amount

_SHOWN_ALLOCATIONS = 20


@click.group(cls=CairnGroup)
def genesis() -> None:
    """Make or show the genesis file: the definition of a network.

    Whoever has the same file is on the same network; its hash is the network id.
    """


@genesis.command(
    "new",
    epilog=example(
        "cairn wallet new founder\n"
        "cairn genesis new --name mynet --prefix my --symbol MYC --allocate founder=1000000"
        " -o genesis.toml"
    ),
)
@click.option("--name", required=True, help="Lower-case letters, digits and '-'.")
@click.option("--prefix", required=True, help="What addresses begin with: lower-case letters.")
@click.option("--symbol", required=True, help="How the coin is written: upper-case letters.")
@click.option(
    "--allocate",
    "allocations",
    multiple=True,
    metavar="ADDRESS=AMOUNT",
    help="Coins that an address, or one of your wallets by name, holds from the start. Repeatable.",
)
@click.option(
    "--interval", type=click.IntRange(1, 86_400), default=60, show_default=True, metavar="SECONDS",
    help="Between blocks, on average.",
)  # fmt: skip
@click.option(
    "--hash-rate", type=click.IntRange(1, 2**60), default=DEFAULT_HASH_RATE, show_default=True,
    help="Expected at the start, hashes a second; sets the first difficulty.",
)  # fmt: skip
@click.option(
    "--half-life", type=click.IntRange(1, 31_536_000), metavar="SECONDS",
    help="Delay that doubles the target.  [default: 288 intervals]",
)  # fmt: skip
@click.option(
    "--subsidy", default="50", show_default=True, metavar="COINS", help="A block's new coins."
)
@click.option(
    "--halving", type=click.IntRange(1, 2**32 - 1), metavar="BLOCKS",
    help="Blocks until the subsidy halves.  [default: about four years]",
)  # fmt: skip
@click.option("--max-block-bytes", type=int, default=1_000_000, show_default=True)
@click.option("--max-data-bytes", type=int, default=1_024, show_default=True)
@click.option("--time", "start", type=int, metavar="SECONDS", help="Genesis time.  [default: now]")
@click.option("-o", "--output", required=True, metavar="FILE", help="Where to; '-' is stdout.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@wallet_option
@json_option
def new(
    name: str,
    prefix: str,
    symbol: str,
    allocations: tuple[str, ...],
    output: str,
    wallet_dir: str | None,
    as_json: bool,
    force: bool,
    **numbers: Any,
) -> None:
    """Write the genesis file of a new network.

    The defaults suit a private network: a block a minute, found by one core at first, and
    never more than four times easier, however long nobody mines. A miner rests for half an
    interval after each block; let at least one run, or anybody can overtake an idle chain.
    """
    if as_json and output == "-":
        raise click.UsageError("--json and -o - both need stdout; name a file")
    folder = wallet_folder(wallet_dir)
    choices = GenesisChoices(
        name=name,
        prefix=prefix,
        symbol=symbol,
        time=int(time.time()) if numbers["start"] is None else numbers["start"],
        interval_seconds=numbers["interval"],
        half_life_seconds=numbers["half_life"],
        hash_rate=numbers["hash_rate"],
        subsidy=parse_amount(numbers["subsidy"]),
        halving_blocks=numbers["halving"],
        max_block_bytes=numbers["max_block_bytes"],
        max_data_bytes=numbers["max_data_bytes"],
        allocations=_parse_allocations(allocations, prefix, folder),
    )
    text, params = write_genesis(choices)
    if output == "-":
        click.echo(text, nl=False)
        return
    _write(Path(output), text, force=force)
    if as_json:
        print_json({"file": output, **_document(params)})
        return
    console = out()
    console.print(f"Wrote {output}.")
    console.print(_facts(params))
    console.print(f'\nGive the file to every node:  [node] network = "{Path(output).resolve()}"')


def _parse_allocations(
    texts: tuple[str, ...], prefix: str, folder: Path
) -> tuple[tuple[bytes, int], ...]:
    """(address, base units), the same address twice added up."""
    found: dict[bytes, int] = {}
    for text in texts:
        who, separator, amount = text.partition("=")
        if not separator:
            raise click.BadParameter(f"{text!r} is not ADDRESS=AMOUNT", param_hint="--allocate")
        address = _address(who.strip(), prefix, folder)
        found[address] = found.get(address, 0) + parse_amount(amount.strip())
    return tuple(sorted(found.items()))


def _address(text: str, prefix: str, folder: Path) -> bytes:
    """The address written out, or a wallet's."""
    try:
        return decode_address(prefix, text)
    except RuleError:
        if "1" in text and text.rpartition("1")[0].islower() and len(text) > 38:
            raise  # meant as an address: say what is wrong with it
    wallet = find_wallet(text, folder)
    if wallet.address is None:
        raise Failure(
            f"the wallet {text} is encrypted and shows no address",
            f"see it with: cairn wallet show {text}, and give the address here",
        )
    return wallet.address


def _write(path: Path, text: str, *, force: bool) -> None:
    if force:
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
        return
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Failure(
            f"{path} exists; another genesis file makes another network",
            "choose another name, or replace it with --force",
        ) from None


@genesis.command("show", epilog=example("cairn genesis show genesis.toml"))
@click.argument("file", required=False, type=click.Path(dir_okay=False))
@network_options
@config_option
@json_option
def show(
    file: str | None,
    network: NetworkChoice,
    config_file: str | None,
    as_json: bool,
) -> None:
    """Show what a genesis file says, and its network id.

    Without FILE, --genesis or --network it is the one of the node's configuration.
    """
    if file:
        params = load_genesis(Path(file))
    else:
        named = offline_params(network)
        params = named or _configured(config_file)
    if as_json:
        print_json(_document(params))
        return
    console = out()
    console.print(_facts(params))
    if params.allocations:
        console.print(_allocation_table(params))


def _configured(config_file: str | None) -> NetworkParams:
    from cairn.config import DEFAULT_CONFIG_FILE, load_config

    if config_file is None and not Path(DEFAULT_CONFIG_FILE).exists():
        raise Failure(
            f"no genesis file is named, and this machine has no {DEFAULT_CONFIG_FILE}",
            "name one: cairn genesis show FILE, or --network regtest",
            exit_code=ExitCode.USAGE,
        )
    return load_config(config_file).params


def _document(params: NetworkParams) -> dict[str, object]:
    return {
        "network_id": params.network_id().hex(),
        "name": params.name,
        "address_prefix": params.address_prefix,
        "symbol": params.symbol,
        "genesis_time": params.genesis_time,
        "target_interval_seconds": params.target_interval_seconds,
        "half_life_seconds": params.half_life_seconds,
        "initial_target": params.initial_target,
        "target_limit": params.target_limit,
        "initial_subsidy": str(params.initial_subsidy),
        "halving_interval_blocks": params.halving_interval_blocks,
        "max_block_bytes": params.max_block_bytes,
        "max_data_bytes": params.max_data_bytes,
        "allocations": [
            {"address": encode_address(params.address_prefix, address), "amount": str(amount)}
            for address, amount in params.allocations
        ],
    }


def _facts(params: NetworkParams) -> Any:
    symbol = params.symbol
    interval, half_life = params.target_interval_seconds, params.half_life_seconds
    subsidy = format_amount(params.initial_subsidy, symbol)
    halving = f"{params.halving_interval_blocks:,}"
    allocated = format_amount(sum(amount for _, amount in params.allocations), symbol)
    holders = counted(len(params.allocations), "address", "addresses")
    block, note = f"{params.max_block_bytes:,}", f"{params.max_data_bytes:,}"
    return facts(
        [
            ("network", params.name),
            ("network id", params.network_id().hex()),
            ("addresses", f"{params.address_prefix}1…"),
            ("genesis", moment(params.genesis_time)),
            ("interval", f"{interval} s, half-life {half_life:,} s"),
            ("first target", _target_text(params.initial_target)),
            ("easiest target", _target_text(params.target_limit)),
            ("new coins", f"{subsidy} a block, halved every {halving} blocks"),
            ("allocated", f"{allocated} to {holders}"),
            ("limits", f"{block} bytes a block, {note} a note"),
        ]
    )


def _target_text(bits: int) -> str:
    return f"{bits:#010x}, {hashes(work_of(bits))} a block"


def _allocation_table(params: NetworkParams) -> Any:
    made = table("address", (f"{params.symbol} at genesis", "right"))
    for address, amount in params.allocations[:_SHOWN_ALLOCATIONS]:
        made.add_row(encode_address(params.address_prefix, address), format_amount(amount))
    left = len(params.allocations) - _SHOWN_ALLOCATIONS
    if left > 0:
        made.add_row(f"… and {left} more (--json shows all)", "")
    return made

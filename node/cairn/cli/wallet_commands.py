"""`cairn wallet new|list|show|import|export` and `cairn balance`."""

from pathlib import Path

import click
from rich.text import Text

from cairn.cli.api_client import NodeClient
from cairn.cli.command import (
    CairnCommand,
    CairnGroup,
    NetworkChoice,
    NodeAt,
    example,
    json_option,
    network_options,
    node_options,
    passphrase_option,
    prefix_option,
    wallet_option,
)
from cairn.cli.failures import Failure
from cairn.cli.networks import address_prefix
from cairn.cli.output import err, facts, out, plain, print_json, table
from cairn.cli.replies import Account, Status, read
from cairn.cli.wallet_backup_commands import export, import_
from cairn.cli.wallets import (
    Wallet,
    create_wallet,
    find_wallet,
    list_wallets,
    new_passphrase,
    open_wallet,
    wallet_folder,
    wallet_path,
)
from cairn.consensus.crypto import decode_address, encode_address
from cairn.consensus.errors import RuleError
from cairn.wallet import WalletError, format_amount, generate_key

_SHORTEST_ADDRESS = 1 + 1 + 38
"""A prefix of one letter, the separator, 160 bits and the checksum."""
_UNKNOWN_NETWORK = "depends on the network"


@click.group(cls=CairnGroup)
def wallet() -> None:
    """Make keys and see the wallets on this machine.

    A wallet is one private key in a file that only you can read. Whoever has the file (and
    its passphrase) can spend: keep a copy in a safe place.
    """


wallet.add_command(import_)
wallet.add_command(export)


@wallet.command("new", epilog=example("cairn wallet new alice\ncairn wallet new bob --encrypt"))
@click.argument("name")
@click.option("--encrypt", is_flag=True, help="Protect the file with a passphrase.")
@passphrase_option
@wallet_option
@prefix_option
@network_options
@node_options
@json_option
def new(
    name: str,
    encrypt: bool,
    passphrase_file: str | None,
    wallet_dir: str | None,
    prefix: str | None,
    network: NetworkChoice,
    node: NodeAt,
    as_json: bool,
) -> None:
    """Make a new key and keep it as NAME (or at a path that ends in .pem)."""
    path = wallet_path(name, wallet_folder(wallet_dir))
    if path.exists():  # before a passphrase is asked for; the writing checks again
        raise WalletError(
            f"{path} exists, and a key file is never overwritten", "choose another name"
        )
    known = address_prefix(prefix, network, node)
    passphrase = None
    if encrypt or passphrase_file:
        passphrase = new_passphrase(path.stem, passphrase_file)
    made = create_wallet(path, generate_key(), passphrase)
    if as_json:
        print_json(_document(made, known))
        return
    console = out()
    console.print(f"Made the wallet {made.name}.", style="bold green")
    console.print(facts(_rows(made, known)))
    console.print("Keep a copy of the file in a safe place: without it the coins are lost.")
    _advise_network(known, node, f"show {name}")


@wallet.command("list", epilog=example("cairn wallet list"))
@wallet_option
@prefix_option
@network_options
@node_options
@json_option
def list_(
    wallet_dir: str | None,
    prefix: str | None,
    network: NetworkChoice,
    node: NodeAt,
    as_json: bool,
) -> None:
    """List the wallets on this machine."""
    folder = wallet_folder(wallet_dir)
    found = list_wallets(folder)
    known = address_prefix(prefix, network, node) if found else None
    usable = [item for item in found if isinstance(item, Wallet)]
    faults = [item for item in found if isinstance(item, Failure)]
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "items": [_document(item, known) for item in usable],
                "problems": [failure.document()["error"] for failure in faults],
            }
        )
        return
    if not found:
        out().print(f"No wallets in {folder}. Make one: cairn wallet new NAME")
        return
    made = table("name", "address", "encrypted")
    for item in usable:
        made.add_row(plain(item.name), _address_text(item, known), _yes(item.is_encrypted))
    out().print(made)
    for failure in faults:
        err().print(f"! {plain(failure.problem)}. {plain(failure.fix)}", style="yellow")
    _advise_network(known, node, "list")


@wallet.command("show", epilog=example("cairn wallet show alice"))
@click.argument("name")
@passphrase_option
@wallet_option
@prefix_option
@network_options
@node_options
@json_option
def show(
    name: str,
    passphrase_file: str | None,
    wallet_dir: str | None,
    prefix: str | None,
    network: NetworkChoice,
    node: NodeAt,
    as_json: bool,
) -> None:
    """Show a wallet's address and public key. The private key is never shown."""
    found = find_wallet(name, wallet_folder(wallet_dir))
    if found.public_key is None or passphrase_file:
        key = open_wallet(found, passphrase_file)
        found = Wallet(found.name, found.path, found.is_encrypted, key.public_key)
    known = address_prefix(prefix, network, node)
    if as_json:
        print_json(_document(found, known))
        return
    out().print(facts(_rows(found, known)))
    _advise_network(known, node, f"show {name}")


@click.command(
    "balance", cls=CairnCommand, epilog=example("cairn balance\ncairn balance alice --json")
)
@click.argument("account", required=False, metavar="[WALLET|ADDRESS]")
@wallet_option
@node_options
@json_option
def balance(account: str | None, wallet_dir: str | None, node: NodeAt, as_json: bool) -> None:
    """Show what an account holds: a wallet's by name, or any address's.

    Without an argument: all wallets on this machine.
    """
    client = node.client()
    status = read(client.get("status"), Status)
    folder = wallet_folder(wallet_dir)
    if account is None:
        _balances(client, status, list_wallets(folder), as_json=as_json)
        return
    address = account_address(account, status.address_prefix, folder)
    document = client.get("accounts", encode_address(status.address_prefix, address))
    found = read(document, Account)
    if as_json:
        print_json(document)
        return
    out().print(facts(_balance_rows(found, status.symbol)))


def account_address(text: str, prefix: str, folder: Path) -> bytes:
    """The 20 bytes of an address written out, or of a wallet by name or path.

    Raises RuleError for a damaged or foreign address, Failure for an unknown wallet.
    """
    try:
        return decode_address(prefix, text)
    except RuleError:
        # What is as long as an address is one with a mistake, unless there is such a wallet.
        if len(text) >= _SHORTEST_ADDRESS and not wallet_path(text, folder).exists():
            raise
    found = find_wallet(text, folder)
    if found.address is None:
        raise Failure(
            f"the wallet {text} is encrypted, and its .pub file is missing",
            f"see its address with its passphrase: cairn wallet show {text}",
            code="wallet",
        )
    return found.address


def _balances(
    client: NodeClient, status: Status, wallets: list[Wallet | Failure], *, as_json: bool
) -> None:
    documents = []
    made = table("wallet", "address", (status.symbol, "right"), ("pending", "right"))
    total = 0
    for item in wallets:
        if not isinstance(item, Wallet) or item.address is None:
            continue
        address = encode_address(status.address_prefix, item.address)
        document = client.get("accounts", address)
        found = read(document, Account)
        documents.append({"wallet": item.name, **document})
        total += int(found.balance)
        change = int(found.pending.balance) - int(found.balance)
        pending = ("+" if change > 0 else "") + format_amount(change) if change else ""
        made.add_row(plain(item.name), address, format_amount(int(found.balance)), pending)
    if as_json:
        print_json({"items": documents, "total": str(total)})
        return
    if not documents:
        out().print("No wallets on this machine. Make one: cairn wallet new NAME")
        return
    if len(documents) > 1:
        made.add_section()
        made.add_row("all", "", format_amount(total), "")
    out().print(made)


def _balance_rows(found: Account, symbol: str) -> list[tuple[str, str | Text]]:
    rows: list[tuple[str, str | Text]] = [
        ("address", found.address),
        ("balance", Text(format_amount(int(found.balance), symbol), "bold green")),
    ]
    if found.pending.balance != found.balance:
        sent = format_amount(int(found.pending.sent))
        received = format_amount(int(found.pending.received))
        expected = format_amount(int(found.pending.balance), symbol)
        rows.append(("pending", f"{expected}: {received} coming in, {sent} going out"))
    rows.append(("next sequence", str(found.next_sequence)))
    return rows


def _document(found: Wallet, prefix: str | None) -> dict[str, object]:
    address = found.address
    return {
        "name": found.name,
        "file": str(found.path),
        "encrypted": found.is_encrypted,
        "public_key": found.public_key.hex() if found.public_key else None,
        "address": encode_address(prefix, address) if prefix and address else None,
        "address_bytes": address.hex() if address else None,
    }


def _rows(found: Wallet, prefix: str | None) -> list[tuple[str, str | Text]]:
    return [
        ("name", found.name),
        ("address", Text(_address_text(found, prefix), "bold")),
        ("public key", found.public_key.hex() if found.public_key else "hidden"),
        ("file", str(found.path)),
        ("encrypted", _yes(found.is_encrypted)),
    ]


def _address_text(found: Wallet, prefix: str | None) -> str:
    if found.address is None:
        return "hidden: encrypted"
    return encode_address(prefix, found.address) if prefix else _UNKNOWN_NETWORK


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"


def _advise_network(prefix: str | None, node: NodeAt, command: str) -> None:
    if prefix is None:
        err().print(
            "Note: an address begins with its network's prefix, no network is named, and no node\n"
            f"answers at {plain(node.url)}. Name the node, the network, or the prefix itself:\n"
            f"  cairn wallet {plain(command)} --node URL\n"
            f"  cairn wallet {plain(command)} --genesis FILE     (or --network regtest)\n"
            f"  cairn wallet {plain(command)} --prefix LETTERS",
            style="yellow",
        )

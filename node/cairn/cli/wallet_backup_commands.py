"""`cairn wallet import|export`: keys from and to the wallet page, and other machines."""

from pathlib import Path

import click

from cairn.cli.command import CairnCommand, example, json_option, passphrase_option, wallet_option
from cairn.cli.failures import ExitCode, Failure
from cairn.cli.output import err, out, plain, print_json
from cairn.cli.wallets import (
    create_wallet,
    find_wallet,
    is_encrypted,
    new_passphrase,
    read_passphrase,
    wallet_folder,
    wallet_path,
)
from cairn.wallet import WalletError, load_key, save_key

_BACKUP = "-backup.pem"


@click.command(
    "import",
    cls=CairnCommand,
    epilog=example("cairn wallet import alice.pem\ncairn wallet import alice.pem --name savings"),
)
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--name", help="What to call it.  [default: the file's name]")
@passphrase_option
@wallet_option
@json_option
def import_(
    file: str, name: str | None, passphrase_file: str | None, wallet_dir: str | None, as_json: bool
) -> None:
    """Take over a key: a backup of the wallet page, or any P-256 key in PEM.

    A file under a passphrase stays under it. The file itself is left as it is.
    """
    source = Path(file)
    if not source.is_file():
        raise Failure(f"{source}: no such file", exit_code=ExitCode.NOT_FOUND)
    target = wallet_path(name or source.stem, wallet_folder(wallet_dir))
    if target.exists():  # before a passphrase is asked for; the writing checks again
        raise WalletError(
            f"{target} exists, and a key file is never overwritten",
            "choose another name: --name NAME",
        )
    passphrase = None
    if is_encrypted(source):
        passphrase = read_passphrase(source.name, passphrase_file)
    made = create_wallet(target, load_key(source, passphrase, all_may_read=True), passphrase)
    if as_json:
        address = made.address.hex() if made.address else None
        print_json({"name": made.name, "file": str(made.path), "encrypted": made.is_encrypted,
                    "address_bytes": address})  # fmt: skip
        return
    out().print(f"Imported the wallet {made.name}.", style="bold green")
    out().print(f"See its address: cairn wallet show {made.name}")
    if not made.is_encrypted:
        err().print(
            f"Note: {plain(file)} is open to whoever reads it: keep it where nobody does.",
            style="yellow",
        )


@click.command(
    "export",
    cls=CairnCommand,
    epilog=example("cairn wallet export alice\ncairn wallet export alice -o alice.pem"),
)
@click.argument("name")
@click.option("-o", "--output", metavar="FILE", help=f"Where to.  [default: NAME{_BACKUP}]")
@passphrase_option
@wallet_option
@json_option
def export(
    name: str,
    output: str | None,
    passphrase_file: str | None,
    wallet_dir: str | None,
    as_json: bool,
) -> None:
    """Write a wallet to a backup file under a passphrase, which the wallet page imports.

    An encrypted wallet keeps its passphrase; for another one, a new one is asked for.
    """
    found = find_wallet(name, wallet_folder(wallet_dir))
    target = Path(output or f"{found.name}{_BACKUP}")
    if target.exists():
        raise WalletError(
            f"{target} exists, and a key file is never overwritten", "name another: -o FILE"
        )
    ask = read_passphrase if found.is_encrypted else new_passphrase
    passphrase = ask(found.name, passphrase_file)
    save_key(target, load_key(found.path, passphrase), passphrase)
    if as_json:
        print_json({"name": found.name, "file": str(target), "encrypted": True})
        return
    out().print(f"Wrote {target}. It opens with the passphrase alone.", style="bold green")
    out().print("The wallet page of a node imports it: Wallet, Import.")

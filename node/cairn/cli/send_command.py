"""`cairn send`: coins, or a note, from a wallet to an address."""

import binascii

import click

from cairn.cli.chain_commands import note_text
from cairn.cli.command import CairnCommand, example
from cairn.cli.failures import ExitCode, Failure
from cairn.cli.output import counted, err, one_line, out, print_json
from cairn.cli.replies import Status
from cairn.cli.sending import (
    Order,
    SendingOptions,
    chosen_wallet,
    confirm,
    connect,
    prepare,
    sending_options,
    sent_document,
    submit,
    tell_how_to_follow,
    wait_for,
)
from cairn.cli.wallet_commands import account_address
from cairn.cli.wallets import Wallet
from cairn.consensus.crypto import encode_address
from cairn.consensus.transaction import Transaction
from cairn.wallet import format_amount, parse_amount


@click.command(
    "send",
    cls=CairnCommand,
    epilog=example(
        "cairn send --from alice --to ADDRESS --amount 1.5 --wait\n"
        'cairn send --from alice --to bob --amount 2 --note "for lunch" --yes --json'
    ),
)
@click.option("--to", "recipient", required=True, help="An address, or a wallet of yours.")
@click.option("--amount", default="0", metavar="COINS", help="Such as 1.5; at most 8 decimals.")
@click.option("--note", help="Text that goes along, public for ever.")
@click.option("--data", metavar="HEX", help="Bytes that go along, in hexadecimal.")
@sending_options
def send(
    recipient: str, amount: str, note: str | None, data: str | None, options: SendingOptions
) -> None:
    """Send coins, or a note, from your wallet to an address.

    Shows what will be sent and asks, unless --yes. A transaction that the node took is
    durable there; it cannot be taken back.
    """
    payload, units = _payload(note, data), parse_amount(amount)
    if units == 0 and not payload:
        raise Failure(
            "nothing to send: the amount is 0 and there is no note",
            "add --amount COINS, --note TEXT or --data HEX",
            exit_code=ExitCode.USAGE,
        )
    wallet = chosen_wallet(options.sender, options.folder)
    client = options.node.client()
    status = connect(client, options.network)
    to = account_address(recipient, status.address_prefix, options.folder)
    order = Order(to, units, options.fee, payload)
    transaction = prepare(client, status, wallet, options.passphrase_file, order)
    if not (options.as_json and options.yes):
        _review(wallet, status, transaction)
    confirm("Send it?", yes=options.yes)
    submit(client, transaction)
    transaction_id = transaction.id.hex()
    if not options.as_json:
        out().print(f"Sent: {transaction_id}")
    followed = None
    if options.confirmations:
        limit = options.within_seconds
        followed = wait_for(client, transaction_id, options.confirmations, limit)
    if options.as_json:
        print_json(sent_document(status, transaction, followed))
    elif followed is None or followed.block is None:
        tell_how_to_follow(transaction_id)
    else:
        count = counted(followed.confirmations, "confirmation")
        out().print(f"Mined in block {followed.block.height:,}, {count}.", style="green")


def _payload(note: str | None, data: str | None) -> bytes:
    if note is not None and data is not None:
        raise click.UsageError("--note and --data exclude each other")
    if note is not None:
        return note.encode()
    try:
        return binascii.unhexlify(data or "")
    except (ValueError, binascii.Error):
        raise click.BadParameter(
            "not hexadecimal digits, two for a byte", param_hint="--data"
        ) from None


def _review(wallet: Wallet, status: Status, transaction: Transaction) -> None:
    """One line that says all that will happen."""
    to = encode_address(status.address_prefix, transaction.recipient)
    text = (
        f"{format_amount(transaction.amount, status.symbol)} from {wallet.name} to {to},"
        f" fee {format_amount(transaction.fee, status.symbol)}"
    )
    if transaction.data:
        text += f", with the note “{one_line(note_text(transaction.data), 80)}”"
    err().print(text, style="bold", soft_wrap=True)

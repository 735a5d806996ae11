"""Building, submitting and following a transaction: what `send` and `notarize` share."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from cairn.cli.api_client import NodeClient
from cairn.cli.command import (
    NetworkChoice,
    NodeAt,
    json_option,
    network_options,
    node_options,
    passphrase_option,
    wallet_option,
)
from cairn.cli.failures import ExitCode, Failure
from cairn.cli.networks import offline_params
from cairn.cli.output import counted, err, progress
from cairn.cli.replies import Accepted, Account, FoundTransaction, Status, read
from cairn.cli.wallets import Wallet, find_wallet, list_wallets, open_wallet, wallet_folder
from cairn.consensus.crypto import encode_address
from cairn.consensus.transaction import MINIMUM_TRANSACTION_BYTES, Transaction
from cairn.wallet import build_transaction, format_amount, parse_amount


@dataclass(frozen=True, slots=True)
class SendingOptions:
    """What `send` and `notarize` are told alike."""

    sender: str | None
    fee: str
    yes: bool
    confirmations: int
    """To wait for; 0: do not wait."""
    within_seconds: float
    passphrase_file: str | None
    folder: Path
    network: NetworkChoice
    node: NodeAt
    as_json: bool


def sending_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that both have, together as `options`, a SendingOptions."""

    @wraps(function)
    def call(
        *arguments: Any,
        wait: bool,
        confirmations: int | None,
        within: float,
        wallet_dir: str | None,
        **options: Any,
    ) -> Any:
        own = {name: options.pop(name) for name in _OWN_OPTIONS}
        made = SendingOptions(
            **own,
            confirmations=confirmations or int(wait),
            within_seconds=within,
            folder=wallet_folder(wallet_dir),
        )
        return function(*arguments, options=made, **options)

    added = (
        click.option("--from", "sender", metavar="NAME",
                     help="Your wallet. Default: the only one."),
        click.option("--fee", default="auto", show_default=True, metavar="COINS|auto",
                     help="For the miner; auto is the least this node takes."),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--wait", is_flag=True, help="Wait until it is mined."),
        click.option("--confirmations", type=click.IntRange(1, 1_000), metavar="N",
                     help="Wait for so many blocks: its own and those after it."),
        click.option("--within", type=click.FloatRange(1, 86_400), default=600.0,
                     show_default=True, metavar="SECONDS", help="How long to wait for them."),
        passphrase_option, wallet_option, network_options, node_options, json_option,
    )  # fmt: skip
    for option in reversed(added):
        call = option(call)
    return call


_OWN_OPTIONS = ("sender", "fee", "yes", "passphrase_file", "network", "node", "as_json")
_POLL_SECONDS = 0.5
_LOST_POLLS = 20
"""A transaction may be in neither pool nor chain for a moment; this long it is gone."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be sent."""

    recipient: bytes
    amount: int
    fee: str
    """`auto`, or coins."""
    data: bytes = b""


def connect(client: NodeClient, network: NetworkChoice) -> Status:
    """The node's status. Raises Failure when it is not on the network that is named."""
    status = read(client.get("status"), Status)
    params = offline_params(network)
    if params is not None and params.network_id().hex() != status.network_id:
        raise Failure(
            f"the node is on network {status.network} ({status.network_id[:16]}…), not on"
            f" {params.name} ({params.network_id().hex()[:16]}…)",
            "talk to a node of your network: --node URL",
            code="network-mismatch",
        )
    return status


def chosen_wallet(name: str | None, folder: Path) -> Wallet:
    """The wallet of this name; without one, the only wallet there is."""
    if name is not None:
        return find_wallet(name, folder)
    found = [item for item in list_wallets(folder) if isinstance(item, Wallet)]
    if len(found) == 1:
        return found[0]
    raise Failure(
        f"{counted(len(found), 'wallet')} in {folder}: which one?",
        "name it with --from NAME: cairn wallet list" if found else "cairn wallet new NAME",
        exit_code=ExitCode.USAGE,
    )


def prepare(
    client: NodeClient, status: Status, wallet: Wallet, passphrase_file: str | None, order: Order
) -> Transaction:
    """The signed transaction, checked as far as it can be before it is sent."""
    if len(order.data) > status.max_data_bytes:
        raise Failure(
            f"the note is {len(order.data)} bytes, this network takes {status.max_data_bytes}",
            "shorten it, or notarize a file instead: cairn notarize FILE",
            code="transaction-data-too-large",
        )
    fee = _fee(status, order)
    key = open_wallet(wallet, passphrase_file)
    account = read(
        client.get("accounts", encode_address(status.address_prefix, key.address)), Account
    )
    spendable = int(account.balance) - int(account.pending.sent)
    needed = order.amount + fee
    if needed > spendable:
        raise Failure(
            f"{format_amount(order.amount)} + fee {format_amount(fee)} ="
            f" {format_amount(needed, status.symbol)} is more than {wallet.name} can spend now:"
            f" {format_amount(spendable, status.symbol)}",
            f"see what it holds and what waits: cairn balance {wallet.name}",
            code="balance-insufficient",
            numbers={"needed": str(needed), "spendable": str(spendable)},
        )
    return build_transaction(
        key=key,
        network_id=bytes.fromhex(status.network_id),
        sequence=account.next_sequence,
        recipient=order.recipient,
        amount=order.amount,
        fee=fee,
        timestamp=int(time.time()),
        data=order.data,
    )


def _fee(status: Status, order: Order) -> int:
    least = status.min_fee_per_byte * (MINIMUM_TRANSACTION_BYTES + len(order.data))
    if order.fee == "auto":
        return least
    fee = parse_amount(order.fee)
    if fee < least:
        raise Failure(
            f"fee {format_amount(fee)} is below this node's minimum of {format_amount(least)}"
            f" {status.symbol} for a transaction of this size",
            "leave --fee out, or give the minimum",
            code="pool-fee-too-low",
            numbers={"fee": str(fee), "minimum": str(least)},
        )
    return fee


def confirm(question: str, *, yes: bool) -> None:
    """Asks before anything is sent; ends the command when the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Failure(
            "there is no terminal to confirm at",
            "add --yes to send without a question",
            exit_code=ExitCode.USAGE,
        )
    if not click.confirm(question, err=True):
        raise Failure("nothing was sent", code="declined")


def submit(client: NodeClient, transaction: Transaction) -> None:
    """Hands it to the node; it is durable there when this returns."""
    try:
        answer = client.post_bytes("transactions", content=transaction.raw)
    except Failure as failure:
        if failure.code == "unreachable":  # it may have arrived all the same
            failure.fix = f"see whether it arrived: cairn transaction {transaction.id.hex()}"
        raise
    accepted = read(answer, Accepted).id
    if accepted != transaction.id.hex():
        raise Failure(
            f"the node calls the transaction {accepted}, it is {transaction.id.hex()}",
            "use another node: this one does not follow the protocol",
            code="not-a-node",
        )


def wait_for(
    client: NodeClient, transaction_id: str, confirmations: int, within_seconds: float
) -> FoundTransaction:
    """Follows a transaction until it has so many confirmations.

    Raises Failure when that takes longer than `within_seconds`, or the transaction is dropped.
    """
    deadline = time.monotonic() + within_seconds
    lost = 0
    with progress("confirmations") as bar:
        task = bar.add_task("Waiting for a block", total=confirmations)
        while True:
            try:
                answer = client.get("transactions", transaction_id)
                found, lost = read(answer, FoundTransaction), 0
            except Failure as failure:
                if failure.exit_code is not ExitCode.NOT_FOUND or lost >= _LOST_POLLS:
                    raise
                lost += 1
            else:
                if found.confirmations >= confirmations:
                    return found
                if found.block is not None:
                    text = f"In block {found.block.height:,}"
                    bar.update(task, description=text, completed=found.confirmations)
            if time.monotonic() > deadline:
                raise Failure(
                    f"no {counted(confirmations, 'confirmation')} within {within_seconds:g} s;"
                    f" the transaction {transaction_id} is sent, and waits",
                    f"look again later: cairn transaction {transaction_id}",
                    code="not-confirmed",
                )
            time.sleep(_POLL_SECONDS)


def sent_document(
    status: Status, transaction: Transaction, followed: FoundTransaction | None
) -> dict[str, object]:
    """What `--json` prints of a transaction that was sent."""
    block = followed.block if followed else None
    return {
        "id": transaction.id.hex(),
        "sender": encode_address(status.address_prefix, transaction.sender),
        "recipient": encode_address(status.address_prefix, transaction.recipient),
        "sequence": transaction.sequence,
        "amount": str(transaction.amount),
        "fee": str(transaction.fee),
        "data": transaction.data.hex(),
        "status": followed.status if followed else "waiting",
        "block": {"hash": block.hash, "height": block.height} if block else None,
        "confirmations": followed.confirmations if followed else 0,
    }


def tell_how_to_follow(transaction_id: str) -> None:
    """For people who did not say --wait."""
    err().print(f"Follow it: cairn transaction {transaction_id}", style="dim")

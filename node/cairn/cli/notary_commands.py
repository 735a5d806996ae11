"""`cairn notarize|proof|verify`: documents dated by the chain."""

from pathlib import Path
from typing import Any

import click
from rich.text import Text

from cairn.cli.api_client import NodeClient
from cairn.cli.chain_commands import checked_id
from cairn.cli.command import (
    CairnCommand,
    NetworkChoice,
    NodeAt,
    example,
    json_option,
    network_options,
    node_options,
)
from cairn.cli.failures import ExitCode, Failure
from cairn.cli.networks import offline_params, required_params
from cairn.cli.output import age, counted, err, facts, hashes, moment, out, print_json
from cairn.cli.proof_fetch import check_writable, fetch_proof, write_proof
from cairn.cli.proof_file import ProofFile, explain_invalid, load_proof
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
    wait_for,
)
from cairn.consensus.crypto import encode_address
from cairn.consensus.errors import RuleError
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof import ProofResult
from cairn.consensus.transaction import Transaction, decode_transaction
from cairn.wallet import document_digest, format_amount, notarization_data, notarized_digest

_SUFFIX = ".cairn-proof.json"


@click.command(
    "notarize",
    cls=CairnCommand,
    epilog=example(
        "cairn notarize contract.pdf --from alice --wait\n"
        "cairn verify contract.pdf contract.pdf.cairn-proof.json --genesis genesis.toml"
    ),
)
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("-o", "--output", metavar="PROOF", help="With --wait, the proof."
              f"  [default: FILE{_SUFFIX}]")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace the proof if it is there.")
@sending_options
def notarize(file: str, output: str | None, force: bool, options: SendingOptions) -> None:
    """Put a file's fingerprint (SHA-256) in the chain, which dates it for all to see.

    The file itself stays with you, and nobody can tell its content from the fingerprint. With
    --wait the proof is written as soon as it is mined.
    """
    target = Path(output or f"{file}{_SUFFIX}")
    if options.confirmations:
        check_writable(target, force=force)  # before anything is paid for
    digest = _digest(Path(file))
    client = options.node.client()
    status = connect(client, options.network)
    transaction = _notarization(client, status, digest, options)
    if not (options.as_json and options.yes):
        cost = format_amount(transaction.fee, status.symbol)
        err().print(f"SHA-256 {digest.hex()} of {file}, fee {cost}", style="bold", soft_wrap=True)
    confirm("Notarize it?", yes=options.yes)
    submit(client, transaction)
    transaction_id = transaction.id.hex()
    if not options.as_json:
        out().print(f"Sent: {transaction_id}")
    followed = None
    if options.confirmations:
        limit = options.within_seconds
        followed = wait_for(client, transaction_id, options.confirmations, limit)
        made = fetch_proof(client, connect(client, options.network), transaction_id)
        write_proof(target, made)
    if options.as_json:
        document = sent_document(status, transaction, followed)
        written = str(target) if followed else None
        print_json({"file": file, "sha256": digest.hex(), "proof": written, **document})
    elif followed is not None and followed.block is not None:
        count = counted(followed.confirmations, "confirmation")
        out().print(f"Mined in block {followed.block.height:,}, {count}.", style="green")
        out().print(f"The proof is in {target}. Keep it with the file, and the genesis file.")
    else:
        err().print(f"Once it is mined: cairn proof {transaction_id} -o {target}", style="dim")


def _notarization(
    client: NodeClient, status: Status, digest: bytes, options: SendingOptions
) -> Transaction:
    """The signed transaction: nothing but the fingerprint, from the wallet to itself."""
    wallet = chosen_wallet(options.sender, options.folder)
    if wallet.address is None:
        raise Failure(
            f"the wallet {wallet.name} is encrypted, and its .pub file is missing",
            "use another wallet: cairn wallet list",
            code="wallet",
        )
    order = Order(wallet.address, 0, options.fee, notarization_data(digest))
    return prepare(client, status, wallet, options.passphrase_file, order)


@click.command(
    "proof", cls=CairnCommand, epilog=example("cairn proof 5f2c… -o contract.cairn-proof.json")
)
@click.argument("transaction_id", metavar="ID")
@click.option("-o", "--output", metavar="FILE", help="Where to; '-' is stdout."
              f"  [default: ID{_SUFFIX}]")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@network_options
@node_options
@json_option
def proof(
    transaction_id: str,
    output: str | None,
    force: bool,
    network: NetworkChoice,
    node: NodeAt,
    as_json: bool,
) -> None:
    """Fetch the proof that a transaction is in the chain, as a file that needs no node.

    It holds the transaction, its merkle path and all headers. With --genesis it is checked
    whole before it is written.
    """
    transaction_id = checked_id(transaction_id)
    if as_json and output == "-":
        raise click.UsageError("--json and -o - both need stdout; name a file")
    target = Path(output or f"{transaction_id[:16]}{_SUFFIX}")
    if output != "-":
        check_writable(target, force=force)
    client = node.client()
    status = connect(client, network)
    made = fetch_proof(client, status, transaction_id)
    params = offline_params(network)
    if params is not None:
        made.check(params)
    if output == "-":
        click.echo(made.encode(), nl=False)
        return
    write_proof(target, made)
    headers = len(made.headers) // 96
    if as_json:
        print_json(
            {
                "file": str(target),
                "transaction_id": transaction_id,
                "network_id": status.network_id,
                "height": made.proof.height,
                "headers": headers,
                "confirmations": headers - made.proof.height + 1,
            }
        )
        return
    count = counted(headers - made.proof.height + 1, "confirmation")
    out().print(f"Wrote {target}: block {made.proof.height:,}, {count}.")


@click.command(
    "verify",
    cls=CairnCommand,
    epilog=example(
        "cairn verify contract.pdf contract.pdf.cairn-proof.json --genesis genesis.toml"
    ),
)
@click.argument("file", type=click.Path(dir_okay=False))
@click.argument("proof_file", metavar="PROOF", type=click.Path(dir_okay=False))
@network_options
@json_option
def verify(file: str, proof_file: str, network: NetworkChoice, as_json: bool) -> None:
    """Check that a file was notarized, with its proof and the genesis file alone.

    Needs no node and no network. Shows who put it there, when, and the work that would have
    to be done again to forge it: compare that with what the network has done since.
    """
    params = required_params(network)
    given = load_proof(Path(proof_file))
    digest = _digest(Path(file))
    transaction = _proven(given, params)
    proven = notarized_digest(transaction.data)
    if proven != digest:
        says = f"the document {proven.hex()}" if proven else "no document at all"
        raise Failure(
            f"the proof is not about this file: it has SHA-256 {digest.hex()},"
            f" the transaction notarizes {says}",
            "use the file as it was, bit by bit, when it was notarized",
            code="document-mismatch",
        )
    try:
        result = given.check(params)
    except RuleError as error:
        raise explain_invalid(error) from None
    if as_json:
        print_json(_document(file, digest, given, transaction, result, params))
        return
    console = out()
    console.print("✓ The file was notarized.", style="bold green")
    console.print(facts(_rows(digest, given, transaction, result, params)))


def _digest(path: Path) -> bytes:
    if not path.exists():
        raise Failure(f"{path}: no such file", exit_code=ExitCode.NOT_FOUND)
    return document_digest(path)


def _proven(given: ProofFile, params: NetworkParams) -> Transaction:
    try:
        return decode_transaction(given.proof.transaction, params.network_id())
    except RuleError as error:
        raise explain_invalid(error) from None


def _document(
    file: str,
    digest: bytes,
    given: ProofFile,
    transaction: Transaction,
    result: ProofResult,
    params: NetworkParams,
) -> dict[str, Any]:
    return {
        "verified": True,
        "file": file,
        "sha256": digest.hex(),
        "network_id": params.network_id().hex(),
        "transaction_id": result.transaction_id.hex(),
        "sender": encode_address(params.address_prefix, transaction.sender),
        "public_key": transaction.public_key.hex(),
        "block": {
            "hash": result.block_hash.hex(),
            "height": given.proof.height,
            "timestamp": result.timestamp,
        },
        "confirmations": result.confirmations,
        "work": str(result.work),
    }


def _rows(
    digest: bytes,
    given: ProofFile,
    transaction: Transaction,
    result: ProofResult,
    params: NetworkParams,
) -> list[tuple[str, str | Text]]:
    sender = encode_address(params.address_prefix, transaction.sender)
    return [
        ("by", Text(sender, "bold")),
        ("when", Text(f"{moment(result.timestamp)} ({age(result.timestamp)})", "bold")),
        ("in block", f"{given.proof.height:,}  {result.block_hash.hex()}"),
        ("transaction", result.transaction_id.hex()),
        ("SHA-256", digest.hex()),
        ("network", f"{params.name}  {params.network_id().hex()}"),
        ("behind it", f"{counted(result.confirmations, 'block')}, {hashes(result.work)} of work"),
    ]

"""The group of all commands. It knows their names and one line each, and loads what is called."""

from importlib import import_module
from typing import NamedTuple

import click

from cairn import __version__


class Entry(NamedTuple):
    """Where a command is, and its line in `cairn --help`."""

    target: str
    """`module:attribute` under `cairn.cli`."""
    summary: str


SECTIONS: dict[str, dict[str, Entry]] = {
    "Your coins": {
        "wallet": Entry("wallet_commands:wallet", "Make keys and see the wallets on this machine."),
        "balance": Entry("wallet_commands:balance", "Show what an account holds."),
        "send": Entry("send_command:send", "Send coins, or a note."),
    },
    "Your documents": {
        "notarize": Entry("notary_commands:notarize", "Put a file's fingerprint in the chain."),
        "proof": Entry("notary_commands:proof", "Fetch the proof of a mined transaction."),
        "verify": Entry("notary_commands:verify", "Check a file and its proof, without a node."),
    },
    "The chain": {
        "status": Entry("status_command:status", "Show how the node and its network are."),
        "chain": Entry("chain_commands:chain", "Draw the newest blocks and how they link."),
        "block": Entry("chain_commands:block", "Show one block with its transactions."),
        "transaction": Entry("chain_commands:transaction", "Show one transaction."),
        "pool": Entry("pool_command:pool", "Show what waits for a block."),
        "nodes": Entry("nodes_command:nodes", "Show the known nodes, or join at one."),
        "mine": Entry("mine_command:mine", "Ask the node's miner for blocks now."),
    },
    "The node's files": {
        "genesis": Entry("genesis_commands:genesis", "Make or show a network's genesis file."),
        "doctor": Entry("doctor_command:doctor", "Replay the chain and compare it with the state."),
        "db": Entry("database_commands:db", "Bring the database up to date, or check it."),
        "devnet": Entry("devnet:devnet", "Run a whole network on this machine."),
    },
}  # fmt: skip

EPILOG = """\b
Exit codes:
  0   done
  1   a problem was found, or the request was refused
  2   the command line is wrong
  3   no node answered
  4   there is no such block, transaction, account or file
  78  a configuration file, genesis file or database cannot be used

\b
The node is reached at --node URL, else CAIRN_URL, else http://127.0.0.1:8000.
Wallets are in --wallet-dir, else CAIRN_WALLET_DIR, else ~/.config/cairn/wallets.
Every command has an example in its --help, and --json for programs.
"""


class LazyGroup(click.Group):
    """A group that imports a command's module when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the help page."""
        return [name for entries in SECTIONS.values() for name in entries]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported; None when there is none of that name."""
        for entries in SECTIONS.values():
            if cmd_name in entries:
                module, _, attribute = entries[cmd_name].target.partition(":")
                command: click.Command = getattr(import_module(f"cairn.cli.{module}"), attribute)
                return command
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the sections from the table, importing nothing."""
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.summary) for name, entry in entries.items()])


@click.group(
    cls=LazyGroup,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="cairn %(version)s")
def cairn() -> None:
    """Cairn: a ledger node you own.

    \b
    Start here:
      cairn wallet new alice
      cairn status
      cairn send --from alice --to ADDRESS --amount 1.5
    """

"""What each alert means and what to do: the table of docs/operations.md, for a page."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AlertHelp:
    """Text with commands and settings in backticks, as in the document."""

    meaning: str
    remedy: str


ALERT_HELP = {
    "database-unavailable": AlertHelp(
        "the database server does not answer; nothing is lost, writes are refused until it does",
        "`systemctl status mariadb` (Ubuntu: `mysql`), `journalctl -u mariadb`; disk "
        "full? The listener goes on by itself",
    ),
    "deep-reorganisation": AlertHelp(
        "another branch has more work, but following it would undo more than "
        "`chain.max_reorg_blocks`",
        "ask the other operators which is right: this is what an attack or a long "
        "partition looks like. To follow it: `node_settings: {chain: "
        "{max_reorg_blocks: 1000000}}`, `site.yml`, and the same without it once it "
        "has followed",
    ),
    "difficulty-at-limit": AlertHelp(
        "blocks are as easy as the network allows, and the chain is cheap to rewrite",
        "let more nodes mine: `node_settings: {miner: {mode: always}}`, then `site.yml`",
    ),
    "clock-behind": AlertHelp(
        "most peers are at blocks from this clock's future, which it therefore refuses",
        "`timedatectl`, `timedatectl set-ntp true`; is the provider's time server reachable?",
    ),
    "ledger-unusable": AlertHelp(
        "what the database holds cannot be the ledger's: rows are damaged or of "
        "another network. The listener has ended with it, and is not started again by "
        "itself",
        "`cairn doctor` names them; `systemctl stop cairn-listener`, `cairn doctor "
        "--repair`, start",
    ),
    "no-peers": AlertHelp(
        "a minute without any peer",
        "`nft list ruleset`, the other nodes' `status.yml`, both ports from another "
        "host; after a key rotation `site.yml` was not run",
    ),
    "listener-unavailable": AlertHelp(
        "the listener does not answer the web tier: the chain can be read, and nothing "
        "new is taken",
        "`systemctl status cairn-listener`, `journalctl -u cairn-listener`; it may be "
        "starting, or waiting for the database",
    ),
    "disk-low": AlertHelp(
        "less than 512 MiB are free in the data folder",
        "`journalctl --vacuum-size=200M`, remove old wheels in `/srv/cairn/wheels`, or "
        "give it more disk; at 256 MiB the node is no longer `ready`",
    ),
}
"""By the alert's code. A test holds it to the document, and to what the listener raises."""

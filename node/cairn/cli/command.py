"""What all commands share: their options, and how an expected failure ends one."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cairn.cli.failures import ExitCode, Failure, explain

if TYPE_CHECKING:
    from cairn.cli.api_client import NodeClient

Function = TypeVar("Function", bound=Callable[..., Any])

_SECONDS = click.FloatRange(0.1, 600)


class CairnCommand(click.Command):
    """A command whose expected failures are told in plain words, never as a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; ends with the failure's exit code."""
        return guarded(ctx, super().invoke)


class CairnGroup(click.Group):
    """A group of such commands."""

    command_class = CairnCommand

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the group's own function, or the command that is called."""
        return guarded(ctx, super().invoke)


def guarded(ctx: click.Context, call: Callable[[click.Context], Any]) -> Any:
    """Calls it; an expected failure is told, and ends the process with its exit code."""
    try:
        return call(ctx)
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except BrokenPipeError:  # as in `cairn chain | head`
        # What is still buffered for the reader that left must not fail when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        ctx.exit(ExitCode.OK)
    except Exception as error:
        failure = explain(error)
        if failure is None:
            raise
        tell_and_exit(ctx, failure)


def tell_and_exit(ctx: click.Context, failure: Failure) -> None:
    """Tells the failure and ends the process with its exit code."""
    from cairn.cli.output import print_failure

    print_failure(failure, as_json=bool(ctx.params.get("as_json")))
    ctx.exit(int(failure.exit_code))


def example(text: str) -> str:
    """An epilog with example command lines."""
    lines = "\n".join(f"  {line}" for line in text.strip().splitlines())
    return f"\b\nExample:\n{lines}"


def json_option(function: Function) -> Function:
    """Adds --json, as `as_json`."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document, for programs."
    )(function)


@dataclass(frozen=True, slots=True)
class NodeAt:
    """The node that a command line names."""

    url: str
    timeout_seconds: float

    def client(self, token: str = "") -> "NodeClient":
        """What talks to it. Raises Failure when the URL is none."""
        from cairn.cli.api_client import NodeClient

        return NodeClient(self.url, self.timeout_seconds, token)


def node_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --node and --timeout, together as `node`, a NodeAt."""

    @wraps(function)
    def call(*arguments: Any, node: str, timeout: float, **options: Any) -> Any:
        return function(*arguments, node=NodeAt(node, timeout), **options)

    call = click.option(
        "--timeout",
        type=_SECONDS,
        default=15.0,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for the node.",
    )(call)
    return click.option(
        "--node",
        envvar="CAIRN_URL",
        default="http://127.0.0.1:8000",
        show_default=True,
        metavar="URL",
        help="The node to talk to.",
    )(call)


def token_option(function: Function) -> Function:
    """Adds --token-file, as `token_file`."""
    return click.option(
        "--token-file",
        envvar="CAIRN_TOKEN_FILE",
        type=click.Path(dir_okay=False),
        help="The operator's token. Default: what the node's configuration names.",
    )(function)


def config_option(function: Function) -> Function:
    """Adds --config, as `config_file`."""
    return click.option(
        "--config",
        "config_file",
        envvar="CAIRN_CONFIG",
        type=click.Path(dir_okay=False),
        help="The node's configuration. Default: /etc/cairn/cairn.toml.",
    )(function)


@dataclass(frozen=True, slots=True)
class NetworkChoice:
    """The network that a command line (or CAIRN_GENESIS) names, if it does."""

    genesis_file: str | None
    built_in: str | None


def network_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --genesis and --network, together as `network`, a NetworkChoice."""

    @wraps(function)
    def call(*arguments: Any, genesis: str | None, network: str | None, **options: Any) -> Any:
        return function(*arguments, network=NetworkChoice(genesis, network), **options)

    call = click.option("--network", type=click.Choice(["regtest"]), help="A built-in network.")(
        call
    )
    return click.option(
        "--genesis",
        envvar="CAIRN_GENESIS",
        type=click.Path(dir_okay=False),
        help="The genesis file of the network.",
    )(call)


def prefix_option(function: Function) -> Function:
    """Adds --prefix, as `prefix`."""
    return click.option(
        "--prefix",
        metavar="LETTERS",
        help="How the network's addresses begin, where neither its genesis file nor a node is.",
    )(function)


def wallet_option(function: Function) -> Function:
    """Adds --wallet-dir, as `wallet_dir`."""
    return click.option(
        "--wallet-dir",
        envvar="CAIRN_WALLET_DIR",
        type=click.Path(file_okay=False),
        help="Where wallets are. Default: ~/.config/cairn/wallets.",
    )(function)


def passphrase_option(function: Function) -> Function:
    """Adds --passphrase-file, as `passphrase_file`."""
    return click.option(
        "--passphrase-file",
        type=click.Path(dir_okay=False, allow_dash=True),
        help="Read the wallet's passphrase from a file's first line ('-': stdin).",
    )(function)

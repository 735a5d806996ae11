"""`cairn-listener`: the one process of a node that changes its state."""

import asyncio
import sys
from collections.abc import Sequence

import zmq

from cairn.config import Config
from cairn.network.keys import CurveKeyError, CurveKeyPair
from cairn.services.listener.app import Listener
from cairn.services.listener.keys import load_account_key, load_curve_pair
from cairn.services.listener.lock import AlreadyRunningError, hold_lock
from cairn.services.runtime import exit_config_error, on_stop_signal, start_service
from cairn.storage.errors import StorageError
from cairn.wallet import AccountKey, WalletError

PROGRAM = "cairn-listener"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the listener until SIGTERM or SIGINT.

    Exit 0 after a stop, 78 on a configuration, key or database that cannot be used, 1 when a
    socket cannot be bound or another listener runs on the same data folder.
    """
    config = start_service(argv, PROGRAM, "Keep the chain, the pool and the peers of a node.")
    try:
        with hold_lock(config.node.data_directory / "listener.lock"):
            account, curve = load_account_key(config), load_curve_pair(config)
            asyncio.run(_run(config, account, curve))
    except (WalletError, CurveKeyError, StorageError) as error:
        exit_config_error(PROGRAM, str(error))
    except (OSError, zmq.ZMQError, AlreadyRunningError) as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return 1
    return 0


async def _run(config: Config, account: AccountKey, curve: CurveKeyPair) -> None:
    stop = asyncio.Event()
    on_stop_signal(asyncio.get_running_loop(), stop.set)
    await Listener(config, account, curve).run(stop)

"""`cairn-listener`: the one process of a node that changes its state."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Sequence

import zmq

from cairn.chain.store import ForeignTipError, LedgerDamagedError
from cairn.config import Config
from cairn.network.keys import CurveKeyError, CurveKeyPair
from cairn.services.listener.app import Listener
from cairn.services.listener.keys import load_account_key, load_curve_pair, load_faucet_key
from cairn.services.listener.lock import AlreadyRunningError, hold_lock
from cairn.services.runtime import (
    exit_config_error,
    log_event,
    on_stop_signal,
    start_service,
)
from cairn.storage.errors import DatabaseInUseError, StorageError
from cairn.wallet import AccountKey, WalletError

PROGRAM = "cairn-listener"
STOP_SECONDS = 4.5
"""Later than this after a stop signal the process just ends: what was acknowledged is durable,
and a database that does not answer may take minutes to say so."""

_logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the listener until SIGTERM or SIGINT.

    Exit 0 after a stop; 78 on a configuration, key or database that cannot be used, as one that
    is damaged; 1 on what may pass, so that a service manager tries again: a socket cannot be
    bound, or another process has the database or the data folder.
    """
    config = start_service(argv, PROGRAM, "Keep the chain, the pool and the peers of a node.")
    try:
        with hold_lock(config.node.data_directory / "listener.lock"):
            config.node.run_directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            account, curve = load_account_key(config), load_curve_pair(config)
            asyncio.run(_run(config, account, curve, load_faucet_key(config)))
    except DatabaseInUseError as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return 1
    except (WalletError, CurveKeyError, StorageError, LedgerDamagedError, ForeignTipError) as error:
        exit_config_error(PROGRAM, str(error))
    except (OSError, zmq.ZMQError, AlreadyRunningError) as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return 1
    return 0


async def _run(
    config: Config, account: AccountKey, curve: CurveKeyPair, faucet_key: AccountKey | None
) -> None:
    stop = asyncio.Event()
    deadline = threading.Timer(STOP_SECONDS, _end_now)
    deadline.daemon = True

    def obey() -> None:
        stop.set()
        deadline.start()

    on_stop_signal(asyncio.get_running_loop(), obey)
    await Listener(config, account, curve, faucet_key).run(stop)


def _end_now() -> None:
    log_event(_logger, "ends without waiting for the database", level=logging.WARNING)
    os._exit(0)

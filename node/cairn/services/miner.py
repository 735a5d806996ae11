"""`cairn-miner`: asks the listener for a block, searches its nonce, hands it in.

It holds no key and writes nothing. It acts on the listener's events, and drops its work the
moment another tip is announced. A listener that is away is waited for.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic

from cairn.config import Config
from cairn.consensus.crypto import decode_address
from cairn.consensus.errors import RuleError
from cairn.consensus.proof_of_work import bits_to_target
from cairn.ipc.client import ListenerUnavailable
from cairn.ipc.events import EventSubscriber
from cairn.ipc.messages import (
    MAX_MINE_BLOCKS,
    MINER_MODES,
    Done,
    Event,
    GetStatus,
    GetTemplate,
    MineRequested,
    MinerModeSet,
    MinerReport,
    NonceAccepted,
    Problem,
    Status,
    SubmitNonce,
    Template,
    TipChanged,
    TransactionsAdded,
)
from cairn.mining.effort import Effort
from cairn.mining.policy import (
    ChainView,
    MiningPolicy,
    default_heartbeat_seconds,
    spread_seconds,
)
from cairn.services.listener_link import Backoff, ListenerLink, RequestRefused
from cairn.services.runtime import (
    StopRequested,
    StopSignal,
    SystemdNotifier,
    exit_config_error,
    log_event,
    start_service,
)

PROGRAM = "cairn-miner"
REPORT_SECONDS = 5.0
TEMPLATE_SECONDS = 10.0
"""Age at which a template is exchanged for one with the current time and transactions."""
LOOK_SECONDS = 0.2
"""At most one unasked look at the listener's state per this."""
MANY_TRANSACTIONS = 100
"""So many new ones make a template outdated after a second."""
_PREVIOUS_HASH = slice(8, 40)
_BITS = slice(80, 84)

_logger = logging.getLogger("cairn.miner")


class Miner:
    """The state between one block and the next. For the main thread; `run` until a signal.

    With no template it waits until mining is due. A template is held for a random moment
    (see `spread_seconds`), then searched, and dropped when another tip is announced.
    """

    def __init__(
        self, config: Config, recipient: bytes | None, stop: StopSignal, notifier: SystemdNotifier
    ) -> None:
        """`recipient` is an address of 20 bytes; None: the node's own account."""
        settings, heartbeat = config.miner, config.miner.heartbeat_seconds
        if heartbeat is None:
            heartbeat = default_heartbeat_seconds(config.params)
        self._configured_mode = settings.mode
        self._policy = MiningPolicy(
            settings.mode,
            settings.min_transactions,
            settings.max_wait_seconds,
            heartbeat,
        )
        self._spread_seconds = spread_seconds(config.params.target_interval_seconds)
        self._stop, self._notifier = stop, notifier
        self._link = ListenerLink(config.request_socket, stop)
        self._events = EventSubscriber(
            config.event_socket, (TipChanged, TransactionsAdded, MineRequested, MinerModeSet)
        )
        self._effort = Effort(settings.workers, _tell_kernel)
        self._recipient, self._recipient_is_fixed = recipient, recipient is not None
        self._connected: bool | None = None
        self._syncing = False
        self._height = 0
        self._requested = 0
        self._arrived = 0
        self._view: ChainView | None = None
        self._template: Template | None = None
        self._template_at = self._start_at = self._report_at = self._look_at = 0.0
        self._listener_backoff, self._template_backoff = Backoff(), Backoff()
        self._refusal = ""

    def run(self) -> None:
        """Mines until a stop signal."""
        self._notifier.ready(f"{self._policy.mode}, waiting for the listener")
        log_event(_logger, "miner started", mode=self._policy.mode)
        try:
            while not self._stop.requested:
                self._guarded(self._advance)
                self._guarded(self._take_nonce)  # an easy one is found at once
                self._wait()
                self._guarded(self._take_nonce)
                self._tell_systemd()
        except StopRequested:
            pass
        finally:
            self._notifier.stopping()
            self._effort.close()
            self._events.close()
            self._link.close()
            log_event(_logger, "miner stopped")

    # -- the loop -----------------------------------------------------------------------------

    def _guarded(self, action: Callable[[], None]) -> None:
        """Runs `action`; what goes wrong with listener or workers is waited out."""
        try:
            action()
        except ListenerUnavailable as error:
            self._lost_listener(str(error))
        except RequestRefused as error:
            self._was_refused(error.problem)
        except OSError as error:
            log_event(_logger, "search workers failed", level=logging.ERROR, problem=error)
            self._effort.close()
            self._template = None
            self._template_backoff.failed()

    def _advance(self) -> None:
        """Does what is due now: report, look at the listener's state, start a search."""
        if monotonic() >= max(self._listener_backoff.until, self._report_at):
            self._report()
        now = monotonic()
        if not self._connected or now < self._template_backoff.until:
            return
        if self._template is None:
            if now >= self._look_at and self._due_in() == 0.0:
                self._fetch_template()
        elif self._is_outdated(now - self._template_at):
            self._fetch_template()
        if not self._effort.is_searching and monotonic() >= self._start_at:
            if self._template is not None and self._arrived:
                self._fetch_template()
            if self._template is not None:
                self._search(self._template)

    def _wait(self) -> None:
        """Sleeps until something happens, or until something falls due."""
        descriptors = [self._stop.fileno(), *self._effort.descriptors()]
        event = self._events.next(self._seconds_to_next(), descriptors)
        while event is not None:
            self._take_event(event)
            event = self._events.next(0.0)

    def _seconds_to_next(self) -> float:
        """How long nothing falls due, as far as is known; at most REPORT_SECONDS."""
        now = monotonic()
        if not self._connected:
            return max(0.0, max(self._listener_backoff.until, self._report_at) - now)
        if self._effort.is_searching:
            moment = self._template_at + TEMPLATE_SECONDS
        elif self._template is not None:
            moment = self._start_at
        else:
            due_in = self._due_in()
            moment = self._report_at if due_in is None else max(now + due_in, self._look_at)
        moment = min(max(moment, self._template_backoff.until), self._report_at)
        return min(max(0.0, moment - now), REPORT_SECONDS)

    def _due_in(self) -> float | None:
        """Seconds until mining is due, as far as is known here; 0 where only a look can tell."""
        if self._requested:
            return 0.0
        if self._policy.mode == "off" or self._syncing:
            return None
        if self._view is None:
            return 0.0
        now = time.time()
        due_at = self._policy.due_at(self._view, now)
        return None if due_at is None else max(0.0, due_at - now)

    def _is_outdated(self, age_seconds: float) -> bool:
        return age_seconds >= TEMPLATE_SECONDS or (
            self._arrived >= MANY_TRANSACTIONS and age_seconds >= 1.0
        )

    # -- what the listener says ---------------------------------------------------------------

    def _take_event(self, event: Event) -> None:
        match event:
            case TipChanged():
                self._height = event.height
                template = self._template
                if template is None or template.header[_PREVIOUS_HASH] != event.block_hash:
                    self._drop_work()  # else the template came before the news of its parent
                self._template_backoff.succeeded()
            case TransactionsAdded():
                self._arrived += len(event.ids)
                if self._view is not None:
                    self._view = self._view.with_pool(event.pool_transactions, time.time())
            case MineRequested():
                self._requested = min(self._requested + max(event.blocks, 0), MAX_MINE_BLOCKS)
                self._start_at = self._look_at = self._report_at = 0.0
                self._template_backoff.succeeded()
                log_event(_logger, "blocks requested", blocks=event.blocks)
            case MinerModeSet():
                self._follow_mode(event.mode)

    def _follow_mode(self, wanted: str | None) -> None:
        """Mines in the mode that the operator asks for, or as configured where nobody does."""
        mode = wanted if wanted in MINER_MODES else self._configured_mode
        if mode == self._policy.mode:
            return
        self._policy = replace(self._policy, mode=mode)
        self._drop_work()
        self._start_at = self._look_at = self._report_at = 0.0
        log_event(_logger, "mode changed", mode=mode)

    def _report(self) -> None:
        """Tells the listener how this miner fares, and learns how the listener does."""
        self._report_at = monotonic() + REPORT_SECONDS
        report = MinerReport(self._policy.mode, self._effort.hashes_per_second(), self._requested)
        self._link.ask(report, Done)
        status = self._link.ask(GetStatus(), Status)
        self._follow_mode(status.wanted_miner_mode)
        self._height = status.height
        self._syncing = status.sync_state == "syncing"
        if self._view is not None and self._view.misses(status.pool_transactions):
            self._view = None
        if not self._recipient_is_fixed:
            self._recipient = status.recipient_address
        self._listener_backoff.succeeded()
        if not self._connected:
            self._connected = True
            log_event(_logger, "connected to the listener", height=status.height)

    def _lost_listener(self, problem: str) -> None:
        self._drop_work()
        self._listener_backoff.failed()
        self._report_at = 0.0
        if self._connected is not False:
            self._connected = False
            log_event(_logger, "waiting for the listener", level=logging.WARNING, problem=problem)

    def _was_refused(self, problem: Problem) -> None:
        self._drop_work()
        self._template_backoff.failed()
        self._look_at = 0.0
        if problem.code != self._refusal:
            self._refusal = problem.code
            log_event(_logger, "the listener refused", code=problem.code, problem=problem.detail)

    # -- work ---------------------------------------------------------------------------------

    def _fetch_template(self) -> None:
        """Takes a new template, if mining is due by what the listener says with it."""
        if self._recipient is None:
            return
        self._look_at = monotonic() + LOOK_SECONDS
        template = self._link.ask(GetTemplate(self._recipient), Template)
        now, oldest = time.time(), float(template.oldest_waiting_since)
        self._view = ChainView(template.waiting, oldest, template.tip_timestamp)
        self._arrived = 0
        due_at = self._policy.due_at(self._view, now)
        if not self._requested and (due_at is None or due_at > now):
            self._rest()
            return
        is_first, self._template = self._template is None, template
        self._template_at = monotonic()
        if self._effort.is_searching:
            self._search(template)
        elif is_first:
            hurried = self._requested > 0 or self._policy.mode == "always"
            self._start_at = monotonic() + (0.0 if hurried else _part_of(self._spread_seconds))

    def _search(self, template: Template) -> None:
        target = bits_to_target(int.from_bytes(template.header[_BITS], "big"))
        self._effort.search(template.header, target)

    def _take_nonce(self) -> None:
        """Hands in the nonce that was found, if one was."""
        nonce, template = self._effort.take_nonce(), self._template
        if nonce is None or template is None:
            return
        self._drop_work()
        self._look_at = 0.0
        reply = self._link.ask(SubmitNonce(template.template_id, nonce), NonceAccepted)
        self._template_backoff.succeeded()
        self._refusal = ""
        self._height = reply.height
        if self._requested:
            self._requested -= 1
            if self._requested == 0:
                self._report_at = 0.0
        log_event(_logger, "block mined", height=reply.height, hash=reply.block_hash)

    def _rest(self) -> None:
        """Stops searching; what is known of the chain stays."""
        self._template = None
        self._effort.rest()

    def _drop_work(self) -> None:
        """Stops searching: the chain is not, or no longer, as it was known."""
        self._view = None
        self._guarded(self._rest)

    def _tell_systemd(self) -> None:
        if self._effort.is_working():
            self._notifier.alive()
        if not self._connected:
            self._notifier.status(f"{self._policy.mode}, waiting for the listener")
            return
        rate = f"{self._effort.hashes_per_second() / 1e6:.1f} MH/s"
        doing = rate if self._effort.is_searching else "resting"
        self._notifier.status(f"{self._policy.mode}, {doing}, height {self._height}")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the miner until SIGTERM or SIGINT; 0 then. Exits 78 on a bad configuration."""
    config = start_service(argv, PROGRAM, "Mines blocks for the listener on this machine.")
    recipient = _configured_recipient(config)
    Miner(config, recipient, StopSignal(), SystemdNotifier()).run()
    return 0


def _configured_recipient(config: Config) -> bytes | None:
    if not config.miner.address:
        return None
    try:
        return decode_address(config.params.address_prefix, config.miner.address)
    except RuleError as error:
        exit_config_error(PROGRAM, f"miner.address: {error}")


def _tell_kernel(kernel: str, why_not_native: str) -> None:
    reason = why_not_native or None
    log_event(_logger, "search workers started", kernel=kernel, not_native=reason)


def _part_of(seconds: float) -> float:
    """A random part, so that miners of one network start apart."""
    return seconds * int.from_bytes(os.urandom(4), "big") / 2**32


if __name__ == "__main__":
    raise SystemExit(main())

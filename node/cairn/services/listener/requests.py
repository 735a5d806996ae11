"""What the listener answers on its local socket."""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

from cairn.chain.admission import Admission
from cairn.chain.blockchain import BlockFate
from cairn.chain.template import BlockTemplate
from cairn.consensus.encoding import ADDRESS_BYTES
from cairn.consensus.errors import RuleError
from cairn.ipc import messages as m
from cairn.network.joining import JoinFailed
from cairn.network.peers import PeerNetwork
from cairn.services.listener.faucet import Faucet
from cairn.services.listener.recent import LOG_LEVELS, RecentLog
from cairn.services.listener.writer import LedgerWriter, WriterBusyError
from cairn.services.logs import log_event
from cairn.storage.errors import StorageError

MINER_SILENT_SECONDS = 15.0
_TEMPLATES_KEPT = 32

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class MinerState:
    """What the miner last said of itself."""

    report: m.MinerReport | None = None
    heard_at: float = 0.0
    wanted_mode: str | None = None
    """What the operator asked for; None: as the miner is configured."""

    def current(self) -> m.MinerReport | None:
        """The last report, unless the miner has been silent since."""
        silent = monotonic() - self.heard_at > MINER_SILENT_SECONDS
        return None if silent else self.report


class RequestHandler:
    """One method a request type; each returns the reply or raises what `handle` words."""

    def __init__(
        self,
        writer: LedgerWriter,
        network: PeerNetwork,
        status: Callable[[], m.Status],
        publish: Callable[[m.Event], None],
        recent: RecentLog,
        faucet: Faucet | None,
    ) -> None:
        self.miner = MinerState()
        self._recent = recent
        self._faucet = faucet
        self._writer = writer
        self._network = network
        self._status = status
        self._publish = publish
        self._templates: OrderedDict[int, BlockTemplate] = OrderedDict()
        self._next_template_id = 1
        self._handlers: dict[type[m.Message], Callable[..., Awaitable[m.Reply]]] = {
            m.SubmitTransactions: self._submit_transactions,
            m.GetTemplate: self._get_template,
            m.SubmitNonce: self._submit_nonce,
            m.MinerReport: self._miner_report,
            m.Mine: self._mine,
            m.GetStatus: self._get_status,
            m.JoinNode: self._join_node,
            m.AddNode: self._add_node,
            m.SetBan: self._set_ban,
            m.SetMinerMode: self._set_miner_mode,
            m.GetLog: self._get_log,
            m.Drip: self._drip,
        }

    async def handle(self, request: m.Request) -> m.Reply:
        """The reply to a request; expected failures become Refused in plain words."""
        try:
            return await self._handlers[type(request)](request)
        except RuleError as error:
            return m.Refused(problem_of(error))
        except StorageError as error:
            return m.Refused(m.Problem("database-unavailable", str(error)))
        except WriterBusyError as error:
            return m.Refused(m.Problem("listener-busy", str(error)))
        except JoinFailed as error:
            return m.Refused(m.Problem("join-failed", str(error)))

    async def _submit_transactions(self, request: m.SubmitTransactions) -> m.Reply:
        count = len(request.transactions)
        if not 1 <= count <= m.MAX_SUBMITTED:
            return _refused("too-many", f"{count} transactions, 1 to {m.MAX_SUBMITTED} a call")
        admissions = await self._writer.admit(request.transactions)
        return m.Submitted([_submit_result(admission) for admission in admissions])

    async def _get_template(self, request: m.GetTemplate) -> m.Reply:
        if len(request.recipient) != ADDRESS_BYTES:
            return _refused("address-invalid", f"recipient is {len(request.recipient)} bytes, 20")
        template, waiting, since = await self._writer.template(request.recipient)
        template_id = self._next_template_id
        self._next_template_id += 1
        self._templates[template_id] = template
        if len(self._templates) > _TEMPLATES_KEPT:
            self._templates.popitem(last=False)
        tip_timestamp = int.from_bytes(self._writer.tip.header[72:80], "big")
        return m.Template(template_id, template.header.encode(), waiting, since, tip_timestamp)

    async def _submit_nonce(self, request: m.SubmitNonce) -> m.Reply:
        template = self._templates.get(request.template_id)
        if template is None:
            return _refused("template-unknown", f"template {request.template_id} is forgotten")
        if not 0 <= request.nonce < 2**64:
            return _refused("message-malformed", "a nonce is an unsigned 64-bit integer")
        block = template.solved(request.nonce)
        result = await self._writer.accept_block(block)
        if result.problem is not None:
            return m.Refused(problem_of(result.problem))
        if result.fate is not BlockFate.ACCEPTED:
            return _refused("block-stale", f"another block came first ({result.fate.value})")
        return m.NonceAccepted(block.hash, block.header.height)

    async def _miner_report(self, request: m.MinerReport) -> m.Reply:
        self.miner.report = request
        self.miner.heard_at = monotonic()
        return m.Done()

    async def _mine(self, request: m.Mine) -> m.Reply:
        if not 1 <= request.blocks <= m.MAX_MINE_BLOCKS:
            return _refused("too-many", f"{request.blocks} blocks, 1 to {m.MAX_MINE_BLOCKS}")
        if self.miner.current() is None:
            return _refused("miner-unavailable", "no miner has reported in the last 15 s")
        self._publish(m.MineRequested(request.blocks))
        return m.Done(f"asked the miner for {request.blocks} block{'s' * (request.blocks > 1)}")

    async def _get_status(self, _request: m.GetStatus) -> m.Reply:
        return self._status()

    async def _join_node(self, request: m.JoinNode) -> m.Reply:
        return m.Joined(self._network.handle_join(request.record))

    async def _add_node(self, request: m.AddNode) -> m.Reply:
        learned = await self._network.join(request.url)
        return m.Done(f"joined at {request.url}, learned {learned} new nodes")

    async def _set_ban(self, request: m.SetBan) -> m.Reply:
        await self._network.set_ban(request.curve_key, request.banned)
        return m.Done("banned" if request.banned else "ban lifted")

    async def _set_miner_mode(self, request: m.SetMinerMode) -> m.Reply:
        if request.mode is not None and request.mode not in m.MINER_MODES:
            return _refused("value-out-of-range", f"a mode is one of {', '.join(m.MINER_MODES)}")
        self.miner.wanted_mode = request.mode
        self._publish(m.MinerModeSet(request.mode))
        log_event(_logger, "miner mode asked for", mode=request.mode or "as configured")
        if request.mode is None:
            return m.Done("the miner does as it is configured")
        return m.Done(f"the miner is in mode {request.mode} until the listener restarts")

    async def _get_log(self, request: m.GetLog) -> m.Reply:
        if request.level not in LOG_LEVELS or not 1 <= request.limit <= m.MAX_LOG_LINES:
            return _refused(
                "value-out-of-range",
                f"level is one of {', '.join(LOG_LEVELS)}, limit from 1 to {m.MAX_LOG_LINES}",
            )
        return m.Log(self._recent.lines(request.level, request.limit))

    async def _drip(self, request: m.Drip) -> m.Reply:
        if self._faucet is None:
            return _refused("faucet-disabled", "this node has no faucet")
        if len(request.recipient) != ADDRESS_BYTES:
            return _refused("address-invalid", f"recipient is {len(request.recipient)} bytes, 20")
        return await self._faucet.drip(request.recipient)


def problem_of(error: RuleError) -> m.Problem:
    """A broken rule as it goes to clients: code, words and numbers unchanged."""
    return m.Problem(error.rule.value, error.detail, dict(error.numbers))


def _submit_result(admission: Admission) -> m.SubmitResult:
    transaction_id = admission.transaction.id if admission.transaction else None
    problem = problem_of(admission.problem) if admission.problem else None
    return m.SubmitResult(transaction_id, problem)


def _refused(code: str, detail: str) -> m.Refused:
    return m.Refused(m.Problem(code, detail))

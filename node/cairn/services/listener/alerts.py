"""What the operator should know of, and since when."""

import logging
from collections.abc import Callable

from cairn.ipc.messages import Alert
from cairn.services.logs import log_event

_logger = logging.getLogger(__name__)


class AlertBook:
    """Alerts that are on now, by code."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._alerts: dict[str, Alert] = {}

    def set(self, code: str, detail: str | None) -> None:
        """Turns the alert on (or rewords it) with a detail, off with None."""
        known = self._alerts.get(code)
        if detail is None:
            if known is not None:
                del self._alerts[code]
                log_event(_logger, "alert over", code=code)
        elif known is None:
            self._alerts[code] = Alert(code, detail, self._clock())
            log_event(_logger, "alert", level=logging.ERROR, code=code, detail=detail)
        elif known.detail != detail:
            self._alerts[code] = Alert(code, detail, known.since)

    def current(self) -> list[Alert]:
        """The alerts that are on, oldest first."""
        return list(self._alerts.values())

"""The miner's line to the listener: requests with one kind of answer, and patience."""

from time import monotonic
from typing import TypeVar

from cairn.ipc.client import IpcClient, ListenerUnavailable
from cairn.ipc.messages import Message, Problem, Refused, Request
from cairn.services.runtime import StopSignal

REQUEST_SECONDS = 10.0
BACKOFF_SECONDS = (0.1, 10.0)

_Wanted = TypeVar("_Wanted", bound=Message)


class RequestRefused(Exception):
    """The listener refused a request."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.code}: {problem.detail}")
        self.problem = problem


class ListenerLink:
    """Requests that a stop signal interrupts."""

    def __init__(self, endpoint: str, stop: StopSignal) -> None:
        self._client = IpcClient(endpoint, REQUEST_SECONDS)
        self._stop = stop

    def ask(self, request: Request, wanted: type[_Wanted]) -> _Wanted:
        """The reply. Raises RequestRefused, ListenerUnavailable, StopRequested."""
        with self._stop.interruptible():
            reply: Message = self._client.request(request)
        if isinstance(reply, wanted):
            return reply
        if isinstance(reply, Refused):
            raise RequestRefused(reply.problem)
        raise ListenerUnavailable(f"the listener answered with {type(reply).__name__}")

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()


class Backoff:
    """Doubling waits between attempts that fail one after another."""

    def __init__(self) -> None:
        self._seconds = BACKOFF_SECONDS[0]
        self.until = 0.0
        """Monotonic time before which nothing should be tried."""

    def failed(self) -> None:
        """Waits twice as long as before."""
        self.until = monotonic() + self._seconds
        self._seconds = min(self._seconds * 2, BACKOFF_SECONDS[1])

    def succeeded(self) -> None:
        """The next failure waits the least again."""
        self._seconds = BACKOFF_SECONDS[0]
        self.until = 0.0

"""Values that cost time to ask for, asked for seldom."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")

_CHEAP_SECONDS = 0.005
"""What takes no longer is asked for every time."""
_SHARE = 20
"""A value is kept for so many times what it took: at most a twentieth of the time is spent."""
_MAX_AGE_SECONDS = 30.0
"""An older one is not shown: who asks after a pause waits once."""


class Remembered(Generic[T]):
    """The last answer of a question, asked for again while nobody waits. Safe for threads."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._found: tuple[T] | None = None
        self._at = 0.0
        self._took = 0.0

    def get(self) -> T:
        """A value at most 30 s old, and fresh where that is cheap. Raises what asking raises."""
        found, age = self._found, time.monotonic() - self._at
        if found is None or self._took <= _CHEAP_SECONDS or age > _MAX_AGE_SECONDS:
            return self._ask_now()
        if age > self._took * _SHARE and self._lock.acquire(blocking=False):
            threading.Thread(target=self._ask_again, name="remembered", daemon=True).start()
        return found[0]

    def _ask_now(self) -> T:
        began = time.monotonic()
        value = self._ask()
        self._keep(value, began)
        return value

    def _ask_again(self) -> None:
        try:
            self._ask_now()
        except Exception:  # noqa: BLE001 - whoever asks once the value is too old is told
            self._at = 0.0
        finally:
            self._lock.release()

    def _keep(self, value: T, began: float) -> None:
        self._took = time.monotonic() - began
        self._at = time.monotonic()
        self._found = (value,)


class Shared(Generic[T]):
    """One answer for all who ask at about the same time. Safe for threads."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._answer: Future[T] = Future()
        self._at = float("-inf")

    def get(self, ask: Callable[[], T]) -> T:
        """What was asked for no earlier than so many seconds before this call; who comes
        meanwhile waits for it. Raises what asking raised."""
        oldest = time.monotonic() - self._seconds
        with self._lock:
            if self._at < oldest:
                self._at = time.monotonic()
                self._answer = _ask(ask)
            return self._answer.result()


def _ask(ask: Callable[[], T]) -> Future[T]:
    answer: Future[T] = Future()
    try:
        answer.set_result(ask())
    except Exception as error:  # noqa: BLE001 - each who waits for the answer is told
        answer.set_exception(error)
    return answer

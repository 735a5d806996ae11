"""Blocking calls that may hang, away from the loop and never in the way of its end."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")


async def call_in_thread(work: Callable[[], Result], name: str) -> Result:
    """The result of `work`, run in a thread of its own.

    Unlike the loop's executor, which a stopping program waits for, a thread that hangs in
    DNS or HTTP is left behind when the program ends.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def give(result: Result) -> None:
        if not future.done():
            future.set_result(result)

    def fail(error: Exception) -> None:
        if not future.done():
            future.set_exception(error)

    def run() -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - raised again where it is awaited
                loop.call_soon_threadsafe(fail, error)
            else:
                loop.call_soon_threadsafe(give, result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await future

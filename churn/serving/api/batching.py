"""Work of concurrent requests done together, one round at a time, on a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")
MOST_AT_ONCE = 64


class Rounds(Generic[Task, Result]):
    """Calls `work` with all tasks that are waiting, as soon as the round before has ended.

    Nothing waits for company: a task that comes alone is done alone. If a round fails, its tasks
    are done one by one, so that only the faulty one fails.
    """

    def __init__(self, work: Callable[[Sequence[Task]], Sequence[Result]]) -> None:
        self._work = work
        self._waiting: list[tuple[Task, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None
        self._pool = ThreadPoolExecutor(1, "scoring")

    async def do(self, task: Task) -> Result:
        """The result of one task."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((task, future))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            now, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            wanted = [(task, future) for task, future in now if not future.cancelled()]
            outcomes = await loop.run_in_executor(
                self._pool, self._round, [task for task, _ in wanted]
            )
            for (_, future), outcome in zip(wanted, outcomes, strict=True):
                if future.cancelled():
                    continue
                if isinstance(outcome, BaseException):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

    def _round(self, tasks: Sequence[Task]) -> Sequence[Result | BaseException]:
        if not tasks:
            return []
        try:
            return self._work(tasks)
        except Exception as failure:
            if len(tasks) == 1:
                return [failure]
        return [outcome for task in tasks for outcome in self._round([task])]

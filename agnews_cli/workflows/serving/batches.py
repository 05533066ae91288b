"""Texts of many requests go to the model together, and each request gets its own answers back.

While the model reads, requests gather. A pass waits up to `wait_s` for as many as went together in
the last two: clients that were answered together come again together, and one that is alone waits
for nobody. Each pass takes from every request in turn (`core.serving.turns`), so that `/batch`
delays `/predict` by a pass and not by a thousand texts.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from agnews_cli.core.serving import turns
from agnews_cli.core.serving.limits import ServingLimits
from agnews_cli.host.predictor import Probabilities
from agnews_cli.workflows.serving.measures import Measures
from agnews_cli.workflows.serving.refused import RefusedRequest

_AGAIN_S = 1.0
Asking = Callable[[Sequence[str]], Probabilities]


class _Waiting:
    """A request's texts, as far as they are answered."""

    def __init__(self, texts: Sequence[str], answer: asyncio.Future[list[Sequence[float]]]) -> None:
        self._texts = texts
        self._sent = 0
        self._said: list[Sequence[float]] = []
        self.answer = answer

    @property
    def left(self) -> int:
        return len(self._texts) - self._sent

    def take(self, count: int) -> Sequence[str]:
        taken = self._texts[self._sent : self._sent + count]
        self._sent += count
        return taken

    def hear(self, said: Sequence[Sequence[float]]) -> None:
        self._said += said
        if len(self._said) == len(self._texts) and not self.answer.done():
            self.answer.set_result(self._said)

    def fail(self, why: RefusedRequest) -> None:
        if not self.answer.done():
            self.answer.set_exception(why)


class Batches:
    """The queue before the model. `ask` blocks, and is called in `thread` alone."""

    def __init__(
        self,
        ask: Asking,
        thread: ThreadPoolExecutor,
        limits: ServingLimits,
        measures: Measures,
        failed: Callable[[Exception], None],
    ) -> None:
        self._ask, self._thread, self._limits = ask, thread, limits
        self._measures, self._failed = measures, failed
        self._waiting: list[_Waiting] = []
        self._has_come = asyncio.Event()
        self._is_enough = asyncio.Event()
        self._lately = deque([1], maxlen=2)  # requests in each pass

    @property
    def texts(self) -> int:
        """That wait."""
        return sum(each.left for each in self._waiting)

    async def answers(self, texts: Sequence[str]) -> list[Sequence[float]]:
        """The class probabilities of each text. Raises RefusedRequest: 503."""
        if not texts:
            return []
        if self.texts + len(texts) > self._limits.waiting_texts:
            raise RefusedRequest(503, "too many texts wait already", retry_s=_AGAIN_S)
        one = _Waiting(texts, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        self._has_come.set()
        if self._are_together():
            self._is_enough.set()
        try:
            async with asyncio.timeout(self._limits.answer_s):
                return await one.answer
        except TimeoutError:
            late = f"no answer within {self._limits.answer_s:g} s"
            raise RefusedRequest(503, late, retry_s=_AGAIN_S) from None
        finally:
            if one in self._waiting:
                self._waiting.remove(one)

    async def run(self) -> None:
        """Pass after pass, until it is cancelled."""
        while True:
            if not self._waiting:
                self._has_come.clear()
                await self._has_come.wait()
            await self._gathered()
            await self._pass()

    def _are_together(self) -> bool:
        is_full = self.texts >= self._limits.pass_texts
        return is_full or len(self._waiting) >= max(self._lately)

    async def _gathered(self) -> None:
        if self._are_together():
            return
        self._is_enough.clear()
        try:
            async with asyncio.timeout(self._limits.wait_s):
                await self._is_enough.wait()
        except TimeoutError:
            pass

    async def _pass(self) -> None:
        asked = list(self._waiting)
        counts = turns.shares([each.left for each in asked], self._limits.pass_texts)
        parts = [(each, count) for each, count in zip(asked, counts, strict=True) if count]
        texts = [text for each, count in parts for text in each.take(count)]
        self._waiting = [each for each in asked if each.left]
        if not texts:  # whoever asked has given up
            return
        self._lately.append(len(parts))
        began_s = time.perf_counter()
        try:
            loop = asyncio.get_running_loop()
            said = await loop.run_in_executor(self._thread, self._ask, texts)
        except Exception as error:
            self._failed(error)
            for each, _ in parts:
                each.fail(RefusedRequest(503, "the model could not answer", retry_s=_AGAIN_S))
                if each in self._waiting:
                    self._waiting.remove(each)
            return
        self._measures.passed(len(texts), time.perf_counter() - began_s, said)
        at = 0
        for each, count in parts:
            each.hear(said[at : at + count])
            at += count

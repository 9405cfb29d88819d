"""Elements made ahead of time: by a few threads side by side, or by one thread behind a queue.

Both begin in the caller's thread and take others only when the elements turn out to be slow to make: handing
over a number costs more than making it. Random draws come from streams of their own, so what is drawn does
not depend on when a thread gets its turn.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from ..random import Stream, fork

SLOW = 3e-4  # seconds: an element that takes longer is worth a thread
PATIENCE = 1.0  # seconds that the end of an iteration waits for elements that are being made
_MOST_THREADS = 16
_NOTHING = object()


def width_of(calls: int | None) -> int:
    """How many threads `num_parallel_calls` means."""
    if calls is None:
        return 1
    return min(calls if calls > 0 else os.cpu_count() or 1, _MOST_THREADS)


def add_note(error: BaseException, text: str) -> None:
    """Says where an error came from, under its own message."""
    if hasattr(error, "add_note"):
        error.add_note(text)
    elif len(error.args) == 1 and isinstance(error.args[0], str):
        error.args = (f"{error.args[0]} ({text})",)


class Clock:
    """Counts slow elements; `slow` after two of them."""

    def __init__(self) -> None:
        self.found = 0

    @property
    def slow(self) -> bool:
        return self.found >= 2

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.found += time.perf_counter() - begin > SLOW


def parallel_map(
    items: Iterator[Any], function: Callable[[int, Any], Any], width: int, ordered: bool, iteration: int
) -> Iterator[Any]:
    """function(index, item) of each item, `width` of them at a time.

    Args:
        items: Read in the caller's thread.
        ordered: False: what is ready comes first.
        iteration: Which iteration of its data set this is.
    """
    key, clock, numbered = fork(), Clock(), enumerate(items)

    def call(index: int, item: Any) -> Any:
        with Stream(key ^ index * 0x9E3779B97F4A7C15, iteration, index):
            return function(index, item)

    for index, item in numbered:
        with clock():
            result = call(index, item)
        yield result
        if clock.slow:
            break
    else:
        return
    pool = ThreadPoolExecutor(width, thread_name_prefix="cnnexplain-map")
    pending: deque[Future] = deque()
    try:
        for index, item in numbered:
            pending.append(pool.submit(call, index, item))
            if len(pending) >= 2 * width:
                yield _taken(pending, ordered)
        while pending:
            yield _taken(pending, ordered)
    finally:
        for future in pending:
            future.cancel()
        # the garbage collector may end this generator inside one of the pool's own threads
        if not threading.current_thread().name.startswith("cnnexplain-map"):
            wait(pending, timeout=PATIENCE)
        pool.shutdown(wait=False, cancel_futures=True)


def _taken(pending: deque[Future], ordered: bool) -> Any:
    future = pending[0]
    if not ordered:
        wait(pending, return_when=FIRST_COMPLETED)
        future = next(future for future in pending if future.done())
    pending.remove(future)
    return future.result()


class _Queue:
    """What a thread has made: at most `size` elements, then the end or an error."""

    def __init__(self, source: Iterator[Any], stream: Stream, size: int):
        self.source = source
        self.stream = stream
        self.size = size
        self.items: deque[tuple[Any, BaseException | None]] = deque()
        self.changed = threading.Condition()
        self.stopped = False

    def fill(self) -> None:
        """The thread's work."""
        while True:
            item, error = _NOTHING, None
            try:
                with self.stream:
                    item = next(self.source, _NOTHING)
            except BaseException as raised:  # handed to the reader, whatever it is
                error = raised
            with self.changed:
                self.items.append((item, error))
                self.changed.notify_all()
                while len(self.items) >= self.size and not self.stopped:
                    self.changed.wait()
                if self.stopped:
                    self.items.clear()
                if self.stopped or item is _NOTHING:
                    break
        close = getattr(self.source, "close", None)
        if close is not None:
            close()

    def take(self) -> Any:
        """The next element; `_NOTHING` at the end."""
        with self.changed:
            while not self.items:
                self.changed.wait()
            item, error = self.items.popleft()
            self.changed.notify_all()
        if error is not None:
            raise error
        return item

    def stop(self) -> None:
        with self.changed:
            self.stopped = True
            self.changed.notify_all()


def prefetched(source: Iterator[Any], size: int, iteration: int) -> Iterator[Any]:
    """The elements of `source`, up to `size` of them made by a thread before they are asked for."""
    stream, clock = Stream(fork(), iteration), Clock()
    while not clock.slow:
        with clock(), stream:
            item = next(source, _NOTHING)
        if item is _NOTHING:
            return
        yield item
    queue = _Queue(source, stream, size)
    thread = threading.Thread(target=queue.fill, name="cnnexplain-prefetch", daemon=True)
    thread.start()
    try:
        while (item := queue.take()) is not _NOTHING:
            yield item
    finally:
        queue.stop()
        if thread is not threading.current_thread():
            thread.join(PATIENCE)

"""Run independent CPU work in Python threads, each of which uses torch single-threaded.

torch splits every single operation over its threads, which then wait for each other. Thousands of
short operations spend most of their time waiting, above all on a busy machine. Independent parts of
the work need no such synchronisation with one thread each: torch's operations release the GIL.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_parts(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Apply a function to every item, in `torch.get_num_threads()` threads at once.

    Args:
        function: computes on the CPU, without gradients and autocast, and writes nothing that
            threads share.
        items: what it is applied to.

    Returns:
        The results in the order of the items; an exception of any call is raised here.
    """

    def alone(item: Item) -> Result:
        with torch.no_grad():
            return function(item)

    threads = torch.get_num_threads()
    if threads == 1 or len(items) < 2:
        return [alone(item) for item in items]
    return list(_pool(threads).map(alone, items))


@lru_cache(maxsize=2)
def _pool(threads: int) -> ThreadPoolExecutor:
    together = threading.Barrier(threads + 1)

    def prepare() -> None:
        torch.get_num_threads()  # the first use in a thread sets its number, over any set before
        torch.set_num_threads(1)
        together.wait()

    pool = ThreadPoolExecutor(threads, thread_name_prefix="parts")
    for _ in range(threads):
        pool.submit(prepare)
    together.wait()
    # A thread's setting is also the default of later threads: restore it.
    torch.set_num_threads(threads)
    return pool


# A forked child has none of its parent's threads.
os.register_at_fork(after_in_child=_pool.cache_clear)

"""Make OpenMP's threads sleep while they wait, so that other work gets its share of the cores.

torch splits an operation over its threads, and threads that finish first wait for the others. By
default they spin for milliseconds. If other work shares the cores, the spinning slows down the very
threads that are waited for. Threads that never spin are woken by the kernel for each operation,
which costs a fifth of a small model's step on a quiet machine. So they spin for some microseconds,
which is enough for neighbours that end at about the same time, and sleep from then on.
"""

import os

ASLEEP = {
    "OMP_WAIT_POLICY": "PASSIVE",  # every OpenMP
    "GOMP_SPINCOUNT": "1000",  # turns; GNU's, which torch from PyPI brings
    "KMP_BLOCKTIME": "0",  # Intel's and LLVM's, which torch from conda brings
}
"""The environment variables that make threads wait asleep."""


def wait_asleep() -> None:
    """Make OpenMP's threads wait asleep, in this process and in those that it starts.

    OpenMP reads its environment when torch is loaded, so call this first. Nothing is changed if one
    of the variables of `ASLEEP` is set already: the user has decided.
    """
    if not any(name in os.environ for name in ASLEEP):
        os.environ.update(ASLEEP)

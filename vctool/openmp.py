"""How OpenMP's threads wait for each other: asleep, so that other work gets its share of the cores.

torch splits an operation over its threads, and a thread that is done first waits for the others. By
default it waits by spinning, for milliseconds. Where other work has taken the core of the thread
that it waits for, that keeps this very thread from getting on.
"""

import os

ASLEEP = {
    "OMP_WAIT_POLICY": "PASSIVE",  # every OpenMP
    "GOMP_SPINCOUNT": "0",  # GNU's, which torch from PyPI brings
    "KMP_BLOCKTIME": "0",  # Intel's and LLVM's, which torch from conda brings
}
"""The environment variables that make threads wait asleep."""


def wait_asleep() -> None:
    """Make OpenMP's threads wait asleep, in this process and in those that it starts.

    OpenMP reads its environment when torch is loaded, so this has to come before. Nothing is
    changed where one of the variables of `ASLEEP` is set already: the user has decided.
    """
    if not any(name in os.environ for name in ASLEEP):
        os.environ.update(ASLEEP)

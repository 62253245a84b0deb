"""`vctool convert` as a command."""

import gc
from contextlib import nullcontext

import pytest

from vctool.commands.convert import importing


@pytest.mark.parametrize("fails", [False, True])
def test_importing_stops_the_collector_only_meanwhile(fails: bool) -> None:
    try:
        with pytest.raises(ImportError) if fails else nullcontext(), importing():
            assert not gc.isenabled()
            if fails:
                raise ImportError
        assert gc.isenabled()
    finally:
        gc.unfreeze()

"""Parts computed side by side: same results, each thread alone, nothing left changed."""

import multiprocessing
import os
import threading

import pytest
import torch

from vctool.threads import map_parts


@pytest.fixture(autouse=True)
def _two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_from_threads_that_have_torch_to_themselves():
    both = threading.Barrier(2, timeout=30)

    def meet(number: int) -> tuple[int, int, bool, int]:
        both.wait()  # passes only when two run at once
        return number, torch.get_num_threads(), torch.is_grad_enabled(), threading.get_ident()

    results = map_parts(meet, [4, 5, 6, 7])
    assert [result[:3] for result in results] == [(n, 1, False) for n in (4, 5, 6, 7)]
    assert len({result[3] for result in results}) == 2


def test_threads_of_the_caller_and_of_later_threads_stay():
    map_parts(abs, [1, 2, 3])
    seen: list[int] = []
    later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert torch.get_num_threads() == 2 and seen == [2]


def test_an_exception_of_a_part_is_raised():
    with pytest.raises(ZeroDivisionError):
        map_parts(lambda n: 1 // n, [1, 0, 2])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_works_in_a_forked_child():
    map_parts(abs, [1, 2])
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(_in_child).get(timeout=60) == [3, 4]


def _in_child() -> list[int]:
    return map_parts(abs, [-3, -4])

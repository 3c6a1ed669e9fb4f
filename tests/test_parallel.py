"""Many pictures at a time: in order, bounded, and nothing lost by a failure."""

import threading
import time

import pytest
import torch

from aggan.inference.pipeline import WAITING, in_parallel


def test_results_come_in_order_and_failures_with_their_item():
    def do(item: int) -> None:
        time.sleep(0.01 * (3 - item % 3))
        if item == 4:
            raise ValueError("four")

    outcomes = {item: future.exception() for item, future in in_parallel(range(9), do, workers=3)}
    assert list(outcomes) == list(range(9))
    assert [item for item, why in outcomes.items() if why] == [4]


def test_no_more_are_begun_than_can_be_held():
    drawn, most = 0, 0

    def items():
        nonlocal drawn
        for item in range(200):
            drawn += 1
            yield item

    for done, _ in enumerate(in_parallel(items(), lambda item: None, workers=2), start=1):
        most = max(most, drawn - done)
    assert most <= 2 * WAITING + 1


def test_several_work_at_once_with_one_thread_each():
    met, threads = threading.Barrier(2, timeout=20), []

    def do(item: int) -> None:
        met.wait()
        threads.append(torch.get_num_threads())

    before = torch.get_num_threads()
    assert len(list(in_parallel(range(4), do, workers=2))) == 4
    assert set(threads) == {1}
    assert torch.get_num_threads() == before


def test_nothing_more_begins_after_an_interrupt():
    begun = []
    outcomes = in_parallel(range(1000), begun.append, workers=2)
    next(outcomes)
    with pytest.raises(KeyboardInterrupt):
        outcomes.throw(KeyboardInterrupt)
    assert len(begun) <= 2 * WAITING + 2

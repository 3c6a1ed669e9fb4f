"""`in_parallel`: results in order, a bounded queue, and failures that stay with their item."""

import threading
import time

import pytest
import torch

from aggan.inference.pipeline import QUEUED_PER_WORKER, in_parallel


def test_results_come_in_order_and_failures_with_their_item():
    def task(item: int) -> None:
        time.sleep(0.01 * (3 - item % 3))
        if item == 4:
            raise ValueError("four")

    errors = {item: future.exception() for item, future in in_parallel(range(9), task, workers=3)}
    assert list(errors) == list(range(9))
    assert [item for item, error in errors.items() if error] == [4]


def test_the_queue_is_bounded():
    drawn, largest = 0, 0

    def items():
        nonlocal drawn
        for item in range(200):
            drawn += 1
            yield item

    for done, _ in enumerate(in_parallel(items(), lambda item: None, workers=2), start=1):
        largest = max(largest, drawn - done)
    assert largest <= 2 * QUEUED_PER_WORKER + 1


def test_workers_run_at_the_same_time_with_one_thread_each():
    barrier, threads = threading.Barrier(2, timeout=20), []

    def task(item: int) -> None:
        barrier.wait()
        threads.append(torch.get_num_threads())

    before = torch.get_num_threads()
    assert len(list(in_parallel(range(4), task, workers=2))) == 4
    assert set(threads) == {1}
    assert torch.get_num_threads() == before


def test_nothing_more_starts_after_an_interrupt():
    started = []
    outcomes = in_parallel(range(1000), started.append, workers=2)
    next(outcomes)
    with pytest.raises(KeyboardInterrupt):
        outcomes.throw(KeyboardInterrupt)
    assert len(started) <= 2 * QUEUED_PER_WORKER + 2

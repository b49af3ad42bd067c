"""How much of the training waits for data: by where the time went, which the test lets pass itself."""

from __future__ import annotations

import time
from collections.abc import Iterator

from gta.train.waiting import Waiting


def test_the_share_is_of_waiting_and_stepping_and_of_nothing_else() -> None:
    def slow_batches() -> Iterator[int]:
        for number in range(3):
            time.sleep(0.05)
            yield number

    late, early = Waiting(), Waiting()
    assert late.percent() == 0
    seen = []
    for batch in late.over(slow_batches()):
        seen.append(batch)
        late.step_ends()
        time.sleep(0.2)  # an evaluation
    assert seen == [0, 1, 2]
    assert late.percent() > 90

    for _ in early.over(range(3)):
        time.sleep(0.05)
        early.step_ends()
    assert early.percent() < 10

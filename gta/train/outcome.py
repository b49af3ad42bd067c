"""What came of a cell, from what its last checkpoint holds: the trainer writes it so, and `gta repair` once more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gta import scoring
from gta.cellfolder import NetworkScores, NewOrder, Result, Score
from gta.config import Config


def result_of(config: Config, state: dict[str, Any], headline: str, finished: float) -> Result:
    """The result of a cell whose last checkpoint is `state`; scores in percent, `finished` in unix seconds.

    Raises ValueError where training was not over then, or its last networks were not scored yet.
    """
    last = config.schedule.iterations
    scores = {name: Score(**score) for name, score in state["scores"].items()}
    if state["iteration"] != last:
        raise ValueError(f"it is of iteration {state['iteration']}, and the last is {last}")
    if not scores or any(score.iteration != last for score in scores.values()):
        raise ValueError(f"it holds no scores of iteration {last} yet")
    return Result(
        signature=state["signature"],
        iteration=last,
        headline=headline,
        evaluation=scoring.describe(config),
        classes=list(config.data.classes),
        networks={name: NetworkScores(last=score, best=Score(**state["best"][name])) for name, score in scores.items()},
        seconds=state["seconds"],
        commit=_commits(state["commits"]),
        finished=finished,
        orders=[NewOrder(**one) for one in state.get("orders", ())],
    )


def _commits(commits: Iterable[str | None]) -> str | None:
    """The commits of a run, oldest first; None where none is known."""
    every = list(commits)
    return ", ".join(str(name) for name in every) if any(every) else None

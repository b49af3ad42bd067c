"""Which of a run's numbers a table shows: of which networks, and of which evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.entry import BEST, LAST

AT = {LAST: "last iteration", BEST: "each seed's best evaluation, picked on the validation set"}


@dataclass(frozen=True)
class Facet:
    """One of the columns that a table has for each label count. `mark`: what its name adds to the count's."""

    which: str = LAST
    mark: str = ""


@dataclass(frozen=True)
class View:
    """`networks`: a row for each network that was scored, not for the headline alone. `scores`: which evaluations have
    columns of their own, marked so; empty: that of the last iteration, with the best one in brackets, if at all.
    """

    networks: bool = False
    scores: tuple[str, ...] = ()

    @property
    def facets(self) -> list[Facet]:
        """The columns of one label count, in order."""
        return [Facet(which, f" {which}") for which in self.scores] or [Facet()]

    @property
    def stem(self) -> str:
        """What names of a table's files add, so that the table as it usually is keeps its own: "-networks-best"."""
        return "".join(f"-{part}" for part in (*(["networks"] if self.networks else []), *self.scores))

    @property
    def at(self) -> str:
        """At which evaluation the numbers are, in words."""
        if len(self.scores) > 1:
            return "; ".join(f"columns marked {which}: {AT[which]}" for which in self.scores)
        return AT[(self.scores or (LAST,))[0]]


USUAL = View()

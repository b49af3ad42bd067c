"""Which of a run's numbers a table shows: of which networks, and of which evaluation."""

from __future__ import annotations

import re
from dataclasses import dataclass

from analysis.entry import BEST, LAST

AT = {LAST: "last iteration", BEST: "each seed's best evaluation, picked on the validation set"}
WEIGHTS = "the weights of each seed's best evaluation in training, picked on the validation set"


@dataclass(frozen=True)
class Facet:
    """One of the columns that a table has for each label count. `protocol`: by which it was scored, empty: as in
    training. `mark`: what the column's name adds to the count's.
    """

    which: str = LAST
    mark: str = ""
    protocol: str = ""


@dataclass(frozen=True)
class View:
    """`networks`: a row for each network that was scored, not for the headline alone. `scores`: which evaluations have
    columns of their own, marked so; empty: that of the last iteration, with the best one in brackets, if at all.
    `protocols`: likewise, by which the networks were scored once more (`gta eval`); empty: as in training.
    """

    networks: bool = False
    scores: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()

    @property
    def facets(self) -> list[Facet]:
        """The columns of one label count, in order."""
        found = []
        for protocol in self.protocols or ("",):
            of_protocol = f" {protocol}" if protocol else ""
            for which in self.scores or (LAST,):
                found.append(Facet(which, of_protocol + (f" {which}" if self.scores else ""), protocol))
        return found

    @property
    def apart(self) -> bool:
        """Whether the last and the best are kept apart, by columns of their own or as only one of them is known."""
        return bool(self.scores or self.protocols)

    @property
    def stem(self) -> str:
        """What names of a table's files add, so that the table as it usually is keeps its own: "-networks-best"."""
        parts = (*(["networks"] if self.networks else []), *self.protocols, *self.scores)
        return "".join(f"-{re.sub(r'[^A-Za-z0-9_.]+', '_', part)}" for part in parts)

    @property
    def at(self) -> str:
        """At which evaluation the numbers are, in words."""
        at = {**AT, BEST: WEIGHTS} if self.protocols else AT
        if len(self.scores) > 1:
            return "; ".join(f"columns marked {which}: {at[which]}" for which in self.scores)
        return at[(self.scores or (LAST,))[0]]


USUAL = View()

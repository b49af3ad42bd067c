"""Who is told of what happens to a sweep: settings of the site."""

from __future__ import annotations

from dataclasses import dataclass

from gta.fields import neutral
from gta.ranges import Text

END, FAILURE, STUCK, BUDGET = EVENTS = ("end", "failure", "stuck", "budget")
SLACK, MATTERMOST = PRESETS = ("slack", "mattermost")
_EVENT = Text(f"one of {', '.join(EVENTS)}", lambda text: text in EVENTS)


@dataclass(frozen=True, kw_only=True)
class NotifyConfig:
    notify: str = neutral(
        "",
        "Shell command (bash) that tells somebody of an event, with the facts in its environment (GTA_EVENT, GTA_TEXT "
        "...); or slack or mattermost, which post it to the hook whose address is in GTA_NOTIFY_URL; empty: nobody.",
    )
    notify_on: list[str] = neutral(
        list(EVENTS),
        "Of which events: end (nothing of the sweep runs or waits any more), failure (of a cell), stuck (a cell makes "
        "no progress, or its job will never start), budget (--budget is used up, or too small to begin).",
        text=_EVENT,
        count=(0, len(EVENTS)),
    )

"""Clocks that are wrong: a process's own, and the time stamps of files."""

from __future__ import annotations

import os
from random import Random

from tests.faults.kinds.kind import Did, Kind, did, moment, set_world
from tests.faults.world import World

OFFSETS = (-30 * 86400.0, -86400.0, -7200.0, -90.0, 90.0, 7200.0, 86400.0)


def _process(world: World, draw: Random) -> Did:
    """time.time and time.time_ns of the launcher, the cells, or both; from the beginning or from a moment on."""
    at = set_world(world, draw)
    offset, role = draw.choice(OFFSETS), draw.choice(("multirun", "rank0", ""))
    since = moment(world, draw, role) if role and draw.random() < 0.6 else 0
    world.gta("multirun", plan=world.plan(role=role, what="clock", clock=offset, at=since))
    return did(f"{at}, {role or 'all'} off by {offset:.0f} s{f' from change {since} on' if since else ''}", "clock")


def _files(world: World, draw: Random) -> Did:
    at = set_world(world, draw, "half", "done")
    offset = draw.choice(OFFSETS)
    for folder, _, names in os.walk(world.runs):
        for name in names:
            path = os.path.join(folder, name)
            seen = os.stat(path)
            os.utime(path, (seen.st_atime + offset, seen.st_mtime + offset))
    return did(f"{at}, all time stamps moved by {offset:.0f} s")


KINDS = (
    Kind("a process's clock is off", "time.time set back or forward, at once or on the way", _process, 4),
    Kind("the files' time stamps are off", "set back or forward", _files, 2),
)

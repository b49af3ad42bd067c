"""Full disks: a small file system of one's own (tmpfs), or a limit on the size of any file (RLIMIT_FSIZE)."""

from __future__ import annotations

import shutil
import subprocess
from random import Random

from tests.faults import process
from tests.faults.kinds.kind import Did, Kind, NotHere, did, set_world
from tests.faults.world import World

MOST = 6_000_000  # bytes that a grid of two cells writes, about


def _tmpfs(world: World, draw: Random) -> Did:
    """runs/ is a file system with little room; after the command it is as large as it should be."""
    grid, state = draw.choice(("one", "two")), draw.choice(("bare", "fresh", "half"))
    world.set(grid, state)
    kept = world.root / "runs"
    shutil.rmtree(kept, ignore_errors=True)
    world.runs.mkdir(exist_ok=True)
    shutil.copytree(world.runs, kept)
    used = sum(path.stat().st_size for path in kept.rglob("*") if path.is_file())
    size = used + 65536 + int(draw.random() * MOST)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(world.runs)], capture_output=True, text=True
    )
    if mounted.returncode:
        raise NotHere(f"no file system can be mounted here ({mounted.stderr.strip()})")
    try:
        shutil.copytree(kept, world.runs, dirs_exist_ok=True)
        world.gta("multirun")
        process.await_others(process.HANG_SECONDS)  # cells may outlive a launcher that ended
        shutil.rmtree(kept)
        shutil.copytree(world.runs, kept)
    finally:
        subprocess.run(["umount", "-l", str(world.runs)], check=False, capture_output=True)
    shutil.copytree(kept, world.runs, dirs_exist_ok=True)
    return did(f"{grid} {state}, {(size - used) // 1024} KiB free")


def _limit(world: World, draw: Random) -> Did:
    """No file may grow beyond a size: EFBIG, where a full disk says ENOSPC."""
    at = set_world(world, draw)
    role = draw.choice(("multirun", "rank0"))
    size = draw.choice((60_000, 250_000, 600_000, 1_030_000) if role == "multirun" else (0, 500, 3000, 60_000, 250_000))
    world.gta("multirun", plan=world.plan(role=role, what="limit", fsize=size))
    return did(f"{at}, {role} may write {size} bytes a file")


KINDS = (
    Kind("a full disk", "runs/ on a tmpfs of a seeded size", _tmpfs, 5),
    Kind("a write limit", "RLIMIT_FSIZE for the launcher or its cells", _limit, 4),
)

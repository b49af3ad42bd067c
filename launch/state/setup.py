"""The setup lines of a Slurm job: the shell that watches them, and what it says where one fails.

A line fails by its own exit status, as the shell sees it: `set -e` would also end the job within shell functions and
sourced files that pass over a failure on purpose (module, conda activate).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

FAILED = "setup failed with exit code "
_TAIL = 16384  # bytes of a log

# Sourced files inherit the trap, where BASH_SOURCE is longer, and functions do not. A script shows its line as it is
# written; `bash -c` (depth 0) is no file, and shows the command.
_WATCH = (
    "gta_depth=${#BASH_SOURCE[@]}",
    """trap 'code=$?; if [ ${#BASH_SOURCE[@]} -eq $gta_depth ]; then line=$BASH_COMMAND; """
    """[ $gta_depth -eq 0 ] || line=$(sed -n "${LINENO}p" "$0"); """
    f"""echo "{FAILED}$code: $line"; exit 1; fi' ERR""",
)


def watched(lines: list[str]) -> list[str]:
    """The lines, and around them what ends the job where one fails; [] for none."""
    return [*_WATCH, *lines, "trap - ERR"] if lines else []


def failure_in(log: str | None) -> str | None:
    """What `watched` said last in the log of a cell's job: which line failed; None where it said nothing."""
    if not log:
        return None
    # of several cells in one job each has its log; the job's own is the first rank's
    path = Path(re.sub(r"_cell\d+_log\.out$", "_0_log.out", log))
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return None
    return next((line for line in reversed(lines) if line.startswith(FAILED)), None)

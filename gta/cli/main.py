"""The command line: finds the command, and imports nothing heavy before it knows which.

A user error is one sentence on stderr and exit code 2; a cell that failed is exit code 1.
"""

from __future__ import annotations

import importlib
import sys

from gta.errors import UserError
from gta.text import did_you_mean

COMMANDS = {
    "multirun": "run what is missing of a grid, watch it, and print the table",
    "plan": "what multirun would do: cells done, running, resumable, failed, to run",
    "doctor": "what a run needs: what is there, what is missing, what to do",
    "status": "where every cell of a grid stands",
    "logs": "the log of a cell; -f follows it",
    "cancel": "end cells that run or wait, on Slurm and here",
    "retry": "run failed and lost cells again, with more memory or time where that is why",
    "show": "config, attempts, code, split lists, environment and result of one cell",
    "diff": "what differs between two cells",
    "gc": "checkpoints and files that nothing needs any more; --yes removes them",
    "table": "the results table of a grid, also as Markdown, LaTeX, HTML, CSV and JSON",
    "report": "one HTML file about a grid: table, figures, predictions, cost, provenance",
    "train": "one cell, here (under torchrun: on several ranks)",
    "eval": "per-class IoU and mIoU of a cell or a checkpoint",
    "predict": "masks and overlays of a cell or a checkpoint; Cityscapes test predictions",
    "sync": "journals -> MLflow, for a grid or for every cell there is",
    "data": "data check: say what of a data set is missing or broken; data make-shapes",
    "completion": "a script with which bash or zsh completes commands, sweeps and cells",
    "splits": "splits show, import, make: name a list, copy public ones, draw class-balanced ones",
}

USAGE = """usage: python -m gta COMMAND [name=value ...]

{commands}

Commands that work on a grid take Hydra overrides:
  python -m gta multirun sweep=shapes            the embedded table
  python -m gta multirun sweep=shapes seed=0,1,2 more seeds; what is done stays done
  python -m gta plan sweep=voc_blender           nothing is run
`python -m gta COMMAND --help` says more about one."""


def main(arguments: list[str]) -> int:
    """Run one command; its exit code (0: well, 1: a cell failed, 2: the user can mend it, 130: interrupted)."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        print(f"error: {name}: there is no such command; {did_you_mean(name, COMMANDS)}", file=sys.stderr)
        return 2
    command = importlib.import_module(f"gta.cli.{name}")
    if "-h" in rest or "--help" in rest:
        print(command.help() if hasattr(command, "help") else (command.__doc__ or "").strip())
        return 0
    try:
        return command.run(rest)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except PermissionError as error:
        print(f"error: {error.strerror}: {error.filename}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `... | head`
        sys.stderr.close()
        return 0


def usage() -> str:
    width = max(map(len, COMMANDS))
    return USAGE.format(commands="\n".join(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()))

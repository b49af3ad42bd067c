"""usage: python -m gta completion bash|zsh

Prints a script that completes commands, options, sweep=NAME and the like, and names of cells, in `python -m gta ...`:
  bash:  source <(python -m gta completion bash)      (or put that line into ~/.bashrc)
  zsh:   source <(python -m gta completion zsh)       (after compinit)
It also makes `gta` short for `python -m gta`, where no program has that name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gta.errors import UserError

BASH = """\
_gta() {
    local line words current prefix
    line=${COMP_LINE:0:COMP_POINT}
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    current=${words[-1]}
    if [[ ${words[0]##*/} == gta ]]; then words=("${words[@]:1}")
    elif [[ ${words[1]} == -m && ${words[2]} == gta && ${#words[@]} -gt 3 ]]; then words=("${words[@]:3}")
    else compopt -o default; COMPREPLY=(); return; fi
    local IFS=$'\\n'
    COMPREPLY=($("${_gta_python:-python}" -m gta completion words -- "${words[@]}" 2>/dev/null))
    # bash splits words at = and : and replaces only what comes after the last of them
    prefix=${current%"${current##*[=:]}"}
    COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
type gta >/dev/null 2>&1 || gta() { "${_gta_python:-python}" -m gta "$@"; }
complete -F _gta gta python python3
"""
ZSH = """\
_gta() {
    local -a given found
    given=("${(@)words[1,CURRENT]}")
    if [[ ${given[1]:t} == gta ]]; then given=("${(@)given[2,-1]}")
    elif [[ ${given[2]} == -m && ${given[3]} == gta && CURRENT -gt 3 ]]; then given=("${(@)given[4,-1]}")
    else _default; return; fi
    found=("${(@f)$(${_gta_python:-python} -m gta completion words -- "${(@)given}" 2>/dev/null)}")
    compadd -Q -S '' -- ${(M)found:#*=}
    compadd -Q -- ${found:#*=}
}
(( $+commands[gta] )) || gta() { ${_gta_python:-python} -m gta "$@" }
compdef _gta gta python python3
"""
ROOT = Path(__file__).parents[2]
CELLS = ("logs", "cancel", "retry", "show", "diff", "gc", "eval", "predict")  # commands that take names of cells
OPTIONS = {
    "status": ["--watch", "--json"],
    "logs": ["-f", "--follow", "--rank=", "--attempt="],
    "cancel": ["--yes"],
    "retry": ["--oom", "mem=", "time=", "gpus=", "cpus=", "wait=false"],
    "show": ["--json"],
    "diff": ["--json"],
    "gc": ["--best", "--list", "--yes"],
    "multirun": ["retry=failed", "retry=cancelled", "retry=all", "wait=false", "cells="],
    "completion": ["bash", "zsh"],
}
GROUPS = ("data", "model", "schedule", "site")


def run(arguments: list[str]) -> int:
    if arguments[:1] == ["words"]:
        given = arguments[2:] if arguments[1:2] == ["--"] else arguments[1:]
        print("\n".join(complete(given)))
        return 0
    if arguments not in (["bash"], ["zsh"]):
        raise UserError("completion takes the name of your shell: bash or zsh.")
    print(BASH if arguments == ["bash"] else ZSH, end="")
    return 0


def complete(given: Sequence[str]) -> list[str]:
    """What the last of the words after `gta` can become. Quick: it imports neither Hydra nor torch."""
    from gta.cli.main import COMMANDS

    begun = given[-1] if given else ""
    if len(given) <= 1:
        return [name for name in COMMANDS if name.startswith(begun)]
    command = given[0]
    found = [*OPTIONS.get(command, []), "--help"] if begun.startswith("-") else _words(command, begun)
    if command in CELLS and "=" not in begun and not begun.startswith("-"):
        found += _cells(given)
    return sorted({word for word in found if word.startswith(begun)} - set(given[1:-1]))


def _words(command: str, begun: str) -> list[str]:
    """Options without a dash, and `name=value` of the groups; their names only, before the = is there."""
    groups = {
        "sweep": [ROOT / "sweeps", Path("sweeps")],
        **{group: [ROOT / "gta/conf" / group, Path("conf") / group] for group in GROUPS},
    }
    if command in ("completion", "splits", "data") and "=" not in begun:
        return OPTIONS.get(command, [])
    name, equals, _ = begun.partition("=")
    if equals and name in groups:
        files = [path for folder in groups[name] for path in folder.glob("*.yaml")]
        return [f"{name}={path.stem}" for path in files]
    if equals and name == "hydra/launcher":
        return ["hydra/launcher=local", "hydra/launcher=slurm"]
    own = [word for word in OPTIONS.get(command, []) if not word.startswith("-")]
    return [*own, *(f"{group}=" for group in groups), "hydra/launcher="]


def _cells(given: Sequence[str]) -> list[str]:
    """Names of cells; signatures once some of their digits are there."""
    from launch.grid.names import SHORTEST, known

    runs = next((word.partition("=")[2] for word in given if word.startswith("paths.runs=")), "runs")
    cells = known(Path(runs))
    begun = given[-1]
    digits = [cell.signature for cell in cells] if len(begun) >= SHORTEST else []
    return [*(cell.name for cell in cells), *digits]

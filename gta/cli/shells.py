"""The scripts that complete gta in bash, zsh and fish, and the answers to what they ask.

Click's own machinery finds the words; this is how they reach a shell: bash takes = and : for ends of a word, and no
space may follow `sweep=`.
"""

from __future__ import annotations

import os
import re

import click
from click import shell_completion as click_completion
from click.shell_completion import CompletionItem

ASKED = "_GTA_COMPLETE"  # the environment variable that a shell's script asks in


class Whole(click_completion.ShellComplete):
    """Completes `--retry=fa` as one word."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        found = super().get_completions(args, incomplete)
        name, equals, _ = incomplete.partition("=")
        if equals and name.startswith("--"):
            return [CompletionItem(f"{name}={item.value}", item.type, item.help) for item in found]
        return found


class Bash(Whole):
    name = "bash"
    source_template = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            *) COMPREPLY+=("$value") ;;
        esac
    done < <(%(complete_var)s=bash_complete GTA_LINE="${COMP_LINE:0:COMP_POINT}" "$1" 2>/dev/null)
    if [[ ${COMPREPLY[0]} == *= ]]; then compopt -o nospace; fi
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["GTA_LINE"]
        words = click_completion.split_arg_string(line)
        begun = words.pop() if words and not line[-1].isspace() else ""
        return words[1:], begun

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Bash replaces only what comes after the last = or : of the word."""
        done = incomplete[: len(incomplete) - len(re.split("[=:]", incomplete)[-1])]
        found = super().get_completions(args, incomplete)
        return [CompletionItem(item.value.removeprefix(done), item.type) for item in found]

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.type},{item.value}"


class Zsh(Whole, click_completion.ZshComplete):
    name = "zsh"
    source_template = """\
#compdef %(prog_name)s
%(complete_func)s() {
    local -a plain open described response
    local type key help
    response=("${(@f)$(COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) %(complete_var)s=zsh_complete \
${words[1]} 2>/dev/null)}")
    for type key help in ${response}; do
        case $type in
            dir) _path_files -/ ;;
            file) _path_files -f ;;
            *)
                if [[ $key == *= ]]; then open+=("$key")
                elif [[ $help == _ ]]; then plain+=("$key")
                else described+=("$key:$help"); fi ;;
        esac
    done
    [[ -n $described ]] && _describe -V unsorted described -U
    [[ -n $plain ]] && compadd -U -V unsorted -a plain
    [[ -n $open ]] && compadd -U -S '' -V unsorted -a open
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then %(complete_func)s "$@"
else compdef %(complete_func)s %(prog_name)s; fi
"""

    def format_completion(self, item: CompletionItem) -> str:
        bare = CompletionItem(item.value, item.type) if item.value.endswith("=") else item
        return click_completion.ZshComplete.format_completion(self, bare)


class Fish(Whole, click_completion.FishComplete):
    name = "fish"
    source_template = click_completion.FishComplete.source_template.replace('split ","', 'split -m 1 ","')  # method=a,b


SHELLS = {shell.name: shell for shell in (Bash, Zsh, Fish)}


def complete(cli: click.Command, asked: str) -> int:
    """Answer a shell's script, which asks `bash_complete` and the like in the environment."""
    for shell in SHELLS.values():
        click_completion.add_completion_class(shell)
    return click_completion.shell_complete(cli, {}, "gta", ASKED, asked)


def script(cli: click.Command, shell: str) -> str:
    """What the shell has to run to complete gta."""
    return SHELLS[shell](cli, {}, "gta", ASKED).source()

"""What is said of a word that the grammar refuses: the word that was meant."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Sequence

import click

from gta.cli.grammar import Option


def sentence(error: click.UsageError) -> str:
    """What click refused, in one sentence that says what was meant."""
    command = error.ctx.command if error.ctx else None
    if isinstance(error, click.NoSuchOption) and command and error.ctx:
        known = [name for param in command.get_params(error.ctx) for name in (*param.opts, *param.secondary_opts)]
        known = [name for name in known if name.startswith("--")]
        return f"{error.option_name}: there is no such option; {_meant(error.ctx, error.option_name, known)}"
    if isinstance(error, click.MissingParameter) and isinstance(error.param, Option) and error.ctx:
        return f"{error.ctx.info_name} needs {error.param.long} {error.param.metavar}; --help says more."
    text = " ".join(error.format_message().split())
    return text if text.endswith((".", "?")) else f"{text}."


def _meant(ctx: click.Context, option: str, known: Sequence[str]) -> str:
    """A setting is written without dashes: --sweep shapes is sweep=shapes."""
    close = difflib.get_close_matches(option, known, n=1)
    setting = _setting(option.lstrip("-").replace("-", "_"), typed=not close)
    if setting:
        return f"settings have no dashes: {setting}={shlex.quote(_value(ctx.find_root().obj or (), option))}"
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}."


def _setting(word: str, typed: bool) -> str:
    """The setting or group of this name, or the only one whose last part it is; with `typed` also one that is near."""
    from gta.cli import candidates

    names = [*candidates.groups(), *candidates.settings()]
    if word in names:
        return word
    ends = sorted({name for name in names if name.rsplit(".", 1)[-1] == word})
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.75) if typed else []
    return ends[0] if len(ends) == 1 else "".join(near)


def _value(words: Sequence[str], option: str) -> str:
    """What was written behind the option, or after its equals sign."""
    for word, following in zip(words, (*words[1:], ""), strict=True):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option and following and not following.startswith("-") and "=" not in following:
            return following
    return "VALUE"

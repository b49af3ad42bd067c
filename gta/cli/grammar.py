"""The grammar of the command line, on click: `gta COMMAND [NAME ...] [name=value ...] [--options]`.

A command's own options are dashed; settings are Hydra's overrides, which are passed on as they are written. Help,
usage, completion and the reference come from the declarations. A command's file imports nothing heavy: what it needs
is imported when it runs.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from gta.errors import UserError
from gta.text import did_you_mean

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
LONGEST = 200  # letters of a command's line in the help of its group
SPOKEN = {1: "one", 2: "two"}
KINDS = {
    "CELL": ("cell", "a signature or the beginning of it, words such as gta/92/seed0, or a cell's folder"),
    "FROM": ("place", "a folder, a .zip or a .tar.gz"),
}

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Words:
    """A command's words without a dash: names (of cells, say), and Hydra's overrides (`name=value`, `~name`)."""

    names: tuple[str, ...]
    overrides: tuple[str, ...]


class WordsArgument(click.Argument):
    """The one argument of a command, in which names and overrides may stand in any order.

    `kind`: what is named (a key of KINDS), or None where only overrides may stand. `count`: how many names have to be
    there; None for any number.
    """

    def __init__(self, *args: Any, kind: str | None = None, count: int | None = None, **settings: Any):
        self.kind = kind
        self.count = count
        named = f"[{kind}]..." if count is None else " ".join([str(kind)] * count)
        settings["metavar"] = f"{named} [NAME=VALUE]..." if kind else "[NAME=VALUE]..."
        super().__init__(*args, nargs=-1, type=click.UNPROCESSED, callback=_split, **settings)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from gta.cli import candidates

        words = ctx.params.get(self.name or "")
        given = words if isinstance(words, Words) else Words((), ())
        found = candidates.overrides(incomplete)
        if self.kind == "CELL" and "=" not in incomplete:
            found += [item for item in candidates.cells(incomplete, given.overrides) if item.value not in given.names]
        return found


def _split(ctx: click.Context, param: click.Parameter, value: Sequence[str]) -> Words:
    """Names and overrides. Raises UserError for a word that is neither."""
    assert isinstance(param, WordsArgument)
    names = tuple(word for word in value if "=" not in word and not word.startswith("~"))
    if param.kind is None and names and not ctx.resilient_parsing:
        raise UserError(f"{names[0]}: not an override; write name=value (seed=0,1), or --help for the command's words.")
    return Words(names, tuple(word for word in value if word not in names))


class Option(click.Option):
    """A dashed option. `old`: the word that it was (`retry`, of `retry=failed`), which still works; `bare`: its value
    where it is written without one, so that only `--watch=2` gives it another.
    """

    def __init__(self, *args: Any, old: str | None = None, bare: str | None = None, **settings: Any):
        self.old = old
        self.bare = bare
        super().__init__(*args, **settings)

    @property
    def long(self) -> str:
        return max(self.opts, key=len)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        return (record[0].replace(" [=", "[="), record[1]) if record else None

    def of_old(self, word: str, value: str) -> list[str]:
        """The dashed words of `word=value`. Raises UserError for a switch that is neither true nor false."""
        if not self.is_flag:
            return [self.long, value]
        if value.lower() not in ("true", "false"):
            raise UserError(f"{word}={value}: use {'/'.join([self.long, *self.secondary_opts])}.")
        return [self.long] if value.lower() == "true" else self.secondary_opts[:1]


class Command(click.Command):
    """A command with examples and exit codes in its help, that also understands the old words of its options.

    `instead`: the parameters that stand in place of names.
    """

    def __init__(
        self,
        name: str | None,
        examples: Sequence[str] = (),
        exit_codes: str = "",
        instead: Sequence[str] = (),
        **settings: Any,
    ):
        self.examples = examples
        self.exit_codes = exit_codes
        self.instead = instead
        super().__init__(name, context_settings=SETTINGS, options_metavar="[--OPTIONS]", **settings)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = [param for param in self.get_params(ctx) if isinstance(param, Option)]
        bare = {name: f"{name}={option.bare}" for option in own if option.bare is not None for name in option.opts}
        args = [bare.get(word, word) for word in _apart(args, own)]
        parsed, _, _ = self.make_parser(ctx).parse_args(list(args))
        old = {option.old: option for option in own if option.old}
        written, said = [], []
        positional = parsed.get("words")
        for word in positional if isinstance(positional, tuple) else ():
            name, equals, value = str(word).partition("=")
            if equals and name in old:
                written.append(word)
                said += old[name].of_old(name, value)
        rest = super().parse_args(ctx, [*(word for word in args if word not in written), *said])
        if written and not ctx.resilient_parsing:
            verb = "works" if len(written) == 1 else "work"
            advice = f"write {shlex.join(said)}" if said else "it says what is so anyway"
            click.echo(f"{' '.join(written)} still {verb}; {advice}.", err=True)
        if not ctx.resilient_parsing:
            self._check_names(ctx)
        return rest

    def _check_names(self, ctx: click.Context) -> None:
        """Raises UserError for too few or too many names; none are needed where an option says what they would."""
        for param in self.params:
            if not isinstance(param, WordsArgument) or param.kind is None or param.count is None:
                continue
            kind, meaning = KINDS[param.kind]
            if len(ctx.params["words"].names) != param.count and not any(map(ctx.params.get, self.instead)):
                many = f"{SPOKEN[param.count]} {kind}{'s' * (param.count > 1)}"
                raise UserError(f"{ctx.info_name} takes {many}: {meaning}.")

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        options, *others = super().collect_usage_pieces(ctx)
        return [*others, options] if self.allow_interspersed_args else [options, *others]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.exit_codes:
            with formatter.section("Exit code"):
                formatter.write_text(self.exit_codes)
        with formatter.section("Examples"):
            for line in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


def _apart(words: Sequence[str], options: Sequence[Option]) -> Iterable[str]:
    """The words, and `-c=job` as `-c job`: argparse, which Hydra's programs have, takes it so."""
    short = {f"{name}=" for option in options if not option.is_flag for name in option.opts if len(name) == 2}
    end = words.index("--") if "--" in words else len(words)
    for word in words[:end]:
        yield from (word[:2], word[3:]) if word[:3] in short else (word,)
    yield from words[end:]


class Group(click.Group):
    """A command of several words (`splits show`)."""

    command_class = Command

    sections: Mapping[str, Sequence[str]] | None = None  # of the help: title -> commands

    def __init__(self, name: str | None = None, **settings: Any):
        super().__init__(name, context_settings=SETTINGS, options_metavar="", **settings)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in (self.sections or {"Commands": self.list_commands(ctx)}).items():
            found = [command for name in names if (command := self.get_command(ctx, name))]
            with formatter.section(title):
                formatter.write_dl([(str(one.name), one.get_short_help_str(LONGEST)) for one in found], col_max=12)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise UserError(f"{args[0]}: there is no such command; {did_you_mean(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


def command(name: str, **settings: Any) -> Callable[[Callable[..., Any]], Command]:
    """Declares a command: its docstring is the help, its parameters are those that the decorators below declare."""
    return click.command(name, cls=Command, **settings)


def words(kind: str | None = None, count: int | None = None) -> Callable[[F], F]:
    """Declares the words without a dash (`Words`), as parameter `words`."""
    return click.argument("words", cls=WordsArgument, kind=kind, count=count)


def option(*names: str, **settings: Any) -> Callable[[F], F]:
    """Declares a dashed option; see `Option`."""
    return click.option(*names, cls=Option, **settings)


def together(*declared: Callable[[F], F]) -> Callable[[F], F]:
    """Several options that commands share, as one decorator."""

    def decorate(function: F) -> F:
        for one in reversed(declared):
            function = one(function)
        return function

    return decorate


class Parsed(click.ParamType):
    """A type whose function says in a UserError what it wants."""

    def __init__(self, name: str, parse: Callable[[str], Any]):
        self.name = name
        self.parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self.parse(value) if isinstance(value, str) else value
        except UserError as error:
            self.fail(str(error), param, ctx)

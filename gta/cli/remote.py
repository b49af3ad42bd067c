"""`gta remote`."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from gta.cli import grammar, outputs, ssh
from gta.errors import UserError

RESULTS = "paths.results="
FOLDER, PROGRAM, RSYNC = "gta-folder:", "gta-program:", "gta-rsync:"  # before what is asked, amid a profile's own words


@grammar.command(
    "remote",
    exit_codes="that of the command there; 1 where it went well and its results could not be brought; 2 something to "
    "mend first, or a connection that broke",
    examples=[
        "gta remote cluster:work/gta multirun sweep=voc_blender hydra/launcher=slurm site=slurm --no-wait",
        "gta remote cluster:work/gta table sweep=voc_blender",
        "gta remote --no-results me@cluster status sweep=voc_blender --watch",
    ],
)
@click.argument("host", metavar="HOST[:FOLDER]")
@click.argument("command_line", metavar="COMMAND...", nargs=-1, type=click.UNPROCESSED)
@grammar.option(
    "--ssh", "program", metavar="PROGRAM", default="ssh", help="ssh, with options of its own: 'ssh -p 2222'."
)
@grammar.option(
    "--program",
    "there",
    metavar="PROGRAM",
    default="",
    help="gta there. Default: .venv/bin/gta in the folder, else the one that a login shell finds.",
)
@grammar.option("--results/--no-results", default=True, help="Bring results/ back (the default), or leave it there.")
def command(host: str, command_line: tuple[str, ...], program: str, there: str, results: bool) -> int:
    """A command of gta on another machine, and its results here.

    Over one connection of ssh, so that a password or a second factor is asked for once. FOLDER is the project's there,
    from the home folder or absolute; without it the same as here. Options of remote stand before HOST; what follows
    HOST is the command's own, as it is written.

    Afterwards results/ (or what paths.results= names in the project) is brought into the folder where you are, by rsync
    or, where one side has none, by tar: files of the same name are replaced, no other is touched.
    """
    name, _, folder = host.partition(":")
    if not name or name.startswith("-"):
        raise UserError(f"{host}: HOST is a name that ssh knows, with the project's folder behind a colon if you like.")
    with ssh.connected(name, program) as connection:
        place = Place.find(connection, folder, there)
        code = place.run(command_line)
        if results and not place.bring(named_results(command_line)):
            return code or 1
        return code


# what stands behind HOST is the other command's
command.allow_interspersed_args = False


@dataclass(frozen=True)
class Place:
    """The project's folder on the other machine (absolute), a shell's words for gta there, whether it has rsync."""

    connection: ssh.Connection
    folder: str
    program: str
    rsync: bool

    @classmethod
    def find(cls, connection: ssh.Connection, folder: str, program: str) -> Place:
        """Raises UserError where the folder or gta is not there."""
        words = ssh.split(program, "--program")
        for word in (folder, *words):
            if another := re.match(r"~[^/]+(?=/|$)", word):
                raise UserError(f"{word}: write the whole path; of {another[0]} the folder is not known here.")
        folder = re.sub(r"^~(/+|$)", "", folder) if folder else _same_as_here()
        names = [_from_home(words[0])] if words else [".venv/bin/gta", "gta"]
        asked = " || ".join(f"command -v {name}" for name in names)
        enter = f"cd -- {shlex.quote(folder)} >/dev/null 2>&1 && " if folder else ""
        found = connection.ask(
            f'{{ {enter}echo {FOLDER}"$PWD" && p=$({asked}) && echo {PROGRAM}"$p"; '
            f"command -v rsync >/dev/null && echo {RSYNC}yes; true; }}"
        )
        where, which = _told(found, FOLDER), _told(found, PROGRAM)
        host = connection.host
        if not where:
            raise UserError(
                f"{host} has no folder {folder}: name the project's there, gta remote {host}:FOLDER COMMAND ..."
            )
        if not which:
            missing = f"no {words[0]}" if words else "neither .venv/bin/gta nor a gta that a login shell finds"
            raise UserError(
                f"{host}:{where} has {missing}: install gta there, or say where it is with --program (before {host})."
            )
        start = " ".join(map(_from_home, words)) or shlex.quote(which)
        return cls(connection, where, start, bool(_told(found, RSYNC)))

    def run(self, command_line: Sequence[str]) -> int:
        """Run it there, at this terminal; its exit code. Raises UserError where the connection breaks."""
        terminal = sys.stdin.isatty() and sys.stdout.isatty()
        script = f"cd -- {shlex.quote(self.folder)} && exec {self.program} {shlex.join(command_line)}"
        words = self.connection.command(script, *(["-t"] if terminal else []), login=True)
        sys.stdout.flush()
        code = subprocess.run(words).returncode
        if code == ssh.LOST:
            raise UserError(
                f"The connection to {self.connection.host} broke. Jobs of Slurm go on; to say it again is harmless."
            )
        return code

    def bring(self, results: str) -> bool:
        """Bring a folder of the project here; whether that went well. One that is not there is nothing to bring."""
        if Path(results).is_absolute() or ".." in Path(results).parts:
            print(
                f"{RESULTS}{results} is not within the project, and stays on {self.connection.host}.", file=sys.stderr
            )
            return True
        source = f"{self.folder.rstrip('/')}/{results}"
        there = subprocess.run(self.connection.command(f"test -d {shlex.quote(source)}"), stdin=subprocess.DEVNULL)
        if there.returncode == 1:
            return True
        try:
            Path(results).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            print(f"error: {outputs.said(error)}", file=sys.stderr)
            return False
        fetch = self._by_rsync if self.rsync and shutil.which("rsync") else self._by_tar
        if there.returncode or not fetch(source, results):
            print(f"error: {results} could not be brought from {self.connection.host}:{source}.", file=sys.stderr)
            return False
        print(f"{self.connection.host}:{source} is in {results}.", file=sys.stderr)
        return True

    def _by_rsync(self, source: str, results: str) -> bool:
        shell = shlex.join(self.connection.words)
        words = ["rsync", "-rlpt", "-s", "-e", shell, f"{self.connection.host}:{source}/", f"./{results}/"]
        return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode == 0

    def _by_tar(self, source: str, results: str) -> bool:
        words = self.connection.command(f"tar -C {shlex.quote(source)} -cf - .")
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as sent:
            unpacked = subprocess.run(["tar", "-C", results, "--no-same-owner", "-xf", "-"], stdin=sent.stdout)
        return sent.returncode == 0 and unpacked.returncode == 0


def named_results(command_line: Sequence[str]) -> str:
    """The folder of finished tables that a command names, from the project's folder."""
    named = (word.removeprefix(RESULTS) for word in reversed(command_line) if word.startswith(RESULTS))
    return str(Path(next(named, "results")))


def _same_as_here() -> str:
    """The folder where this command runs, from the home folder if it lies below that; empty: the home folder."""
    here, home = Path.cwd(), Path.home()
    if here == home:
        return ""
    return str(here.relative_to(home) if here.is_relative_to(home) else here)


def _from_home(word: str) -> str:
    """A word for the shell there, in which ~/ is the home folder there, and nothing else does anything."""
    return f'"$HOME"{shlex.quote(word[1:])}' if re.match("~(/|$)", word) else shlex.quote(word)


def _told(text: str, name: str) -> str:
    found = [line for line in text.splitlines() if line.startswith(name)]
    return found[-1].removeprefix(name).strip() if found else ""

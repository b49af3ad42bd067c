"""One connection of OpenSSH to a host, over which several commands go: a second factor is typed once."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gta.errors import UserError

LOST = 255  # ssh's own exit code; a command of ours has none above 130
SHORT = "/tmp"  # the path of a socket has about a hundred letters, which a TMPDIR may use up


@dataclass(frozen=True)
class Connection:
    """`words`: the ssh command that goes over it, without the host."""

    host: str
    words: tuple[str, ...]

    def command(self, script: str, *options: str, login: bool = False) -> list[str]:
        """The words that run a line of bash there, in a login shell where its PATH is wanted."""
        return [*self.words, *options, self.host, f"exec bash {'-lc' if login else '-c'} {shlex.quote(script)}"]

    def ask(self, script: str) -> str:
        """What a line of bash writes there, in a login shell. Raises UserError where it cannot be run."""
        answer = subprocess.run(
            self.command(script, login=True),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        if answer.returncode:
            why = _reason(answer.stderr) or f"exit code {answer.returncode}"
            raise UserError(f"{self.host} does not run a line of bash: {why}. gta remote needs bash there.")
        return answer.stdout


@contextmanager
def connected(host: str, ssh: str) -> Iterator[Connection]:
    """A connection that is open while entered; one of the user's own (ControlMaster in ~/.ssh/config) is used as it is.

    `ssh`: the program, with options of its own. Raises UserError where there is none, or the host is not reached.
    """
    words = split(ssh, "--ssh")
    if not words or shutil.which(words[0]) is None:
        raise UserError(f"There is no {ssh or 'ssh'} here: install OpenSSH's client, or name it with --ssh PROGRAM.")
    if _open_already(words, host):
        yield Connection(host, words)
        return
    with tempfile.TemporaryDirectory(prefix="gta-", dir=SHORT if Path(SHORT).is_dir() else None) as folder:
        own = (*words, "-o", f"ControlPath={folder}/ssh")
        _open(own, host, Path(folder, "said"))
        try:
            yield Connection(host, own)
        finally:
            _control(own, host, "exit")


def split(program: str, option: str) -> tuple[str, ...]:
    """The words of a program that an option names. Raises UserError for a quote that is not closed."""
    try:
        return tuple(shlex.split(program))
    except ValueError:
        raise UserError(f"{option} {program}: a quote is opened and not closed.") from None


def _open(words: Sequence[str], host: str, said: Path) -> None:
    """Log in, and leave the connection open behind. What ssh asks, it asks at the terminal."""
    alive = ("-o", "ControlMaster=yes", "-o", "ControlPersist=no", "-o", "ServerAliveInterval=30")
    with open(said, "wb") as errors:  # no pipe: the process that stays behind would hold it open
        code = subprocess.run(
            [*words, *alive, "-N", "-f", host], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
        ).returncode
    text = said.read_text(encoding="utf-8", errors="replace")
    if code:
        raise UserError(
            f"{host} cannot be reached: {_reason(text) or f'ssh ended with {code}'}. First let `ssh {host}` work."
        )
    print(text, end="", file=sys.stderr, flush=True)


def _open_already(words: Sequence[str], host: str) -> bool:
    return _control(words, host, "check") == 0


def _control(words: Sequence[str], host: str, what: str) -> int:
    return subprocess.run([*words, "-O", what, host], stdin=subprocess.DEVNULL, capture_output=True).returncode


def _reason(text: str) -> str:
    """The last line that ssh wrote, in which it says what it could not do."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else ""

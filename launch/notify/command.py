"""The command that tells somebody: run beside what matters, with a time limit of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping

from gta.masking import masked
from gta.notifyconfig import MATTERMOST, PRESETS, SLACK
from gta.text import printable

SECONDS = 30.0  # for a command
_LINE = 300  # characters of the last line that a command says ...
_END = 4096  # ... which is looked for in so many bytes of its end
# The hook's address is a password: it is in the environment alone, neither in a record nor among curl's arguments,
# which everybody on the machine can read.
_POST = r"""
[ -n "$GTA_NOTIFY_URL" ] || { echo "GTA_NOTIFY_URL is not set: it has the address of the hook" >&2; exit 1; }
curl --silent --show-error --fail --max-time 25 --proto =http,https --output /dev/null \
  --header 'Content-Type: application/json' --data-binary @- --config <(printf 'url = "%s"\n' "$GTA_NOTIFY_URL") \
  <<<"$GTA_PAYLOAD"
"""


def script(command: str) -> str:
    """What bash runs: the command itself, or what a preset (slack, mattermost) stands for."""
    return _POST if command.strip() in PRESETS else command


def payload(command: str, title: str, text: str) -> str:
    """The JSON that a preset posts; empty for another command."""
    if command.strip() == SLACK:
        return json.dumps({"text": _slack(text)})
    return json.dumps({"text": _mattermost(title, text)}) if command.strip() == MATTERMOST else ""


def _slack(text: str) -> str:
    """Three characters mean something to Slack: <!channel> would call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _mattermost(title: str, text: str) -> str:
    """As code, in which Markdown and @all mean nothing."""
    rest = text.removeprefix(title).strip("\n")
    quiet = re.sub("`+", "'", rest)
    head = f"`{title.replace('`', chr(39))}`"
    return f"{head}\n```\n{quiet}\n```" if rest else head


class Sending:
    """A command that runs; `over` says whether it is, and `error` then what was wrong, in a line; empty: nothing."""

    def __init__(self, command: str, facts: Mapping[str, str]):
        self.error = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._until = time.monotonic() + SECONDS
        try:
            self._said = tempfile.TemporaryFile()  # noqa: SIM115, closed with the command
            self._process = subprocess.Popen(
                ["bash", "-c", script(command)],
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=subprocess.STDOUT,
                env={**os.environ, **facts},
                start_new_session=True,  # a terminal's Ctrl-C is not meant for it
            )
        except (OSError, ValueError) as error:
            self.error = f"it could not be started: {error}"

    @property
    def over(self) -> bool:
        """Whether it is; one that takes too long is ended."""
        if self._process is None:
            return True
        code = self._process.poll()
        if code is None:
            if time.monotonic() < self._until:
                return False
            _end(self._process)
            self.error = self._ended(f"it took longer than {SECONDS:.0f} s")
        elif code:
            self.error = self._ended(f"exit code {code}")
        self._said.close()
        self._process = None
        return True

    def wait(self) -> str:
        """Until it is over; the error."""
        while not self.over:
            time.sleep(0.05)
        return self.error

    def _ended(self, how: str) -> str:
        """How it ended, and the last line that it said, as far as that can be read."""
        lines: list[str] = []
        with contextlib.suppress(OSError):
            self._said.seek(max(0, self._said.seek(0, os.SEEK_END) - _END))
            lines = self._said.read().decode(errors="replace").strip().splitlines()
        return printable(masked(f"{how}: {lines[-1][:_LINE]}" if lines else how))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it, and all that it started."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

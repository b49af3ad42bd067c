"""Passwords and tokens: left out of whatever is printed or written, and refused where they would be kept.

`masked` is the one mask; records, journals and the output of every process of ours go through it. The output also has
control characters spelled out: a name or an error's words must not steer the terminal (`gta.text.printable`).

A tracking URI, or a setup line, stands in every cell's frozen config: one that carries a credential is refused, with
where else it belongs.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO, cast
from urllib.parse import quote

from gta.errors import UserError
from gta.text import printable

HIDDEN = "***"
_WORDS = r"passw(?:or)?d|passphrase|pwd|secret|token(?!s|iz)|api[_-]?key|access[_-]?key|private[_-]?key"
_NAME = rf"(?=[\w.-]*?(?:{_WORDS}))[\w.-]++"  # all of a name is taken at once: a long one costs its length
_VALUE = r"""(?:"[^"\n]*"|'[^'\n]*'|[^\s&;,"')\]}]+)"""
_URI = re.compile(r"\b([a-z][a-z0-9+.-]*)://(?!/)([^\s]*)@", re.IGNORECASE)
_SETTING = re.compile(rf"(?<![\w.-])({_NAME}=)({_VALUE})", re.IGNORECASE)
_PLACE = re.compile(r"(_(file|path|dir)|^(old)?pwd)$", re.IGNORECASE)  # of names: where a secret is, or none
_QUOTED = re.compile(rf"""(["']{_NAME}["']\s*:\s*)("[^"\n]*"|'[^'\n]*')""", re.IGNORECASE)
_HEADER = re.compile(r"""(authorization["']?\s*[:=]\s*["']?(?:\w+\s+)?)[^\s"',}]+""", re.IGNORECASE)
# of a hook, whose address is its password: where it is said in plain
_HOOK = re.compile(rf"""\b(GTA_NOTIFY_URL=)(?!["']?[$`])({_VALUE})""")
_WEB = re.compile(r"https?://[^/\s\"']+/([^\s\"'<>|;)]+)", re.IGNORECASE)
_CLIENT = re.compile(r"\b(curl|wget|https?|xh)\s")  # what takes an address without https://, too
_HOST = r"(?:[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}(?::\d+)?|[\w.-]+:\d+|\d+(?:\.\d+){3})"
_BARE = re.compile(rf"(?<![\w./~$@:{{-]){_HOST}/([^\s\"'<>|;)]+)", re.IGNORECASE)
_LOGIN = re.compile(
    r"""(?<!\S)(?:-[a-z]*u\s*|--user[\s=]+)["']?(?:\$\{[^}]*\}|[^\s"':+$]|\$(?!\{))++:[^\s"'$`]""", re.IGNORECASE
)
_KEY = re.compile(
    r"""(?<!\S)(?:-[a-z]*H\s*|--header[\s=]+)["']?[\w-]*(?:key|token|secret|auth|passw|cookie)[\w-]*:\s*"""
    r"""(?:(?:bearer|basic|token|key)\s+)?+[^\s"'$`]""",
    re.IGNORECASE,
)
_DATABASES = ("postgresql", "mysql", "mssql", "mariadb", "oracle")
# what our libraries read, and could repeat in an error
_VARIABLES = (
    "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "DATABRICKS_TOKEN", "DATABRICKS_PASSWORD", "PGPASSWORD",
    "MYSQL_PWD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_ACCESS_KEY", "GTA_NOTIFY_URL",
)  # fmt: skip
_SHORTEST = 6  # characters of a variable's value: a shorter one is found in words that are none


def masked(text: str) -> str:
    """The text without the passwords and tokens in it: of addresses, of NAME=VALUE and of the environment."""
    if "://" in text:
        text = _URI.sub(_without, text)
    text = _SETTING.sub(rf"\1{HIDDEN}", text)
    text = _QUOTED.sub(rf"\1'{HIDDEN}'", text)
    text = _HOOK.sub(rf"\1{HIDDEN}", _HEADER.sub(rf"\1{HIDDEN}", text))
    for value in filter(None, map(os.environ.get, _VARIABLES)):
        if len(value) >= _SHORTEST:
            text = text.replace(value, HIDDEN).replace(quote(value, safe=""), HIDDEN)
    return text


def _without(found: re.Match[str]) -> str:
    """An address without its user and password; a user of a database, without a password, is no secret."""
    scheme, user = found.groups()
    after = re.sub(r"^[^:@/]*@", "", user)  # the last @ may be another's, later in a query
    plain = scheme.lower().startswith(_DATABASES) and not re.search(r":(?!\d+/)" if after != user else ":", after)
    return found[0] if plain else f"{scheme}://{HIDDEN}@"


def masked_values(value: Any) -> Any:
    """A record's value, all texts in it masked."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {key: masked_values(below) for key, below in value.items()}
    return [masked_values(below) for below in value] if isinstance(value, (list, tuple)) else value


class _Masked:
    """A text stream that leaves out what `masked` does, and spells control characters out unless they are `ours`; all
    else is the stream's own.
    """

    def __init__(self, stream: TextIO, ours: bool = False):
        self._stream = stream
        self._ours = ours

    def write(self, text: str) -> int:
        self._stream.write(masked(text if self._ours else printable(text)))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def styled(self) -> _Masked:
        return _Masked(self._stream, ours=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def styled(stream: TextIO) -> TextIO:
    """The same output for who writes colours or moves the cursor, and has made all other texts `printable` before."""
    return cast(TextIO, stream.styled()) if isinstance(stream, _Masked) else stream


def mask_output() -> None:
    """From now on nothing that this process prints shows a password or steers the terminal; nor what others raise. A
    letter that the terminal's encoding does not have is printed as a question mark.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # of stderr, Python spells such letters out
    for name in ("stdout", "stderr"):
        if not isinstance(stream := getattr(sys, name), _Masked) and stream is not None:
            setattr(sys, name, _Masked(stream))


def refuse_credentials(uri: str) -> None:
    """Raises UserError for a tracking URI that carries a user's password or a token: who can read a record reads it."""
    scheme, _, rest = uri.partition("://")
    kind = scheme.lower()
    if kind.startswith(("sqlite", "file")) or not _carries(kind, rest):
        return
    if kind.startswith("postgresql"):
        advice = "put the password into ~/.pgpass or PGPASSWORD"
    elif kind.startswith(_DATABASES):
        advice = "put the password into a file of the driver's (MySQL: ?read_default_file=~/.my.cnf)"
    else:
        advice = (
            "put them into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, or into "
            "MLflow's file ~/.mlflow/credentials"
        )
    raise UserError(
        f"The tracking URI ({kind}://...) carries credentials, and every cell's record would hold them: {advice}, and "
        "leave them out of the URI."
    )


def _carries(kind: str, rest: str) -> bool:
    """Whether what follows `://` names more than a place, and a database's user."""
    place, _, query = rest.partition("?")
    if _SETTING.search(rest):
        return True
    if "@" not in rest:
        return False
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, at, _ = authority.rpartition("@")
    if at:
        return ":" in user or not kind.startswith(_DATABASES)
    port = re.fullmatch(r"(?:\[[^]]*\]|[^:]*)(?::(\d*))?", authority)
    return port is None or "@" in place or (not kind.startswith(_DATABASES) and "@" in query)


def refuse_secrets(name: str, lines: Iterable[str], where: str = "") -> None:
    """Raises UserError for lines that say a password or a token in plain; `name`: of the setting, `where`: another that
    can read it from a file (" in site.setup").
    """
    for line in lines:
        said = [found for found in _SETTING.finditer(line) if not _PLACE.search(found[1].rstrip("="))]
        plain = [found for found in said if not found[2].lstrip("\"'").startswith(("$", "`"))]
        for found in [*plain, *_HOOK.finditer(line)][:1]:
            variable = found[1].rstrip("=")
            raise UserError(
                f"{name} says {variable} in plain, and every cell's record would hold it: read it from a file that "
                f"is yours alone, {variable}=$(cat ~/FILE){where}."
            )


def refuse_hooks(name: str, command: str) -> None:
    """Raises UserError for a command that has a web address with a path, a user's password (`-u me:word`), or a header
    with a key, in plain: of a hook (Slack's, ntfy's) the path is the password, so that nothing of it may stand before
    the first variable. `name`: of the setting.
    """
    refuse_secrets(name, command.splitlines())
    paths = [found[1] for found in _WEB.finditer(command)]
    if client := _CLIENT.search(command):
        paths += [found[1] for found in _BARE.finditer(command)]
    plain = any(not path.startswith(("$", "`")) for path in paths)
    header = [found for found in _HEADER.finditer(command) if "$" not in found[0].removeprefix(found[1])]
    said = client and (_LOGIN.search(command) or _KEY.search(command))
    if plain or header or said or any("$" not in found[2] for found in _URI.finditer(command)):
        what = "a web address with a path" if plain else "a password"
        raise UserError(
            f"{name} has {what} in plain, which lets everybody post who can read a cell's record: put it into the "
            'environment, export GTA_NOTIFY_URL=$(cat ~/FILE), and say "$GTA_NOTIFY_URL".'
        )

"""Whether MLflow can open an SQLite store: by the file itself, before MLflow is loaded and prints its own words."""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
from contextlib import closing
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from gta import locks

SECONDS = 5.0  # to wait for whoever writes to the store


def trouble(path: Path) -> tuple[str, str] | None:
    """What keeps MLflow from opening the store at `path`, and what to do; None where nothing does, or where only MLflow
    can tell (one that does not say which schema it wants). MLflow itself would try for two minutes.
    """
    away = _away(path)
    if path.is_dir():
        return f"MLflow's store {path} is a folder", f"move it away: {away}"
    try:
        found = _version(path)
    except sqlite3.OperationalError as error:  # no word about what is in it
        return _shut(path, str(error))
    except sqlite3.DatabaseError as error:
        return f"MLflow's store {path} cannot be read ({error})", f"move it away: {away}"
    head, known = _versions()
    if found == head or head is None:
        return None
    if found is None:
        return f"{path} is no store of MLflow's, or one that was made by half", f"move it away: {away}"
    here = f"MLflow {metadata.version('mlflow')}"
    if found not in known:
        return (
            f"MLflow's store {path} has a schema that the {here} here does not know ({found})",
            f"install the version that made it, or move it away: {away}",
        )
    upgrade = shlex.join(["mlflow", "db", "upgrade", f"sqlite:///{path}"])
    return (
        f"MLflow's store {path} is of an older version than the {here} here (schema {found}, not {head})",
        f"copy it and run `{upgrade}`, or move it away: {away}",
    )


def damage(path: Path) -> tuple[str, str] | None:
    """As `trouble`, of a store that can be opened and whose pages do not fit together: it reads all of it, so ask where
    something is wrong already.
    """
    try:
        with closing(_opened(path)) as database:
            (found,) = database.execute("pragma integrity_check(1)").fetchone()
    except sqlite3.OperationalError:
        return None  # somebody writes to it, say
    except sqlite3.DatabaseError as error:
        found = str(error)
    return None if found == "ok" else (f"MLflow's store {path} is damaged ({found})", f"move it away: {_away(path)}")


def _away(path: Path) -> str:
    return f"`{shlex.join(['mv', str(path), f'{path}.away'])}`, and `gta sync` makes it anew from the journals"


def _opened(path: Path) -> sqlite3.Connection:
    """For reading; but where a writer was killed within a transaction, only who may write can undo that and read."""
    return sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=SECONDS)


def _shut(path: Path, error: str) -> tuple[str, str]:
    """What is wrong with a store that cannot be read now, and what to do."""
    if "locked" in error or "busy" in error:
        holder = locks.holder_of(path.with_name(f"{path.name}.lock"))
        holder = holder if holder and holder.lives and holder.pid != os.getpid() else None
        who = f" by {holder}" if holder else ""
        stopped = f", which is stopped: `kill -CONT {holder.pid}` lets it go on" if holder and holder.stopped else ""
        found = f"MLflow's store {path} has been locked{who} for more than {SECONDS:.0f} s{stopped}"
        return found, f"wait for who has it open (`fuser -v {path}`), or end that, then try again"
    return (
        f"MLflow's store {path} cannot be opened ({error})",
        f"it must be a file that you may read and write, in a folder where you may write: see `ls -ld {path}`",
    )


def _version(path: Path) -> str | None:
    """The schema's version; None where the tables of MLflow are not there, or not all of them."""
    with closing(_opened(path)) as database:
        tables = {str(name) for (name,) in database.execute("select name from sqlite_master where type = 'table'")}
        if not {"alembic_version", "experiments"} <= tables or any(name.startswith("_alembic_tmp_") for name in tables):
            return None
        row = database.execute("select version_num from alembic_version").fetchone()
        if row is None or not database.execute("select 1 from experiments limit 1").fetchone():
            return None  # MLflow makes its default experiment last
        return str(row[0])


@cache
def _versions() -> tuple[str | None, frozenset[str]]:
    """The schema's version that the installed MLflow wants (None: it does not say), and all that it knows.

    From the texts of its migrations, each of which names the one before it: loading MLflow would take seconds.
    """
    spec = find_spec("mlflow")
    folders = (spec.submodule_search_locations or []) if spec else []
    texts = [
        file.read_text(encoding="utf-8", errors="replace")
        for folder in folders
        for file in Path(folder, "store", "db_migrations", "versions").glob("*.py")
    ]
    names = {"revision": set[str](), "down_revision": set[str]()}
    for text in texts:
        for name, version in re.findall(
            r"^(revision|down_revision)[^=\n]*=\s*[\"']([0-9a-f]+)[\"']", text, re.MULTILINE
        ):
            names[name].add(version)
    heads = names["revision"] - names["down_revision"]
    return (heads.pop() if len(heads) == 1 else None), frozenset(names["revision"])

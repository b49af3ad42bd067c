"""The folders a run needs: writable, on a file system that does what we ask of it, with room; MLflow's store; and what
tells somebody.
"""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from gta.config import PathsConfig, SiteConfig
from gta.data.private import place
from gta.errors import UserError
from gta.finding import Finding, missing, ok, problem
from gta.masking import masked
from gta.notifyconfig import PRESETS
from gta.text import human_bytes
from gta.tracking import keys, sqlite_schema, store

LITTLE_BYTES = 4 * 10**9  # a ResNet-101 cell with three networks keeps two checkpoints of 1.3 GB, and writes a third
SECONDS = 3.0  # for a server to answer


def folders(paths: PathsConfig) -> Iterator[Finding]:
    """runs, results and splits: writable, with room, able to make files exclusively. Only a passing file is written."""
    for name in ("runs", "results", "splits"):
        place = Path(getattr(paths, name))
        there = place
        while not there.exists():
            there = there.parent
        made = "" if there == place else f", made in {there} when it is needed"
        if not there.is_dir():
            yield problem(name, f"{there} is no folder", f"Name another with paths.{name}=FOLDER.")
        elif trouble := _trouble(there):
            yield problem(name, f"{there}: {trouble}", f"Name a folder you may write to with paths.{name}=FOLDER.")
        elif (free := shutil.disk_usage(there).free) < LITTLE_BYTES and name == "runs":
            yield problem(name, f"{place}: {free / 1e9:.1f} GB are free", "Make room: checkpoints are kept there.")
        else:
            yield ok(name, f"{place}, {free / 1e9:,.0f} GB free{made}")


def _trouble(folder: Path) -> str:
    """Why cells could not keep their records here; empty where they can."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
            linked = f"{file.name}-link"
            try:
                os.link(file.name, linked)  # how a cell is claimed by exactly one process
            except OSError as error:
                return f"this file system makes no hard links ({error.strerror}), by which a cell is claimed"
            os.unlink(linked)
    except OSError as error:
        return f"cannot be written to ({error.strerror})"
    return ""


def cache(site: SiteConfig, on_slurm: bool) -> Iterator[Finding]:
    """Where decoded pictures are kept, of cells on this machine."""
    if site.cache is None or on_slurm:
        return
    from gta.data.cache import cache_folder, kept  # loads what decodes pictures

    given, most = place(site.cache, "site.cache"), int(site.cache_gb * 1e9)
    folder = cache_folder(site)
    found = list(kept(folder)) if folder else []
    there = next(one for one in (folder or given, *(folder or given).parents) if one.exists())
    used, free = sum(one.size for one in found), shutil.disk_usage(there).free if there.is_dir() else 0
    if not there.is_dir():
        yield problem("site.cache", f"{there} is no folder", "Name another, or none (site.cache=null).")
    elif not os.access(there, os.W_OK | os.X_OK):
        yield problem("site.cache", f"{there} cannot be written to", "Name another folder, or none (site.cache=null).")
    else:
        room = f"{human_bytes(most)} at most, {human_bytes(free)} free"
        less = "; its disk is full before that, and then it stays as it is" if used + free < most else ""
        state = f"{human_bytes(used)} in {len(found)} files" if folder else "made on first use"
        yield ok("site.cache", f"{folder or given}, {state}, {room}{less}")


def notification(site: SiteConfig) -> Iterator[Finding]:
    """Whether the site's way to tell somebody has what it needs; nothing is sent."""
    command = site.notify.strip()
    if command and command not in PRESETS:
        yield ok("notify", f"site.notify is a command of your own, run for: {', '.join(site.notify_on)}")
    elif command and shutil.which("curl") is None:
        yield problem("notify", f"site.notify={command} needs curl, which is not on the PATH", "Install it.")
    elif command and not os.environ.get("GTA_NOTIFY_URL"):
        advice = (
            "export GTA_NOTIFY_URL=$(cat ~/FILE), and the same line in site.setup for jobs that no launcher watches."
        )
        yield problem("notify", f"site.notify={command}: GTA_NOTIFY_URL is not set", advice)
    elif command:
        yield ok("notify", f"{command}, for: {', '.join(site.notify_on)}")


def mlflow(paths: PathsConfig) -> Iterator[Finding]:
    """The tracking store; MLflow itself is not loaded. A store that is down costs no metric: the journals keep them."""
    try:
        uri = store.normal(paths.tracking_uri)
    except UserError as error:
        yield problem("MLflow", str(error), "paths.tracking_uri=sqlite:////path/to/mlflow.db")
        return
    later = "Cells run all the same: `gta sync` brings their journals to it later."
    if (path := store.sqlite_path(uri)) is not None:
        yield _sqlite(path)
        return
    parts = urlsplit(uri)
    shown = masked(uri)
    try:
        if parts.scheme in ("http", "https"):
            with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=SECONDS) as answer:
                yield ok("MLflow", f"{shown} answers ({answer.status})")
        elif parts.scheme.startswith("postgresql"):
            if find_spec("psycopg2") is None and find_spec("psycopg") is None:
                yield problem(
                    "MLflow", f"{shown}: no driver for PostgreSQL is installed", "pip install psycopg2-binary"
                )
                return
            socket.create_connection((parts.hostname or "localhost", parts.port or 5432), timeout=SECONDS).close()
            yield ok("MLflow", f"{shown} takes connections")
        else:
            yield missing("MLflow", f"{shown}: not looked at")
    except OSError as error:
        yield problem("MLflow", f"{shown} does not answer ({getattr(error, 'reason', error)})", later)


def _sqlite(path: Path) -> Finding:
    if not store.exists(f"sqlite:///{path}"):
        return ok("MLflow", f"{path}, made on first use")
    if trouble := sqlite_schema.trouble(path):
        return problem("MLflow", *trouble)
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=SECONDS)) as database:
            runs = database.execute("select count(*) from runs where lifecycle_stage = 'active'").fetchone()[0]
            where = "name = ? and lifecycle_stage = 'deleted'"
            trash = database.execute(f"select 1 from experiments where {where}", (keys.EXPERIMENT,)).fetchone()
    except sqlite3.Error as error:
        return problem("MLflow", f"{path} cannot be asked ({error})", "Try again: another process may be at it.")
    if trash:
        advice = "`gta sync` restores it with its runs; so does `gta table`."
        return problem("MLflow", f"{path}: the experiment {keys.EXPERIMENT!r} is in the trash", advice)
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        advice = "Cells run all the same, and tables are made of their own records; or name another paths.tracking_uri."
        return problem("MLflow", f"{path} cannot be written to", advice)
    return ok("MLflow", f"{path}, {runs} runs")

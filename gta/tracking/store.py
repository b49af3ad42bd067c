"""Opening the MLflow store: its URI, quietly, made once under a lock. MLflow is imported only when needed.

SQLite's store takes about two seconds to make (MLflow runs its migrations) and breaks when two processes make
it at once, or one is ended in the midst of it; hence the lock, and a store is made beside its place and renamed. The
lock is a file beside the store, so that it works for whoever uses the same store.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import logging
import os
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gta import files, locks
from gta.errors import UserError
from gta.masking import masked, refuse_credentials
from gta.tracking import keys, moved, sqlite_schema

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

CONNECT_SECONDS = 5.0  # for a database to answer
LOCK_SECONDS = 60.0  # for another writer, which lets go after some cells; it sends what is missing all the same
_QUIET = ("alembic", "sqlalchemy", "urllib3")  # beside MLflow itself
_SQLITE = "sqlite:///"
_KINDS = (_SQLITE, "http://", "https://", "postgresql", "mysql", "mssql", "databricks")


def normal(uri: str) -> str:
    """The tracking URI with an SQLite path made absolute, and PostgreSQL's driver named.

    Raises UserError for a URI that MLflow cannot write to, without its driver, or with a password or a token in it.
    """
    refuse_credentials(uri)
    if not uri.startswith(_KINDS) or uri.rstrip("/") == "sqlite:":
        raise UserError(
            f"tracking URI {masked(uri)!r} is not one that can be written to: "
            "give sqlite:///FILE, http://HOST:PORT or postgresql://..."
        )
    if uri.startswith("postgresql://"):
        # SQLAlchemy's own choice of a driver differs between its versions
        drivers = [name for name in ("psycopg2", "psycopg") if importlib.util.find_spec(name)]
        if not drivers:
            raise UserError(f"{masked(uri)} needs a PostgreSQL driver: pip install psycopg2-binary.")
        uri = uri.replace("postgresql", f"postgresql+{drivers[0]}", 1)
    path = sqlite_path(uri)
    return uri if path is None else f"{_SQLITE}{path}"


def takes_many_writers(uri: str) -> bool:
    """Whether many processes may write to the store at once: to a server or PostgreSQL, not to an SQLite file."""
    return sqlite_path(uri) is None


def sqlite_path(uri: str) -> Path | None:
    """The store's file, absolute; None when the URI is not SQLite's."""
    if not uri.startswith(_SQLITE):
        return None
    return Path(os.path.abspath(uri.removeprefix(_SQLITE).partition("?")[0]))


def exists(uri: str) -> bool:
    """False when the URI is SQLite's and its file is not there, or empty; what a server holds is not asked."""
    path = sqlite_path(uri)
    with contextlib.suppress(FileNotFoundError):
        return path is None or path.stat().st_size > 0
    return False


@contextlib.contextmanager
def lock(uri: str, folder: Path | None = None, seconds: float | None = None) -> Iterator[None]:
    """One writer at a time: holds a lock file beside the SQLite store (made with its folder where missing).

    For another store the lock is in `folder`, which keeps apart the writers that share that folder. Raises Busy where
    another writer keeps it for `seconds` (None: `LOCK_SECONDS`).
    """
    path = sqlite_path(uri)
    name = hashlib.sha256(uri.encode()).hexdigest()[:8]  # of each store its own: one that hangs holds up no other
    place = path.with_name(path.name + ".lock") if path else folder and folder / f".sync-{name}.lock"
    if place is None:
        yield
        return
    with locks.lock(place, LOCK_SECONDS if seconds is None else seconds, _say_who):
        yield


def _say_who(holder: locks.Holder | None) -> None:
    who = holder or "another process"
    print(f"Waiting for {who}: it writes to MLflow's store, and one does at a time.", file=sys.stderr, flush=True)


def connect(uri: str) -> MlflowClient:
    """A client of the store. Import and opening cost 4 seconds. An SQLite store that is not there is made: call it
    under `lock` then. Raises UserError for an SQLite store that MLflow cannot open, with what to do about it.

    Telemetry is off. MLflow and what it stands on log nothing: what they raise is said once, by who asked.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines a run, on a server
    # A server that is down is found out in seconds: what could not be sent stays in the journals.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    uri = normal(uri)
    _ask_for_a_database(uri)
    path = sqlite_path(uri)
    if path is not None and exists(uri) and (trouble := sqlite_schema.trouble(path)):
        raise UserError(f"{trouble[0]}: {trouble[1]}.")
    from mlflow.tracking import MlflowClient

    logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"].upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if path is not None and not exists(uri):
        _make(path)
    return MlflowClient(uri)


def _make(path: Path) -> None:
    """An SQLite store with MLflow's tables, made beside its place: it is there whole, or not at all."""
    from mlflow.tracking import MlflowClient
    from sqlalchemy import Engine, event

    def hasten(connection: object, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")  # it reaches the disk at the end, and once

    files.remove_leftovers(path)
    for journal in path.parent.glob(f".{path.name}.*.tmp-journal"):
        journal.unlink(missing_ok=True)
    with files.replacing(path) as temporary:
        event.listen(Engine, "connect", hasten)
        try:
            MlflowClient(f"{_SQLITE}{temporary}").search_experiments(max_results=1)
        finally:
            event.remove(Engine, "connect", hasten)


def _ask_for_a_database(uri: str) -> None:
    """Raises OSError where no database takes connections: MLflow would try again for a minute and a half."""
    parts = urlsplit(uri)
    if parts.scheme.startswith("postgresql") and parts.hostname:
        try:
            socket.create_connection((parts.hostname, parts.port or 5432), timeout=CONNECT_SECONDS).close()
        except OSError as error:
            raise OSError(f"{parts.hostname}:{parts.port or 5432} takes no connections ({error})") from None


def experiment_id(
    client: MlflowClient, uri: str, runs: Path | None = None, say: Callable[[str], None] = lambda _: None
) -> str:
    """The id of the project's experiment, made where missing; where it is in the trash it is restored with its runs,
    which is said. Call it under `lock`.

    Artifacts go beside an SQLite store, also where it was moved since (`gta.tracking.moved`), below `runs` for another
    database, and to a server's own place.
    """
    found = client.get_experiment_by_name(keys.EXPERIMENT)
    path = sqlite_path(uri)
    if found is not None:
        if path and (told := moved.follow(path, str(found.experiment_id))):
            say(told)
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
            say(f"MLflow's experiment {keys.EXPERIMENT!r} was in the trash: it is restored, with its runs.")
        return str(found.experiment_id)
    folder = path.parent if path else runs
    # Writing to a database itself, MLflow would put them into the current folder.
    location = moved.location(folder) if folder and not uri.startswith("http") else None
    return str(client.create_experiment(keys.EXPERIMENT, artifact_location=location))


def damage(uri: str) -> str:
    """What is wrong with an SQLite store that can be opened and has not what was sent, and what to do; else empty."""
    path = sqlite_path(normal(uri))
    found = sqlite_schema.damage(path) if path is not None and exists(uri) else None
    return f"{found[0]}: {found[1]}." if found else ""


def create(uri: str) -> None:
    """Make the store and the experiment where missing. UserError for a URI that cannot be written to."""
    uri = normal(uri)
    with lock(uri):
        experiment_id(connect(uri), uri)


def still_so(uri: str, statuses: Mapping[str, str]) -> bool:
    """Whether all of these runs (id -> status) are in the SQLite store so, and not deleted; False for other stores,
    unasked.

    Asks the file itself: this guards the shortcut that does not import MLflow, and whatever is unexpected
    (no file, other tables) answers False, which leads to the long way through MLflow.
    """
    path = sqlite_path(uri)
    if path is None:
        return False
    found: dict[str, str] = {}
    run_ids = list(statuses)
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            for start in range(0, len(run_ids), 500):
                part = run_ids[start : start + 500]
                marks = ",".join("?" * len(part))
                where = f"lifecycle_stage = 'active' and run_uuid in ({marks})"
                found.update(database.execute(f"select run_uuid, status from runs where {where}", part).fetchall())
    except sqlite3.Error:
        return False
    return found == dict(statuses)

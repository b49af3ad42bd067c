"""A real sshd of OpenSSH on loopback, started by the user who runs the tests, with keys of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SERVER = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
HOST = "cluster"
SECONDS = 60  # of a hang, not of a slow machine

DAEMON = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile {folder}/pid
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
LogLevel VERBOSE
"""
CLIENT = """\
Host {host}
    HostName 127.0.0.1
    Port {port}
    User {user}
    IdentityFile {folder}/user
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known
    StrictHostKeyChecking accept-new
    LogLevel ERROR
"""


@dataclass(frozen=True)
class Sshd:
    """`ssh`: the client's program with the options that reach it as HOST; `log`: the daemon's."""

    ssh: str
    log: Path

    def logins(self) -> int:
        return self.log.read_text(errors="replace").count("Accepted publickey")


@contextmanager
def running(folder: Path) -> Iterator[Sshd]:
    """An sshd with its files in `folder`, while entered."""
    assert SERVER is not None
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where root's sshd wants to be confined
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    port = _free_port()
    (folder / "daemon").write_text(DAEMON.format(port=port, folder=folder))
    (folder / "client").write_text(CLIENT.format(port=port, folder=folder, user=getpass.getuser(), host=HOST))
    log = folder / "log"
    daemon = subprocess.Popen([SERVER, "-D", "-f", folder / "daemon", "-E", log])
    made = Sshd(f"ssh -F {folder}/client", log)
    try:
        deadline = time.monotonic() + SECONDS
        while not log.exists() or "Server listening" not in log.read_text():
            assert daemon.poll() is None, f"sshd ended: {log.read_text() if log.exists() else ''}"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield made
    finally:
        daemon.terminate()
        daemon.wait()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])

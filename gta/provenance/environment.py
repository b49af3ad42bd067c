"""Which code made a number, on which machine, with which versions."""

from __future__ import annotations

import getpass
import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from gta.provenance import code

# What a number can depend on, or the running of a cell.
PACKAGES = (
    "torch", "numpy", "opencv-python-headless", "pillow", "hydra-core", "omegaconf", "submitit",
    "hydra-submitit-launcher", "mlflow", "pandas", "safetensors", "timm", "torchvision",
)  # fmt: skip
TREE = "tree:"  # before the digest of code that git tells no commit of
NVIDIA = Path("/proc/driver/nvidia/version")


def commit() -> str | None:
    """The git commit of this code; where the code differs from it, `+` and 8 digits of the code's own digest follow:
    two runs of one commit with different uncommitted changes must not pass for runs of the same code.

    Where git tells no commit (a tarball, a checkout of another user's, no git) it is `tree:` and these 8 digits. In a
    snapshot that was made when a job was submitted it is the commit of then.
    """
    return commit_of(code.running())


def commit_of(found: Mapping[str, Any]) -> str | None:
    """As `commit`, of the code that an `environment` names; None where that has neither commit nor digest."""
    tree = str(found.get("tree") or "")[:8]
    if found.get("commit") is None:
        return f"{TREE}{tree}" if tree else None
    return f"{found['commit']}+{tree}" if found.get("dirty") else str(found["commit"])


def environment() -> dict[str, Any]:
    """Code, versions and machine of this process, for an attempt's record: in a tenth of a second, without raising.

    commit, dirty, tree (digest of the code), snapshot (its folder, or None); python, packages (name -> version) and
    platform; host, user, cpu, cores (those this process may use); gpus (the names of those it sees), driver, cuda,
    cudnn. What is not there, or does not tell, is None.
    """
    found: dict[str, Any] = {}
    for part in (_code, _software, _machine, _gpus):
        try:
            found |= part()
        except Exception as error:  # a record is no reason to lose an attempt
            found.setdefault("problems", []).append(f"{part.__name__.strip('_')}: {type(error).__name__}: {error}")
    return found


def _code() -> dict[str, Any]:
    return dict(code.running())


def _software() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := version_of(name)) is not None},
        "platform": platform.platform(),
    }


def version_of(package: str) -> str | None:
    """The installed version of a package; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _machine() -> dict[str, Any]:
    user = None
    with suppress(KeyError, OSError):  # a container without names of users
        user = getpass.getuser()
    machine = {"host": socket.gethostname(), "user": user, "cpu": cpu_model()}
    return {**machine, "cores": len(os.sched_getaffinity(0))}


def cpu_model() -> str | None:
    """Such as "AMD EPYC 7742 64-Core Processor"."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(errors="replace"), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else (platform.processor() or platform.machine() or None)


def _gpus() -> dict[str, Any]:
    """As torch sees them: it is loaded where a cell is trained, and asking it is quicker than nvidia-smi."""
    absent: dict[str, Any] = {"gpus": [], "driver": None, "cuda": None, "cudnn": None}
    torch = sys.modules.get("torch")
    if torch is None:
        return absent
    found = {**absent, "cuda": torch.version.cuda}
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        found |= {"gpus": names, "driver": driver_version(), "cudnn": torch.backends.cudnn.version()}
    return found


def driver_version() -> str | None:
    """The version of the NVIDIA driver: from the kernel, or from nvidia-smi where a container hides that."""
    try:
        if found := re.search(r"Kernel Module.*?\s(\d+(?:\.\d+)+)\s", NVIDIA.read_text()):
            return found[1]
    except OSError:
        pass
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, errors="replace", timeout=5)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.split("\n")[0].strip() or None if answer.returncode == 0 else None

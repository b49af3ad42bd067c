"""How many jobs a user may have in the queue: the limits of the association, of the QOS, and of the cluster."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator
from dataclasses import dataclass

from launch.slurm import cluster

_DEEPEST = 8  # accounts above an account


@dataclass(frozen=True)
class Limit:
    """The most jobs that may be held at a time, the tasks of arrays counted; `where`: association vision, QOS long."""

    most: int
    name: str
    where: str

    def __str__(self) -> str:
        return f"{self.name} {self.most} ({self.where})"


def submit_limits(account: str | None, qos: str | None, partition: str | None) -> list[Limit]:
    """Those that hold for jobs with these options of this user; none where none is set, or nobody answers."""
    held = cluster.config().get("AccountingStorageEnforce", "")
    found = []
    if any(word in held for word in ("limits", "safe", "all")):
        found = [*_of_association(account), *_of_qos(account, qos, partition)]
    most = cluster.config().get("MaxJobCount", "")
    if most.isdigit():
        found.append(Limit(int(most), "MaxJobCount", "jobs of all users"))
    return found


def _rows(*words: str) -> list[list[str]]:
    """Rows of sacctmgr's answer; none where there is no accounting, or it does not answer."""
    answer = cluster.ask("sacctmgr", "--noheader", "--parsable2", "list", *words) if cluster.accounting_on() else None
    return [line.split("|") for line in (answer or "").splitlines()]


def _association(account: str | None) -> list[str] | None:
    """Account, most jobs, the account's, and default QOS of this user's association; None where there is none."""
    user = getpass.getuser()
    if account is None:
        account = next((row[0] for row in _rows("users", user, "format=DefaultAccount")), None)
    name = cluster.config().get("ClusterName", "")
    rows = _rows(
        "associations", f"cluster={name}", f"users={user}", "format=Account,MaxSubmit,GrpSubmit,DefaultQOS,Partition"
    )
    mine = [row for row in rows if row[0] == account]
    return min(
        mine, key=lambda row: bool(row[4]), default=None
    )  # one of a Slurm partition only where there is no other


def _of_association(account: str | None) -> Iterator[Limit]:
    mine = _association(account)
    if mine is None:
        return
    yield from _limit(mine[1], "MaxSubmitJobs", f"association {mine[0]}")
    yield from _limit(mine[2], "GrpSubmitJobs", f"association {mine[0]}")
    name, seen = mine[0], 0
    cluster_name = cluster.config().get("ClusterName", "")
    while name and seen < _DEEPEST:
        rows = _rows("associations", f"cluster={cluster_name}", f"accounts={name}", "format=User,GrpSubmit,ParentName")
        above = next((row for row in rows if not row[0]), None)
        if above is None:
            return
        yield from _limit(above[1], "GrpSubmitJobs", f"account {name}")
        name, seen = above[2], seen + 1


def _of_qos(account: str | None, qos: str | None, partition: str | None) -> Iterator[Limit]:
    mine = _association(account)
    wanted = {qos or (mine[3] if mine else "") or "normal", _qos_of(partition)} - {""}
    format = "format=Name,MaxSubmitJobsPerUser,MaxSubmitJobsPerAccount,GrpSubmitJobs"
    for row in _rows("qos", f"names={','.join(sorted(wanted))}", format):
        yield from _limit(row[1], "MaxSubmitJobsPerUser", f"QOS {row[0]}")
        yield from _limit(row[2], "MaxSubmitJobsPerAccount", f"QOS {row[0]}")
        yield from _limit(row[3], "GrpSubmitJobs", f"QOS {row[0]}")


def _qos_of(partition: str | None) -> str:
    """The QOS that a Slurm partition (None: the default one) puts on its jobs; empty where it has none."""
    for line in (cluster.ask("scontrol", "show", "partition", "--oneliner") or "").splitlines():
        fields = dict(re.findall(r"(\w+)=(\S+)", line))
        mine = fields.get("Default") == "YES" if partition is None else fields.get("PartitionName") == partition
        if mine:
            found = fields.get("QoS", "N/A")
            return "" if found in ("N/A", "(null)") else found
    return ""


def _limit(text: str, name: str, where: str) -> Iterator[Limit]:
    if text.isdigit():
        yield Limit(int(text), name, where)

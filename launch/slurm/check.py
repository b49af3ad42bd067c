"""Slurm and the site profile, for `gta doctor`: does the cluster have what the site asks of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator

from gta.compose import sbatch
from gta.config import SiteConfig
from gta.finding import Finding, missing, ok, problem
from launch.slurm import cluster
from launch.slurm import commands as slurm
from launch.slurm.cluster import Partition
from launch.slurm.limits import submit_limits

LEAST_SECONDS = 60  # between a job's start and its warning: Slurm may send the warning early by so much
SBATCH_SECONDS = 10.0


def check_site(config: SiteConfig, name: str, launcher: str) -> Iterator[Finding]:
    """The chosen site by itself: what contradicts itself, or would waste what is paid for."""
    sbatch.check_site(config)
    gpus = sbatch.gpus_per_node(config)
    kind = f"{config.gpu_type} " if config.gpu_type else ""
    shown = f"{name}, launcher {launcher}: {config.nodes} x {config.ranks} ranks, {config.cpus_per_rank} CPUs a rank"
    yield ok("site", shown + (f", {gpus} {kind}GPUs a node" if gpus else "") + f", {config.time_limit} minutes")
    if gpus and config.ranks > gpus:
        yield problem(
            "site", f"site.ranks={config.ranks} on site.gpus_per_node={gpus}: NCCL wants a GPU for each rank",
            f"site.gpus_per_node={config.ranks}, or site.ranks={gpus}",
        )  # fmt: skip
    elif gpus and gpus > config.ranks:
        yield missing(
            "site", f"work for {gpus - config.ranks} of the {gpus} GPUs a node: site.ranks={config.ranks}",
            f"site.ranks={gpus}, or site.gpus_per_node={config.ranks}, unless the cluster gives whole nodes only.",
        )  # fmt: skip
    if launcher == "slurm" and config.time_limit * 60 < config.warning_seconds + 2 * LEAST_SECONDS:
        yield problem(
            "site", f"site.time_limit={config.time_limit} leaves a job no time before its warning",
            f"site.time_limit={-(-(config.warning_seconds + 2 * LEAST_SECONDS) // 60)} or more, or less "
            "site.warning_seconds",
        )  # fmt: skip
    if launcher == "slurm" and config.device == "cpu" and gpus:
        yield problem("site", f"site.device=cpu, and {gpus} GPUs a node are asked for", "site.gpus_per_node=null")
    for what, folder in (("site.stage", config.stage), ("site.cache", config.cache)):
        if folder and (what == "site.stage" or launcher == "slurm"):
            yield ok(what, f"{folder}, as the node expands it; made and looked at by the jobs")


def check_cluster(config: SiteConfig, launcher: str, script: Callable[[], str]) -> Iterator[Finding]:
    """The controller, its limits and accounting, the site's Slurm partition, and what sbatch says to such a job.

    `script`: makes the one by which a cell is sent.
    """
    wanted = launcher == "slurm"
    absent = problem if wanted else missing
    if not slurm.installed():
        yield absent("Slurm", "its programs are not on the PATH", "Run on a login node, or use hydra/launcher=local.")
        return
    if not slurm.available():
        yield absent(
            "Slurm", "the programs are here, and no controller answers",
            "Is this a login node? `scontrol ping` and SLURM_CONF tell more; or hydra/launcher=local.",
        )  # fmt: skip
        return
    settings = cluster.config()
    inside = f", inside job {os.environ['SLURM_JOB_ID']}" if "SLURM_JOB_ID" in os.environ else ""
    yield ok("Slurm", f"{settings.get('SLURM_VERSION', 'unknown version')}, {settings.get('ClusterName', '?')}{inside}")
    yield _arrays()
    yield _accounting()
    known = cluster.partitions()
    yield ok("Slurm", f"Slurm partitions: {'; '.join(_shown(found) for found in known.values()) or 'none is shown'}")
    if wanted:
        yield _submit_limits(config)
        yield from _partition(config, known)
        yield _test_only(script())


def _shown(found: Partition) -> str:
    limit = "no time limit" if found.max_minutes is None else f"{found.max_minutes} minutes"
    gpus = f", {found.gpus_per_node} GPUs a node" if found.gpus_per_node else ""
    return f"{found.name}{' (default)' * found.default}{' (down)' * (not found.up)} {found.nodes} nodes{gpus}, {limit}"


def _arrays() -> Finding:
    size = cluster.max_array_size()
    if size < 2:
        return problem("Slurm", f"MaxArraySize={size}: no job arrays", "Ask the cluster's administrators for arrays.")
    return ok("Slurm", f"MaxArraySize {size}: a larger sweep is sent in several arrays")


def _accounting() -> Finding:
    if not cluster.accounting_on():
        return missing(
            "accounting", "off: sacct knows nothing", "Nothing to do: the cells' folders and heartbeats tell."
        )
    if cluster.ask("sacct", "--noheader", "--allocations", "--format=JobID") is None:
        return missing(
            "accounting", "on, but sacct does not answer", "The cells' folders and heartbeats tell meanwhile."
        )
    return ok("accounting", "on: sacct tells how jobs ended")


def _submit_limits(config: SiteConfig) -> Finding:
    """How many jobs this user may have in the queue."""
    given = sbatch.words(config.sbatch)
    names = [given.get(name, getattr(config, name)) for name in ("account", "qos", "partition")]
    limits = sorted(submit_limits(*names), key=lambda limit: limit.most)
    if not limits:
        return missing("submit limits", "none is set, or nobody tells", "Nothing to do: a refusal for one is heard.")
    shown = ", ".join(map(str, limits))
    if limits[0].most == 0:
        return problem("submit limits", shown, "Another site.account or site.qos: no job is taken with this one.")
    return ok("submit limits", f"{shown}: of a larger sweep the rest is sent as jobs end")


def _partition(config: SiteConfig, known: dict[str, Partition]) -> Iterator[Finding]:
    """The site against its Slurm partition."""
    found = cluster.partition(config.partition)
    if found is None:
        named = f"site.partition={config.partition} is not there" if config.partition else "there is no default one"
        yield problem(
            "Slurm partition", named, f"site.partition= one of {', '.join(known) or '(none is shown to you)'}"
        )
        return
    what = f"Slurm partition {found.name}"
    limits: list[tuple[str, int | None, int | None]] = [
        ("time_limit", config.time_limit, found.max_minutes),
        ("gpus_per_node", sbatch.gpus_per_node(config), found.gpus_per_node),
        ("nodes", config.nodes, found.nodes or None),
        ("cpus_per_rank", config.cpus_per_rank, found.cpus_per_node and found.cpus_per_node // config.ranks),
        ("mem_gb", config.mem_gb, found.memory_mb_per_node and found.memory_mb_per_node // 1024),
    ]
    wrong = [row for row in limits if row[1] is not None and row[2] is not None and row[1] > row[2]]
    if not found.up:
        yield problem(what, "is down", "Another site.partition, or wait: jobs queue till it is up.")
    for name, asked, most in wrong:
        yield problem(what, f"site.{name}={asked}, and it gives at most {most}", f"site.{name}={most}")
    if found.up and not wrong:
        yield ok(what, "has what the site asks for")
    mode = found.preempt_mode
    if mode == "REQUEUE":
        yield ok(what, f"preempts: jobs are queued again and go on; {found.grace_seconds} s to save")
    elif mode == "CANCEL":
        yield ok(what, f"preempts by cancelling: multirun submits such cells again; {found.grace_seconds} s to save")
    elif mode not in ("OFF", ""):
        yield missing(what, f"PreemptMode={mode}: cells are stopped and go on in place", "Nothing to do.")


def _test_only(script: str) -> Finding:
    """sbatch --test-only: account, qos, constraint and all else as the cluster sees them. Nothing is submitted."""
    command = ["sbatch", "--test-only"]
    try:
        with slurm.outside_of_jobs():
            answer = subprocess.run(
                command, input=script, capture_output=True, errors="replace", timeout=SBATCH_SECONDS
            )
    except (OSError, subprocess.SubprocessError) as error:
        return problem("sbatch", f"does not answer ({type(error).__name__})", "Try again; the controller may be busy.")
    said = " ".join(answer.stderr.replace("sbatch: ", "").split())
    if answer.returncode:
        said = said.replace("allocation failure: ", "").replace("error: ", "")
        return problem(
            "sbatch", f"refuses a job of this site ({said})", "Mend the site: its words are sbatch's options."
        )
    return ok("sbatch", f"takes a job of this site: {said}")

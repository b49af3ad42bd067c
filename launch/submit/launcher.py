"""From a grid to jobs: submits what is missing, watches until it is over, and says what came of it.

The folders of the cells are the truth; a job's own word counts for nothing. So a second launcher on the same grid,
or one started after this one was killed, simply looks at the folders and goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf

from gta import recipe
from gta.cell import Cell
from gta.compose.sbatch import words
from gta.config import SiteConfig
from gta.errors import UserError
from gta.sweep import Sweep
from launch.grid import grid
from launch.notify.news import News, of_launcher
from launch.show.board import Board
from launch.show.words import summary
from launch.slurm import commands as slurm
from launch.state import setup
from launch.state.jobs import Silent
from launch.state.ledger import Entry, State
from launch.submit import code, price
from launch.submit import recorder as record
from launch.submit.after import After, after
from launch.submit.interrupt import Interrupt
from launch.submit.selection import Selection
from launch.submit.spending import Spending
from launch.submit.watch import Cluster, Watch

POLL_SECONDS = {"local": 0.5, "slurm": 5.0}


@dataclass(frozen=True)
class Options(Selection):
    """How a grid is run, as said on the command line: which cells of it, and how."""

    wait: bool = True
    budget: float | None = None  # GPU-hours above which nothing is submitted
    after: tuple[str, ...] = ()  # names of cells that have to be done before

    @classmethod
    def pop(cls, params: dict[str, Any]) -> Options:
        """Takes them out of a launcher's parameters. Raises UserError for words that mean nothing."""
        given = {field.name: params.pop(field.name) for field in fields(cls)}
        names = {name: tuple(given[name]) for name in ("cells", "states", "methods", "after")}
        return cls(**{**given, **names})


@dataclass
class LaunchReport:
    """What came of a grid, for people."""

    entries: list[Entry]
    sweep: Sweep
    interrupted: bool = False
    detached: bool = False
    nothing: bool = False  # there was nothing to run again, and nothing was done
    written: bool = True  # MLflow has all of it

    @property
    def missing(self) -> list[Entry]:
        """The cells without a result."""
        return [entry for entry in self.entries if entry.state is not State.DONE]

    @classmethod
    def of(cls, reports: Sequence[LaunchReport]) -> LaunchReport:
        """Of several launches (an optimising sweeper makes one after the other), as of one."""
        last = {entry.cell.signature: entry for report in reports for entry in report.entries}
        named = grid.distinct([entry.cell for entry in last.values()])
        return cls(
            [replace(last[cell.signature], cell=cell) for cell in named],
            reports[0].sweep,
            any(report.interrupted for report in reports),
            any(report.detached for report in reports),
            all(report.nothing for report in reports),
            reports[-1].written,
        )


@contextmanager
def reports() -> Iterator[list[LaunchReport]]:
    """While entered, `launch` leaves its reports in this list: Hydra's sweepers hand back what they like."""
    global _reports
    before, _reports = _reports, []
    try:
        yield _reports
    finally:
        _reports = before


_reports: list[LaunchReport] = []


def launch(launcher: Any, job_overrides: Sequence[Sequence[str]]) -> list[JobReturn]:
    """What both Hydra launchers do: make the cells, run what is missing, record it. One return for each job.

    A return's value is the cell's score (mIoU in percent of the headline network at the last iteration); that of a cell
    without a result is an error that says why. `launcher` is a hydra-submitit-launcher instance: its `params` describe
    the executor.
    """
    master = launcher.config
    jobs = grid.of_jobs(launcher.hydra_context.config_loader, master, job_overrides)
    cells = grid.distinct(jobs)
    params = dict(launcher.params)
    options = Options.pop(params)
    in_slurm = launcher._EXECUTOR == "slurm"
    if options.after and not in_slurm:
        raise UserError("--after is for Slurm: on this machine run those first (--cells), then the others.")
    cluster = _slurm(master, cells, after(options.after, cells)) if in_slurm else local_cluster(params, cells)
    if cluster.name == "local" and not options.wait:
        raise UserError("--no-wait is for Slurm: on this machine the cells live as long as this command.")
    optimising = str(master.hydra.sweeper._target_).rsplit(".", 1)[-1] != "GridSweeper"
    if optimising and not options.wait:
        raise UserError("--no-wait does not go with hydra/sweeper=...: one that learns from scores waits for them.")
    sweep = grid.sweep_of(master)
    report = run(cells, cluster, sweep, options, POLL_SECONDS[cluster.name], more=optimising)
    _reports.append(report)
    if optimising and report.interrupted:
        raise KeyboardInterrupt  # it would ask for more cells
    entries = {entry.cell.signature: entry for entry in report.entries}
    return [job_return(entries[cell.signature], words, master) for cell, words in zip(jobs, job_overrides, strict=True)]


def job_return(entry: Entry, overrides: Sequence[str], master: DictConfig) -> JobReturn:
    """What a sweeper of Hydra is told of a cell: completed with its score, failed with the reason, or unknown."""
    cell = entry.cell
    made = JobReturn(
        overrides=list(overrides), hydra_cfg=master, working_dir=str(cell.folder.path), task_name=cell.title
    )
    if entry.state is State.DONE:
        made.status, made.return_value = JobStatus.COMPLETED, entry.miou
    elif entry.state not in (State.RUNNING, State.QUEUED):
        made.status, made.return_value = JobStatus.FAILED, UserError(f"{cell.title}: {entry.reason}")
    return made


def run(
    cells: list[Cell], cluster: Cluster, sweep: Sweep, options: Options, poll: float, more: bool = False
) -> LaunchReport:
    """Submit what is missing, and watch until no cell waits or runs.

    Ctrl-C ends the jobs that this process holds, saved, and leaves those that Slurm holds alone. `more`: other cells of
    the sweep will follow, so that the end of these is not told as its end.
    """
    with of_launcher(cells, sweep, more) as news:
        report = _run(cells, cluster, sweep, options, poll, news)
        if not (report.interrupted or report.detached or report.nothing or more):
            news.end(report.entries)
        return report


def _run(cells: list[Cell], cluster: Cluster, sweep: Sweep, options: Options, poll: float, news: News) -> LaunchReport:
    board = Board()
    watch = Watch(cells, cluster, options)
    watch.heard = lambda entries: news.look(entries, watch.retry, watch.never_start)
    wanted = watch.wanted(watch.first)
    if options.again and not wanted:
        if watch.doubt:
            raise Silent(watch.doubt)
        return LaunchReport(watch.first, sweep, nothing=True)
    check_data(wanted)
    record.prepare(cells, sweep)
    for entry in wanted if options.again else ():
        board.console.print(f"again: {entry.cell.title} ({entry.cell.signature[:8]}), {entry.reason}", markup=False)
    board.console.print(f"{sweep.title}: {summary(watch.first)}", markup=False)
    if wanted:
        board.console.print(recipe.line(entry.cell.config for entry in wanted), markup=False, soft_wrap=True)
        board.console.print(price.describe(wanted, watch.first), markup=False, soft_wrap=True)
        _within_budget(wanted, watch.first, options.budget, news)
    spending = Spending(wanted, options.budget, board.rows)
    recorder = record.Recorder(cells, sweep)
    interrupted = detached = False
    with board, Interrupt() as ctrl_c:
        try:
            while True:
                entries = watch.turn(comes_again=options.wait)
                board.show(entries, watch.silence)
                if watch.over(entries):
                    break
                if not options.wait:
                    if watch.silence:
                        raise Silent(watch.silence)
                    detached = True  # a turn that submits looks once more
                    break
                recorder.sometimes(entries)
                if said := spending.used_up(entries):
                    board.console.print(said, markup=False, soft_wrap=True)
                    news.budget(said, spending.budget, wanted)
                ctrl_c.check()
                time.sleep(poll)
        except KeyboardInterrupt:
            interrupted, detached = True, cluster.name == "slurm"
            entries = watch.look() if detached else watch.stop()
        except OSError:  # a full disk, say: no cell of ours goes on without who watches it
            watch.stop()
            raise
    written = recorder.now()
    return LaunchReport(entries, sweep, interrupted, detached, written=written)


def _within_budget(wanted: Sequence[Entry], grid: Sequence[Entry], budget: float | None, news: News) -> None:
    """Raises UserError where the cells cost more than that, which is told, too."""
    try:
        price.refuse(wanted, budget, grid)
    except UserError as error:
        assert budget is not None
        news.budget(str(error), budget, wanted)
        raise


def check_data(wanted: Sequence[Entry]) -> None:
    """Raise UserError, before anything is submitted, where the masks of a cell's lists lack a class, or images need a
    range. A file that is broken stops its own cell alone, which says so.
    """
    from gta.data.pictures import UndeclaredRange
    from gta.data.present import ClassAbsent, check_scored

    looked: set[tuple[int, str, int, str]] = set()  # cells of one grid share their splits
    for cell in (entry.cell for entry in wanted if not entry.cell.folder.has_checkpoint):
        config = cell.config
        data = (id(cell.split), repr(config.data), config.schedule.eval_images, repr(config.evaluation))
        if data in looked:
            continue
        looked.add(data)
        try:
            check_scored(config, cell.split)
        except (ClassAbsent, UndeclaredRange):
            raise
        except UserError:
            continue


def local_cluster(
    params: dict[str, Any], cells: Sequence[Cell], job: Callable[[str], Callable[[], str]] | None = None
) -> Cluster:
    """This machine for these cells, by the launcher's parameters, which lose `at_once`; `job`: see `LocalCluster`."""
    from launch.submit.local import LocalCluster, gpus_here

    if image := next((cell.config.site.container for cell in cells if cell.config.site.container), None):
        raise UserError(
            f"site.container={image} is for jobs of Slurm: say hydra/launcher=slurm, or site.container=null for what "
            "is installed here."
        )

    at_once = params.pop("at_once")
    threads = max(cell.config.num_threads for cell in cells)
    gpus = 0 if all(cell.config.site.device == "cpu" for cell in cells) else gpus_here()
    packed = min(cell.config.site.cells_per_gpu for cell in cells)
    return LocalCluster(params, at_once, threads, gpus, packed, job)


def _slurm(master: DictConfig, cells: Sequence[Cell], after: After) -> Cluster:
    """Raises UserError where there is no Slurm, or where cells cannot share a GPU. One that is silent is waited for."""
    from launch.submit.slurm_array import SlurmCluster

    if not slurm.configured():
        raise UserError("No Slurm is set up here: run this on a login node, or use hydra/launcher=local.")
    for site in (cell.config.site for cell in cells):
        if site.cells_per_gpu > 1 and (ranks := site.ranks * site.nodes) > 1:
            raise UserError(
                f"site.cells_per_gpu={site.cells_per_gpu} packs cells of one rank; these have {ranks} ranks: use "
                "site.ranks=1 site.nodes=1, or site.cells_per_gpu=1."
            )
    runs = Path(cells[0].config.paths.runs)
    sweep = runs / "sweeps" / str(master.sweep_name)
    return SlurmCluster(partial(slurm_params, master), sweep, lambda: code.take(sweep / "code").path, after=after)


def slurm_params(master: DictConfig, site: SiteConfig) -> dict[str, Any]:
    """hydra-submitit-launcher's parameters for cells of this site: what differs between clusters comes from it."""
    config = OmegaConf.create(OmegaConf.to_container(master, resolve=False))
    config.site = asdict(site)
    params = OmegaConf.to_container(config.hydra.launcher, resolve=True)
    assert isinstance(params, dict)
    made = {str(key): value for key, value in params.items()}
    for name in ("_target_", *(field.name for field in fields(Options))):
        made.pop(name)
    if site.gpu_type and site.gpus_per_node:
        made["gpus_per_node"] = f"{site.gpu_type}:{site.gpus_per_node}"
    # lists and mappings: Hydra composes them before the site that an interpolation would name
    lines = [*(made["setup"] or []), *site.setup]
    made["setup"] = setup.watched(lines) if site.setup_must_succeed else lines
    made["additional_parameters"] = {**words(site.sbatch), **words(made["additional_parameters"])}
    return made

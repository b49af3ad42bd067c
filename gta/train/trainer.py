"""The loop: cadence, logging, evaluation, checkpoint, resume. It knows no method."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from gta import evaluations, progress, seeds
from gta.cell import Cell
from gta.cellfolder import NewOrder, Score
from gta.data.loaders import train_loader
from gta.errors import Diverged
from gta.journal import CUT_BACK, Journal
from gta.methods.base import Method
from gta.ops import distributed
from gta.ops.optim import encoder_lr
from gta.provenance.environment import commit
from gta.provenance.monitor import SystemMonitor
from gta.text import first_line
from gta.train import checkpoint, divergence, kernels, order
from gta.train.ahead import on_device
from gta.train.artifacts import write_artifacts
from gta.train.control import Control, Request
from gta.train.evaluate import Counts, count, examples, score
from gta.train.outcome import result_of
from gta.train.place import place
from gta.train.pseudo import quality
from gta.train.record import record_of
from gta.train.waiting import Waiting
from gta.train.writer import Writer


class Trainer:
    """Trains one cell in its folder, from the beginning or from its last checkpoint.

    What is random in a step (dropout) is drawn by (seed, iteration), as loading is by (seed, iteration, position):
    there is no generator whose state could be lost, and a resumed run is the uninterrupted one.
    """

    def __init__(self, cell: Cell, method: Method, device: torch.device, control: Control):
        self.config = cell.config
        self.folder = cell.folder
        self.signature = cell.signature
        self.split = cell.split
        self.method = method
        self.device = device
        self.control = control
        self.first = distributed.rank() == 0
        if self.first:
            control.check()
        self.journal = Journal(self.folder.journal_file) if self.first else None
        self.commits = [commit()]  # of the code that runs now, though a commit may follow while it does
        self.best: dict[str, Score] = {}
        self.scores: dict[str, Score] = {}
        self.orders: list[NewOrder] = []  # of the batches, where it is not the first alone
        self.saved: int | None = None  # iteration of the last checkpoint
        self.kept: dict[str, Any] = {}  # what it holds besides networks and optimizers; of rank 0
        self.seconds_before = 0.0
        self.began = time.monotonic()
        self.system = SystemMonitor(device)
        self.waiting = Waiting()
        self.agreement = distributed.Agreement()
        self.writer = Writer(self.config.site.save_behind)

    def run(self) -> bool:
        """Train to the end: True. False where the outside asked to stop; then everything is saved."""
        with self.writer:  # however it ends, no write is left half done
            return self._run()

    def _run(self) -> bool:
        schedule = self.config.schedule
        if self.first:  # an attempt that was killed in the middle of a save leaves a large file behind
            checkpoint.remove_what_a_kill_left(self.folder)
        start = self._resume()
        self.control.began(start)
        self._begin_order(start)
        every = self.split.labeled + self.split.unlabeled
        split = replace(self.split, labeled=every) if self.method.uses_all_labels else self.split
        loader = train_loader(
            self.config, split, distributed.world_size(), distributed.rank(), start,
            strong=self.method.strong_views, unlabeled=self.method.uses_unlabeled, orders=order.pairs(self.orders),
            pinned=self.device.type == "cuda",
        )  # fmt: skip
        batches = zip(range(start, schedule.iterations), on_device(self.waiting.over(loader), self.device), strict=True)
        steps = progress.steps(batches, "training", schedule.iterations, done=start, silent=True)
        for iteration, (labeled, unlabeled) in steps:
            torch.manual_seed(seeds.step(self.config.seed, iteration, distributed.rank()))
            with kernels.in_a_step(self.config, self.device):
                losses = self.method.step(labeled, unlabeled, iteration)
            self.writer.check()
            done, last = iteration + 1, iteration + 1 == schedule.iterations
            if done % schedule.log_every == 0 or last:
                self._log(done, losses)
            self.waiting.step_ends()
            if done % schedule.eval_every == 0 and not last:
                self._evaluate(done)
            scored_next = (done + 1) % schedule.eval_every == 0 or done + 1 == schedule.iterations  # takes long
            request = self.agreement.highest(self.control.request(), now=scored_next)
            if done % schedule.checkpoint_every == 0 or last or request >= Request.SAVE:
                self._save(done)
            if last or request >= Request.SAVE:
                self.writer.wait()
                self.control.answered()
            if request >= Request.STOP and not last:
                self._event("stopped", iteration=done)
                return False
        # all of the training is on disk: what fails from here on is tried again by itself
        counts = self._evaluate(schedule.iterations)
        self._save(schedule.iterations)
        self.writer.wait()
        self._write_artifacts(schedule.iterations, counts)
        self._finish()
        return True

    def _resume(self) -> int:
        """The iteration that training goes on from."""
        here = place(self.config, self.device, self.commits[-1])
        state = self._last_good() if self.first else None
        if not distributed.broadcast_object(state is not None):  # one rank decides: a network file system may lag
            if self.first:
                evaluations.forget(self.folder)  # of a training whose checkpoints somebody removed
            self._event("started", iteration=0, **here)
            return 0
        path = self.folder.checkpoint_file
        if state is None:
            state = checkpoint.load(path, self.device)
        checkpoint.check_owner(path, state, self.signature)
        with checkpoint.fitting(path):
            self.method.load_state_dict(state["method"])
            self.best = {name: Score(**score) for name, score in state["best"].items()}
            self.scores = {name: Score(**score) for name, score in state["scores"].items()}
            self.seconds_before = state["seconds"]
            self.commits = list(dict.fromkeys([*state["commits"], *self.commits]))
            self.orders = [NewOrder(**one) for one in state.get("orders", ())]
            self.saved = int(state["iteration"])
        self._event("resumed", iteration=self.saved, **here)
        return self.saved

    def _begin_order(self, start: int) -> None:
        """Go on with other batches, where that was asked for; the journal's later iterations count no more."""
        if self.journal:
            self.control.check()
            self.orders, begun = order.begin(self.folder, self.orders, start)
            if begun:
                evaluations.forget(self.folder)
                forgotten = order.forget_best(self.folder, start)
                self._event("new order", iteration=start, order=begun.number, by=begun.by, best_forgotten=forgotten)
                self._event(CUT_BACK, iteration=start)
                self.journal.flush()
            order.keep(self.folder, self.orders)  # last: a kill before it asks for the same again
        self.orders = distributed.broadcast_object(self.orders)

    def _last_good(self) -> dict[str, Any] | None:
        """The last checkpoint that holds what was written, now in the last one's place; None where there is none at
        all. What of the journal came after it, where the last one is broken, counts no more.
        """
        if not self.folder.has_checkpoint:
            return None
        broken: list[str] = []
        state, path = checkpoint.last_good(self.folder, broken.append, self.device)
        checkpoint.check_owner(path, state, self.signature)
        self.control.check()
        for what in broken:
            self._event("broken checkpoint", what=what)
            self._event(CUT_BACK, iteration=int(state["iteration"]))
        checkpoint.keep_good(self.folder, path)
        return state

    def _save(self, iteration: int) -> None:
        """Write the checkpoint, behind the training. Raises Diverged, and writes nothing, where it is not finite."""
        self.writer.wait()  # first: what went wrong there is told before any rank says that it diverged
        if broken := divergence.of_state(self.method):
            raise self._diverged(f"not finite: {broken}", iteration)
        if not self.journal:
            self.saved = iteration
        else:
            self.control.check()
            self.journal.flush()  # first: a resumed run does not make again what the checkpoint holds
            self.kept = {
                "signature": self.signature,
                "iteration": iteration,
                "best": {name: asdict(score) for name, score in self.best.items()},
                "scores": {name: asdict(score) for name, score in self.scores.items()},
                "seconds": self._seconds(),
                "commits": self.commits,
                "orders": order.plain(self.orders),
            }
            self.writer.write({**self.kept, "method": self.method.state_dict()}, self._write)

    def _write(self, state: dict[str, Any]) -> None:
        """In the writer's thread: the checkpoint, and the word that it is there."""
        checkpoint.save(self.folder.checkpoint_file, state, self.folder.previous_checkpoint_file, self.control.check)
        if self.saved != state["iteration"]:  # else the same once more, with the last scores
            self.saved = state["iteration"]
            self.control.saved(state["iteration"])

    def _diverged(self, what: str, iteration: int) -> Diverged:
        """What ends a run whose numbers are not finite any more, with what is known of it and what to do."""
        self.writer.wait()
        return divergence.error(what, iteration, self._lr(iteration), self.saved)

    def _log(self, iteration: int, losses: dict[str, Tensor]) -> None:
        world = distributed.world_size()
        stacked = torch.stack([value.detach().float().reshape(()) for value in losses.values()])
        means = (distributed.all_reduce_sum(stacked) / world).tolist()
        self.waiting.step_ends()  # a GPU has done all that was asked of it
        values = dict(zip(losses, means, strict=True))
        for name, value in values.items():
            if name.startswith("loss") and not math.isfinite(value):
                self.writer.wait()  # its error is rank 0's alone: the other ranks wait for it in the next line
                where = divergence.of_state(self.method)
                raise self._diverged(
                    f"{name} is {value}, " + (f"not finite: {where}" if where else "all networks are finite"), iteration
                )
        if self.journal:
            self.control.check()
            about = {"lr": self._lr(iteration), **self._about(), **self.system.sample()}
            self.journal.metrics(iteration, {**values, **about})
            shown = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
            print(f"iteration {iteration}/{self.config.schedule.iterations}  {shown}", flush=True)

    def _evaluate(self, iteration: int) -> dict[str, Counts]:
        """Score the networks; what each got right and wrong. Raises Diverged for one that is not finite."""
        self.writer.wait()  # it forks workers, and may write the best weights
        if broken := divergence.of_networks(self.method.networks()):
            raise self._diverged(f"not finite: {broken}", iteration)
        try:
            by_image = self.config.evaluation.by_image and iteration == self.config.schedule.iterations
            networks, ids = self.method.networks(), self.split.val
            (counts,) = count(networks, [self.config], ids, self.device, by_image)
        except Diverged as error:
            raise self._diverged(str(error), iteration) from None
        self.scores = {name: score(found.total, iteration) for name, found in counts.items()}
        for name, scored in self.scores.items():
            if name in self.best and self.best[name].miou >= scored.miou:
                continue
            self.best[name] = scored
            if self.first and name == self.method.headline:
                self.control.check()
                weights = self.method.networks()[name].state_dict()
                state = {"signature": self.signature, "iteration": iteration, "network": name, "model": weights}
                checkpoint.save(self.folder.best_file, state, check=self.control.check)
        if self.journal:
            values = {f"val/{name}/miou": scored.miou for name, scored in self.scores.items()}
            values |= quality(self.method, self.config, self.split.unlabeled, iteration, self.device)
            self.journal.metrics(iteration, {**values, **self._about()})
            shown = "  ".join(f"{name} {scored.miou:.2f}" for name, scored in self.scores.items())
            print(f"iteration {iteration}  mIoU (%)  {shown}", flush=True)
        return counts

    def _write_artifacts(self, iteration: int, counts: dict[str, Counts]) -> None:
        """The headline's confusion matrix and pictures, which rank 0 predicts by itself; where it is asked for, what
        every network got right and wrong in each image.

        They are for people: where they cannot be made (a full disk, say), that is a word in the log and the journal.
        """
        if not self.first:
            return
        self.control.check()
        name, network = self.method.headline_network()
        try:
            pictures = examples(network, self.config, self.split.val, self.device)
            write_artifacts(self.folder, name, iteration, counts[name].total, pictures, self.config.data)
            if self.config.evaluation.by_image:
                for scored, found in counts.items():
                    made = record_of(self.folder, self.config, self.split.val, scored, "last", iteration, found)
                    evaluations.write(self.folder, *made)
        except Exception as error:
            self._event("no artifacts", iteration=iteration, error=f"{type(error).__name__}: {first_line(error)}")

    def _finish(self) -> None:
        if not self.journal:
            return
        self.control.check()
        self._event("finished", iteration=self.config.schedule.iterations)
        self.journal.flush()
        headline = self.method.headline_network()[0]
        result_of(self.config, self.kept, headline, time.time()).write(self.folder.result_file)
        self.folder.previous_checkpoint_file.unlink(missing_ok=True)  # nothing goes on from here

    def _event(self, name: str, **fields: Any) -> None:
        if self.journal:
            self.journal.event(name, **fields)
            print(f"{name} {fields}", flush=True)

    def _lr(self, iteration: int) -> float:
        """The encoder's learning rate of the last step."""
        return encoder_lr(self.config.schedule, iteration - 1)

    def _about(self) -> dict[str, float]:
        """What each line of the journal says of the time."""
        return {"seconds": self._seconds(), "system/data_wait_percent": self.waiting.percent()}

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.began

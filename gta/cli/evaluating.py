"""The evaluations of cells that eval is asked for: those that are recorded, read; the others made, and recorded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gta.cellfolder import CellFolder, readable
from gta.cli.trained import PART, changed, val_ids
from gta.errors import UserError, chain
from gta.text import first_line

if TYPE_CHECKING:
    from gta.cellfolder import Result
    from gta.config import Config
    from gta.evaluations import ByImage, Evaluation

ALL = "all"  # of the networks
_OF_A_GPU = re.compile(r"CUDA|cuDNN|CUBLAS|NCCL|Triton Error")  # in what PyTorch says of a GPU and its libraries


@dataclass
class Scoring:
    """What is asked for of each cell: by which protocols (in settings), which networks, which weights.

    Of what was made: the evaluations that are `new`; `problems`, of what could not be scored or recorded, and
    `remarks`, of what was not to be recorded, a sentence each.
    """

    protocols: list[list[str]]
    network: str
    which: str
    device: str
    again: bool

    def __post_init__(self) -> None:
        self.new: list[Evaluation] = []
        self.problems: list[str] = []
        self.remarks: list[str] = []
        self._lists: dict[str, list[str] | None] = {}

    def check(self, folders: Iterable[CellFolder]) -> None:
        """Raises UserError for a protocol that no cell can be scored by. A cell whose config cannot be read, or that
        alone cannot be scored so, is no reason.
        """
        from gta.compose.compose import read_config
        from gta.compose.validate import check_evaluation

        refused: UserError | None = None
        for folder in folders:
            try:
                frozen = read_config(folder.config_file)
            except UserError:
                continue
            configs = [changed(frozen, words) for words in self.protocols]  # a word that is none is so for every cell
            try:
                for config in configs:
                    check_evaluation(config)
                return
            except UserError as error:
                refused = refused or error
        if refused is not None:
            raise refused

    def of(self, folder: CellFolder, title: str) -> list[Evaluation]:
        """The evaluations of a cell, those that are recorded read, the others made and recorded. Raises UserError."""
        by_words, result = self._configs(folder), folder.result()
        known = self._recorded(folder, result, by_words)
        if known is not None:
            return known
        self._check_weights(folder)
        return self._made(folder, title, list(by_words.values()), result)

    def _configs(self, folder: CellFolder) -> dict[str, Config]:
        """Each protocol in words -> the cell's config by it. Raises UserError for what no protocol is."""
        from gta.compose.compose import read_config
        from gta.compose.validate import check_evaluation
        from gta.scoring import describe

        frozen = read_config(folder.config_file)
        found: dict[str, Config] = {}
        for words in self.protocols:
            config = changed(frozen, words)
            check_evaluation(config)
            found.setdefault(describe(config), replace(config, site=replace(config.site, device=self.device)))
        return found

    def _recorded(
        self, folder: CellFolder, result: Result | None, by_words: dict[str, Config]
    ) -> list[Evaluation] | None:
        """What is recorded, where that is all: a cell that is not done goes on; a part of the images, or another val
        list than the cell's, has another score.
        """
        from gta import evaluations

        configs = list(by_words.values())
        if self.again or result is None or self._partly or _elsewhere(folder, configs):
            return None
        ids = self._listed(configs[0])
        if ids is not None and _other_list(folder, ids):
            return None
        names = [self.network or result.headline] if self.network != ALL else list(result.networks)
        if self.network == ALL and self.which == "best":
            names = [result.headline]  # no other's are kept
        found = []
        for words, config in by_words.items():
            for name in names:
                iteration = self._iteration(result, name)
                one = evaluations.find(folder, config.evaluation.protocol, words, name, self.which, iteration)
                if one is None or not _counted(folder, one, config, ids):
                    return None
                found.append(one)
        return found

    @property
    def _partly(self) -> bool:
        return any(word.startswith(PART) for words in self.protocols for word in words)

    def _listed(self, config: Config) -> list[str] | None:
        """The val list of a config as it is now, each once; None where it is not at hand, and says nothing."""
        from gta.cell import data_key
        from gta.data.listing import list_ids
        from gta.data.spec import val_path

        if (key := data_key(config)) not in self._lists:
            try:
                self._lists[key] = sorted(list_ids(config.data, val_path(config.data)))
            except (UserError, OSError):
                self._lists[key] = None
        return self._lists[key]

    def _iteration(self, result: Result, network: str) -> int | None:
        """Of which iteration the weights that are asked for of a network are; None where it has no score."""
        scores = result.networks.get(network)
        if scores is None:
            return None
        return (scores.best if self.which == "best" else scores.last).iteration

    def _check_weights(self, folder: CellFolder) -> None:
        """Raises UserError where they are gone of a cell that is done, which nothing makes again."""
        there = {"last": folder.has_checkpoint, "best": folder.best_file.exists()}
        if not folder.done or there[self.which]:
            return
        other = next((which for which, whole in there.items() if whole), None)
        advice = f"its {other} ones are there (--which {other})" if other else "it cannot be scored any more"
        raise UserError(f"its {self.which} weights are gone (`gta gc` removes those of cells that are done); {advice}.")

    def _made(self, folder: CellFolder, title: str, configs: list[Config], result: Result | None) -> list[Evaluation]:
        from gta.provenance.environment import commit
        from gta.train.evaluate import count
        from gta.train.record import record_of
        from gta.train.run import load_network, load_networks, prepare_device

        commit()  # of the code as it is when it begins: scoring may take hours, and the commit is looked up once
        device = prepare_device(configs[0])
        if self.network == ALL:
            networks, iteration = load_networks(configs[0], folder, device, self.which)
        else:
            name, network, iteration = load_network(configs[0], folder, device, self.network, self.which)
            networks = {name: network}
        ids = val_ids(configs[0])
        for config in configs:
            check_labeled(config, ids)
        wished = self._by_wish(folder, configs, result)
        unfit = "" if result is None else self._unfit(folder, configs[0], result, iteration, list(networks), ids)
        made = []
        for config, counts in zip(configs, count(networks, configs, ids, device, by_image=True), strict=True):
            for name, counted in counts.items():
                made.append(record_of(folder, config, ids, name, self.which, iteration, counted))
        self.new += [one for one, _ in made]
        if wished:
            self.remarks.append(f"{title}: not recorded, {wished}.")
        elif why := unfit or _written(folder, result, made):
            self.problems.append(f"{title}: not recorded, {why}.")
        return [one for one, _ in made]

    def _by_wish(self, folder: CellFolder, configs: Sequence[Config], result: Result | None) -> str:
        """Why scores are not the cell's by what was asked for; empty where they may be."""
        if result is None:
            return "the cell is not done"
        if self._partly:
            return "a part of the images was scored"
        if _elsewhere(folder, configs):
            return "the pictures are read from another folder (data.root) than the cell's own"
        return ""

    def _unfit(
        self, folder: CellFolder, config: Config, result: Result, iteration: int, networks: list[str], ids: list[str]
    ) -> str:
        """Why scores of these networks, of that iteration, on the images `ids`, are not the cell's; empty where they
        are. Raises BrokenRecord.
        """
        from gta.cell import otherwise
        from gta.compose.compose import read_config

        frozen = folder.identity()
        if frozen is None:
            return f"{folder.identity_file}, which says what the cell is, is not there"
        if _other_list(folder, ids):
            return "the val list is another than when the cell was frozen"
        if other := otherwise(read_config(folder.config_file), frozen):
            return other
        for name in networks:
            if (ended := self._iteration(result, name)) != iteration:
                return f"its {self.which} weights are of iteration {iteration}, and the score of its result of {ended}"
        return ""


def _written(folder: CellFolder, result: Result | None, made: Sequence[tuple[Evaluation, ByImage | None]]) -> str:
    """Write the evaluations down; why they cannot be, or empty."""
    from gta import evaluations

    if readable(folder.result, say=lambda _: None) != result:
        return "the cell was trained anew meanwhile"
    try:
        for one, by_image in made:
            evaluations.write(folder, one, by_image)
    except OSError as error:
        return f"{error.filename or folder.evaluations_folder} cannot be written ({error.strerror or error})"
    return ""


def _other_list(folder: CellFolder, ids: Sequence[str]) -> bool:
    """Whether a val list is another than when the cell was frozen. Raises BrokenRecord."""
    from gta.data.lists import digest

    frozen = folder.identity()
    return frozen is not None and frozen.digests.get("val") != digest(ids)


def _elsewhere(folder: CellFolder, configs: Sequence[Config]) -> bool:
    """Whether the pictures are of another folder than the cell's: they may be others under the same names."""
    from gta.compose.compose import read_config

    own = Path(read_config(folder.config_file).data.root).resolve()
    return any(Path(config.data.root).resolve() != own for config in configs)


def _counted(folder: CellFolder, one: Evaluation, config: Config, ids: list[str] | None) -> bool:
    """Whether what was counted in each image is there, can be read, and is of the images of the val list (None: not at
    hand); else it is made again.
    """
    from gta import evaluations

    found = readable(lambda: evaluations.read_by_image(folder, one), say=lambda _: None)
    return found is not None and (ids is None or found.ids == ids[: config.schedule.eval_images or None])


def check_labeled(config: Config, ids: list[str]) -> None:
    """Raises UserError where no pixel of the images that are scored has a label."""
    from gta.data.present import check_any_labeled, scored_crop

    check_any_labeled(config.data, ids[: config.schedule.eval_images or None], scored_crop(config.evaluation))


def of_the_machine(error: RuntimeError | MemoryError) -> str | None:
    """One sentence: why the machine ended the scoring, and, where it was for memory, what to do. None where it was the
    program: its stack trace says more.
    """
    from launch.state.ledger import Death
    from launch.state.policy import of_exception

    if of_exception(error) is Death.MEMORY:
        return "out of memory; lower evaluation.batch"
    if any("is killed by signal: Killed" in str(one) for one in chain(error)):  # torch's words
        return "a process that loads images was killed, as where the machine is out of memory; lower evaluation.batch"
    if _OF_A_GPU.search(said := first_line(error)):
        return f"{type(error).__name__}: {said}"
    return None

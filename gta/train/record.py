"""A network's counts as the record of an evaluation in its cell's folder."""

from __future__ import annotations

import time

from gta import scoring
from gta.cellfolder import CellFolder
from gta.config import Config
from gta.evaluations import ByImage, Evaluation
from gta.fields import params
from gta.provenance.environment import commit
from gta.train.evaluate import Counts, chosen_ids, score


def record_of(
    folder: CellFolder, config: Config, ids: list[str], network: str, which: str, iteration: int, counts: Counts
) -> tuple[Evaluation, ByImage | None]:
    """What a network of the cell scored on the images `ids` by the protocol of `config`, as `gta.evaluations.write`
    takes it. `which`: last or best; of `counts` those of single images are kept where there are any.
    """
    scored, chosen = score(counts.total, iteration), chosen_ids(config, ids)
    by_image = None
    if counts.intersection is not None and counts.union is not None:
        by_image = ByImage(chosen, counts.intersection.numpy(), counts.union.numpy())
    made = Evaluation(
        signature=folder.signature,
        network=network,
        which=which,
        iteration=iteration,
        evaluation=scoring.describe(config),
        settings={f"evaluation.{name}": text for name, text in params(config.evaluation).items()},
        images=len(chosen),
        classes=list(config.data.classes),
        miou=scored.miou,
        iou=scored.iou,
        commit=commit(),
        finished=time.time(),
        by_image=by_image is not None,
    )
    return made, by_image

"""usage: python -m gta splits show FILE|FOLDER|ARCHIVE ...
       python -m gta splits import FROM family=u2pl data=voc_blender [paths.splits=FOLDER]
       python -m gta splits make data=NAME [ratios=1/8,1/4] [split_seed=0] [paths.data=FOLDER]

show    names a list by its digest (`u2pl 662 (VOC blender, 1/16)`, or unknown), whatever its format; beside its
        unlabeled list it also says whether the two are the whole training set.
import  copies the lists of a public repository (its folder, or a .zip or .tar.gz of it) to where data=NAME expects
        those of that family, verified: paths.splits/FAMILY/pascal/662/{labeled,unlabeled}.txt. Asks for them later by
        data.split_family=FAMILY data.split=662. A list that cannot be defended is refused, by its name and reason.
make    draws class-balanced labeled lists of the given ratios from a data set's train list, into
        paths.splits/NAME/seedN/. The same seed draws the same lists; lists that are there are never changed.

exit code: 0 well, 2 a list is broken or was refused
"""

from __future__ import annotations

from pathlib import Path

from gta.cli import options as common
from gta.errors import UserError


def run(arguments: list[str]) -> int:
    return common.dispatch("splits", arguments, {"show": show, "import": import_, "make": make})


def show(names: list[str]) -> int:
    """Name each list; 2 where one cannot be read or a pair is not the whole training set."""
    if not names:
        raise UserError("splits show takes a list, a folder of lists or an archive of them.")
    from gta.data.splits.importing import read_public_lists
    from gta.data.splits.known import describe, incomplete

    wrong = 0
    for path in map(Path, names):
        source = read_public_lists(path)
        for name, ids in source.lists.items():
            print(f"{_shown(path, name)}: {describe(ids)}")
        pairs = [(source.lists.get(a), source.lists.get(b), _shown(path, a)) for a, b in source.pairs()]
        if path.is_file():
            pairs += _beside(path)
        for labeled, unlabeled, name in pairs:
            if labeled and unlabeled and (problem := incomplete(labeled, unlabeled)):
                print(f"{name}: NOT the whole training set: {problem}")
                wrong += 1
        for problem in source.problems.values():
            print(f"BROKEN: {problem}")
        wrong += len(source.problems)
    return 2 if wrong else 0


def _shown(path: Path, name: str) -> str:
    return str(path) if path.name == name else f"{path}/{name}"


def _beside(path: Path) -> list[tuple[list[str] | None, list[str] | None, str]]:
    """The pair that a single list makes with the one that lies beside it."""
    from gta.data.splits.importing import read_public_lists

    try:
        source = read_public_lists(path.parent)
    except UserError:
        return []
    return [(source.lists.get(a), source.lists.get(b), str(path)) for a, b in source.pairs() if path.name in (a, b)]


def import_(arguments: list[str]) -> int:
    """Copy a public folder's lists into place; 2 where one of them was refused."""
    if not arguments or "=" in arguments[0]:
        raise UserError("splits import takes a folder: python -m gta splits import FROM family=u2pl data=voc_blender.")
    options, overrides = common.split_options(arguments[1:], {"family": ""})
    family = options["family"]
    if not family or not family.replace("_", "").replace("-", "").isalnum():
        raise UserError("Say whose lists they are: family=u2pl (letters, digits, - and _); it names their folder.")
    from launch.grid.grid import single_config

    words = [*common.overrides_of(overrides), f"data.split_family={family}", "data.split=none"]
    config = single_config(common.start(), words)
    from gta.data.spec import own_seed
    from gta.data.splits.importing import import_lists

    if own_seed(config.data) is not None:
        raise UserError(f"family={family} is a name of lists that this program draws itself; use another.")
    done = import_lists(config.data, Path(arguments[0]))
    print(f"{config.data.name}, family {family}: {done.folder}")
    for line in done.accepted:
        print(f"  ok       {line}")
    for line in done.refused:
        print(f"  REFUSED  {line}")
    return 2 if done.refused else 0


def make(arguments: list[str]) -> int:
    """Draw lists of one's own."""
    options, overrides = common.split_options(arguments, {"ratios": "1/16,1/8,1/4,1/2", "split_seed": "0"})
    if not options["split_seed"].isdigit():
        raise UserError(f"split_seed={options['split_seed']}: give a whole number from 0.")
    seed = int(options["split_seed"])
    from launch.grid.grid import single_config

    config = single_config(
        common.start(), [*common.overrides_of(overrides), f"data.split_family=seed{seed}", "data.split=none"]
    )
    from gta.data.splits.draw import draw

    for path in draw(config.data, options["ratios"].split(","), seed):
        print(path)
    return 0

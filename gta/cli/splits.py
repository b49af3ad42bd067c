"""`gta splits show`, `import` and `make`."""

from __future__ import annotations

from pathlib import Path

import click

from gta.cli import composing, grammar
from gta.cli.grammar import Group, Words, option
from gta.errors import UserError


@click.group("splits", cls=Group)
def command() -> None:
    """Name a split list, copy public ones, draw class-balanced ones."""


@command.command(
    "show",
    exit_codes="0 well, 2 a list is broken, or a pair is not the whole training set",
    examples=["gta splits show labeled.txt", "gta splits show splits/u2pl/pascal/662 lists.zip"],
)
@click.argument("files", nargs=-1, required=True, type=click.Path(), metavar="FILE...")
def show(files: tuple[str, ...]) -> int:
    """Name a list by its digest (u2pl 662 (VOC blender, 1/16), or unknown), whatever its format.

    FILE is a list, a folder of lists, or an archive of them. Beside its unlabeled list it also says whether the two are
    the whole training set.
    """
    from gta.data.lists import digest
    from gta.data.splits.importing import read_public_lists
    from gta.data.splits.known import describe, incomplete, unlabeled_name

    wrong = 0
    for path in map(Path, files):
        source = read_public_lists(path)
        partners = {unlabeled: source.lists.get(labeled, []) for labeled, unlabeled in source.pairs()}
        for name, ids in source.lists.items():
            title = unlabeled_name(partners.get(name, []), ids)
            told = f"{title}, {len(ids)} ids, sha256 {digest(ids)}" if title else describe(ids)
            print(f"{_shown(path, name)}: {told}")
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


@command.command(
    "import",
    exit_codes="0 well, 2 a list was refused",
    examples=[
        "gta splits import U2PL/data/splitsall --family u2pl data=voc_blender",
        "gta splits import lists.zip --family unimatch data=cityscapes paths.splits=splits",
    ],
)
@grammar.words("FROM", 1)
@option("--family", metavar="F", default="", old="family", help="Whose lists they are; it names their folder.")
def import_(words: Words, family: str) -> int:
    """Copy the lists of a public repository to where data=NAME expects those of that family, verified.

    FROM is the repository's folder, or a .zip or .tar.gz of it. They go to
    paths.splits/FAMILY/pascal/662/{labeled,unlabeled}.txt, and data.split_family=FAMILY data.split=662 asks for them
    later. A list that cannot be defended is refused, by its name and reason.
    """
    if not family or not family.replace("_", "").replace("-", "").isalnum():
        raise UserError("Say whose lists they are: --family u2pl (letters, digits, - and _); it names their folder.")
    from launch.grid.grid import single_config

    overrides = [*composing.protected(words.overrides), f"data.split_family={family}", "data.split=none"]
    config = single_config(composing.start(), overrides)
    from gta.data.spec import own_seed
    from gta.data.splits.importing import import_lists

    if own_seed(config.data) is not None:
        raise UserError(f"--family {family} is a name of lists that this program draws itself; use another.")
    done = import_lists(config.data, Path(words.names[0]))
    print(f"{config.data.name}, family {family}: {done.folder}")
    for line in done.accepted:
        print(f"  ok       {line}")
    for line in done.refused:
        print(f"  REFUSED  {line}")
    return 2 if done.refused else 0


@command.command(
    "make",
    examples=["gta splits make data=shapes", "gta splits make data=camvid --ratios 1/8,1/4 --split-seed 3"],
)
@grammar.words()
@option(
    "--ratios",
    metavar="R,R",
    default="1/16,1/8,1/4,1/2",
    old="ratios",
    show_default=True,
    help="Labeled parts of the train list.",
)
@option(
    "--split-seed",
    type=click.IntRange(0),
    metavar="N",
    default=0,
    old="split_seed",
    show_default=True,
    help="Seed of the drawing.",
)
def make(words: Words, ratios: str, split_seed: int) -> int:  # fmt: skip
    """Draw class-balanced labeled lists of the given ratios from a data set's train list.

    They go to paths.splits/NAME/seedN/. The same seed draws the same lists; lists that are there are never changed.
    """
    from launch.grid.grid import single_config

    overrides = [*composing.protected(words.overrides), f"data.split_family=seed{split_seed}", "data.split=none"]
    config = single_config(composing.start(), overrides)
    from gta.data.splits.draw import draw

    for path in draw(config.data, ratios.split(","), split_seed):
        print(path)
    return 0

"""The table says what the runs say: means, spreads, what is missing and why, what does not fit together."""

from __future__ import annotations

import statistics

import pytest

from analysis.protocol import traces
from analysis.render import markdown, to_json
from analysis.table import build
from analysis.view import View
from gta.errors import UserError
from tests.helpers.tables import frame, run, want


def test_mean_std_and_best_are_over_the_seeds_of_the_headline_network():
    scores = [60.0, 62.0, 67.0]
    rows = [run(f"s{i}", score, seed=i) for i, score in enumerate(scores)]
    rows += [run(f"s{i}", 10.0, seed=i, network="student", headline=False) for i in range(3)]
    table = build(frame(*rows), [want(f"s{i}", seed=i) for i in range(3)])
    entry = table.entries["gta", "1/67 (6)"]
    assert (entry.n, entry.wanted) == (3, 3)
    assert entry.mean == pytest.approx(63.0)
    assert entry.std == pytest.approx(statistics.stdev(scores))
    assert entry.best_mean == pytest.approx(64.0)
    assert table.complete


def test_one_seed_has_no_spread():
    assert build(frame(run("s", 60.0)), [want("s")]).entries["gta", "1/67 (6)"].std is None


def test_rows_stand_as_wanted_and_columns_by_label_count():
    wanted = [
        want("a", "supervised", "1/8 (50)", 50),
        want("b", "supervised", "1/16 (6)", 6),
        want("c", "gta", "1/8 (50)", 50),
        want("d", "gta", "full (400)", 400),
    ]
    table = build(frame(), wanted)
    assert table.rows == ["supervised", "gta"]
    assert table.columns == ["1/16 (6)", "1/8 (50)", "full (400)"]


def test_missing_cells_are_named_with_their_reason():
    wanted = [
        want("a", seed=1, reason="failed: out of memory"),
        want("b", seed=0),
        want("c", "other", reason="never run"),
        want("d", "other", seed=1),
        want("e", "other", seed=2, reason="never run"),
    ]
    table = build(frame(run("b", 50.0)), wanted)
    assert table.missing == [
        "gta, 1/67 (6), seed 1 (1 of 2 seeds): failed: out of memory",
        "other, 1/67 (6), seeds 0, 2: never run",
        "other, 1/67 (6), seed 1: no result",
    ]
    assert not table.complete
    assert table.entries["gta", "1/67 (6)"].n == 1
    assert table.entries["other", "1/67 (6)"].mean is None


def test_only_a_finished_run_counts():
    rows = [run("a", 50.0, status="RUNNING"), run("b", float("nan"), seed=1)]
    table = build(frame(*rows), [want("a"), want("b", seed=1)])
    assert table.entries["gta", "1/67 (6)"].n == 0


def test_the_footer_says_how_the_cells_were_trained():
    few, many = ("tiny", "60 iterations", "crop 48"), ("tiny", "90 iterations", "crop 48")
    rows = [run("a", 50.0), run("b", 40.0, labels=50)]

    def said(first: tuple[str, ...], second: tuple[str, ...], row: str, column: str) -> list[str]:
        cells = [want("a", training=first), want("b", row, column, 50, training=second)]
        return [note for note in build(frame(*rows), cells).notes if note.startswith("Training")]

    assert said(few, few, "gta", "1/8 (50)") == ["Training: tiny; 60 iterations; crop 48."]
    assert said(few, many, "sup", "1/67 (6)") == ["Training: tiny; 60 iterations (gta), 90 iterations (sup); crop 48."]
    of_columns = "60 iterations (1/67 (6)), 90 iterations (1/8 (50))"
    assert said(few, many, "gta", "1/8 (50)") == [f"Training: tiny; {of_columns}; crop 48."]
    assert not said((), (), "gta", "1/8 (50)"), "of runs whose config is not at hand nothing is said"


def test_code_without_commits_is_told_by_its_digests():
    def made(*commits):
        rows = [run(f"s{seed}", 50.0, seed=seed, commit=commit) for seed, commit in enumerate(commits)]
        return build(frame(*rows), [want(f"s{seed}", seed=seed) for seed in range(len(commits))])

    mixed = made("tree:01234567", "tree:89abcdef")
    assert "Code: tree:01234567, tree:89abcdef (MIXED commits)." in mixed.notes
    assert mixed.mixed == ["2 commits (tree:01234567, tree:89abcdef)"]
    assert "Code: tree:01234567." in made("tree:01234567", "tree:01234567").notes
    assert "Code: unknown." in made("", "").notes, "of records of before: the line is there all the same"


def test_a_run_that_was_not_asked_for_stays_out():
    table = build(frame(run("a", 50.0), run("b", 90.0, seed=1, evaluation="center crop")), [want("a")])
    assert table.entries["gta", "1/67 (6)"].mean == 50.0
    assert "center" not in " ".join(table.notes)


def test_the_footer_states_data_lists_evaluation_network_seeds_and_code():
    rows = [run("a", 50.0), run("b", 40.0, seed=1, network="student", labels=50, digest_labeled="9" * 16)]
    notes = "\n".join(build(frame(*rows), [want("a"), want("b", "sup", "1/8 (50)", 50, seed=1)], "shapes").notes)
    for part in (
        "Data: shapes; val list 33333333.",
        "Labeled lists: seed0 1/67 (6) 11111111, seed0 1/8 (50) 99999999.",
        "Evaluation: original size.",
        "Network: teacher (gta), student (sup).",
        "Seeds: 0, 1.",
        "Code: abcdef123.",
    ):
        assert part in notes
    assert "MIXED" not in notes


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("digest_labeled", "f" * 16, "MIXED lists"),
        ("digest_val", "f" * 16, "MIXED lists"),
        ("evaluation", "center crop", "MIXED evaluations"),
        ("commit", "f" * 16, "MIXED commits"),
    ],
)
def test_runs_that_do_not_belong_together_are_called_mixed(field, value, said):
    rows = [run("a", 50.0), run("b", 60.0, seed=1, **{field: value})]
    notes = " ".join(build(frame(*rows), [want("a"), want("b", seed=1)]).notes)
    assert notes.count("MIXED") == 1
    assert said in notes


def test_a_run_that_diverged_and_went_on_with_other_batches_is_named():
    rows = [run("a", 50.0), run("b", 60.0, seed=1, order="order 1 from iteration 400")]
    made = build(frame(*rows), [want("a"), want("b", seed=1)])
    assert "Diverged, and went on with other batches: gta 1/67 (6) seed 1 (order 1 from iteration 400)." in made.notes
    assert made.mixed == ["2 orders of the batches (the first, order 1 from iteration 400)"]
    assert "other batches" not in " ".join(build(frame(rows[0]), [want("a")]).notes)


def test_versions_of_timm_are_told_and_are_no_two():
    rows = [run("a", 50.0, timm="1.0.9"), run("b", 60.0, seed=1, timm="1.0.9, 1.0.27"), run("c", 60.0, label="sup")]
    made = build(frame(*rows), [want("a"), want("b", seed=1), want("c", "sup")])
    assert "timm: 1.0.9, 1.0.27 (MIXED versions)." in made.notes, "of those that have a backbone of it"
    assert made.mixed == ["2 versions of timm (1.0.9, 1.0.27)"]
    cells = [want("a", encoder="timm:resnet18"), want("b", seed=1, encoder="timm:resnet18"), want("c", "sup")]
    unknown = build(frame(rows[0], run("b", 60.0, seed=1), rows[2]), cells)
    assert unknown.mixed == ["2 versions of timm (1.0.9, unknown)"], "the row without a backbone of it has none"
    assert "timm: 1.0.9." in build(frame(rows[0]), [want("a")]).notes
    assert "timm" not in " ".join(build(frame(rows[2]), [want("c", "sup")]).notes)


def test_the_footer_says_which_rows_have_other_views():
    """The same by all is not worth a word where it is the usual; a part of the list that is scored always is."""
    rows = [run("a", 50.0), run("b", 40.0)]

    def told(first: str, second: str, row: str = "u2pl, as code") -> list[str]:
        cells = [want("a", training=("tiny", first)), want("b", row, training=("tiny", second))]
        return [note for note in build(frame(*rows), cells).notes if note.startswith(("Training", "Network"))]

    assert told("plain views", "plain views")[0] == told("views shapes", "views shapes")[0] == "Training: tiny."
    assert told("views 0123abcd", "views 0123abcd")[0] == "Training: tiny; views 0123abcd."
    assert told("views augseg", "views augseg")[0] == "Training: tiny; views augseg."
    training, network = told("plain views", "views augseg")
    assert training == "Training: tiny; plain views (gta), views augseg (u2pl, as code)."
    assert network == "Network: teacher."
    cells = [want("a", val_list="first 2 images of VOC val"), want("b", "u2pl, as code", val_list="VOC val")]
    rows[1]["network"] = "student"
    made = build(frame(*rows), [*cells, want("c", "u2pl")])
    assert "Data: shapes; val list first 2 images of VOC val 33333333, VOC val 33333333 (MIXED lists)." in made.notes
    assert made.mixed == ["2 val lists (first 2 images of VOC val 33333333, VOC val 33333333)"]


def test_rows_with_commas_in_their_names_are_told_apart():
    rows = [run("a", 50.0), run("b", 40.0), run("c", 40.0, network="student")]
    cells = [want("a", "u2pl"), want("b", "u2pl, as code"), want("c", "sup")]
    assert "Network: teacher (u2pl; u2pl, as code), student (sup)." in build(frame(*rows), cells).notes


def test_two_cells_in_one_place_are_refused():
    with pytest.raises(UserError, match=r"method\.label"):
        build(frame(), [want("a"), want("b")])


def test_the_same_cell_asked_for_twice_counts_once():
    assert build(frame(run("a", 50.0)), [want("a"), want("a")]).entries["gta", "1/67 (6)"].wanted == 1


def test_nothing_wanted_is_an_empty_table():
    table = build(frame(), [])
    assert (table.rows, table.columns, table.missing) == ([], [], [])


def test_the_commands_that_fill_a_table_are_named_with_what_they_fill():
    wanted = [
        want("a", reason="failed: out of memory", fill="multirun retry=failed"),
        want("b", seed=1, reason="never run", fill="multirun"),
        want("c", seed=2, reason="stopped: near iteration 4", fill="multirun"),
        want("d", seed=3, reason="never run", fill="multirun"),
        want("e", seed=4, fill="multirun"),
    ]
    table = build(frame(run("e", 50.0, seed=4)), wanted)
    assert table.fill == {"multirun retry=failed": ["failed"], "multirun": ["never run", "stopped"]}


def test_known_lists_are_named():
    cell = want("a", lists="u2pl 662 (VOC blender, 1/16)", val_list="VOC val")
    notes = build(frame(run("a", 50.0)), [cell]).notes
    assert "Labeled lists: u2pl 662 (VOC blender, 1/16) 11111111." in notes
    assert "Data: shapes; val list VOC val 33333333." in notes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"commit": "f" * 16}, "2 commits (abcdef123, fffffffff)"),
        ({"commit": ""}, "2 commits (abcdef123, unknown)"),
        ({"commit": "tree:01234567"}, "2 commits (abcdef123, tree:01234567)"),
        ({"commit": "abcdef1234567890+01234567"}, "2 commits (abcdef123, abcdef123+01234567)"),
        ({"commit": "abcdef1234567890, " + "f" * 16}, "2 commits (abcdef123, fffffffff)"),
        ({"evaluation": "center crop"}, "2 evaluations (original size, center crop)"),
        ({"digest_labeled": "f" * 16}, "2 labeled lists of 1/67 (6) (11111111, ffffffff)"),
        ({"digest_val": "f" * 16}, "2 val lists (33333333, ffffffff)"),
    ],
)
def test_strict_refuses_runs_that_do_not_belong_together(changes, said):
    table = build(frame(run("a", 50.0), run("b", 60.0, seed=1, **changes)), [want("a"), want("b", seed=1)])
    with pytest.raises(UserError, match="--strict refuses") as refused:
        table.refuse_gaps()
    assert said in str(refused.value)


def test_strict_refuses_gaps_and_says_what_fills_them():
    wanted = [want("a"), *(want(f"x{i}", seed=i, reason=f"failed: {i}", fill="do this") for i in range(1, 6))]
    with pytest.raises(UserError) as refused:
        build(frame(run("a", 50.0)), wanted, "mine").refuse_gaps()
    text = str(refused.value)
    assert "table mine" in text
    assert "seed 1 (1 of 6 seeds): failed: 1" in text
    assert "and 2 more" in text
    assert "`do this`" in text


def trained(signature, row, seed, *training, alike):
    return want(signature, row, seed=seed, training=training, alike=alike)


def test_strict_refuses_training_that_the_sweep_does_not_vary():
    def mixed(*cells):
        return build(frame(*(run(c.signature, 50.0, label=c.row, seed=c.seed) for c in cells)), cells, "mine")

    short = trained("a", "gta", 0, "tiny", "60 iterations", alike="gta")
    long = trained("b", "gta long", 0, "tiny", "80 iterations", alike="gta")
    refused = mixed(short, long, trained("c", "sup", 0, "resnet", "80 iterations", alike="sup"))
    said = "training settings that no file of a sweep varies (60 iterations (gta), 80 iterations (gta long, sup))"
    assert refused.mixed == [said], "the encoder is the method's own"
    with pytest.raises(UserError, match="its runs have training settings that no file of a sweep varies"):
        refused.refuse_gaps()
    mixed(short, trained("b", "long", 0, "tiny", "80 iterations", alike="long")).refuse_gaps()
    unfinished = build(frame(run("a", 50.0)), [short, long])
    assert unfinished.mixed == [], "of numbers that are there"


def test_seeds_of_one_mean_that_differ_in_a_setting_are_told_and_refused():
    def made(*cells):
        return build(frame(*(run(c.signature, 50.0, label=c.row, seed=c.seed) for c in cells)), cells, "mine")

    def cell(row, seed, **settings):
        return want(f"{row}{seed}", row, seed=seed, settings={"schedule.lr": "0.1", **settings})

    other = {"schedule.dropped": "0.5"}
    sup = cell("sup", 0, **other), cell("sup", 1, **other)
    one = made(cell("gta", 0), cell("gta", 1, **other), cell("gta", 2), *sup)
    told = "schedule.dropped its default (seeds 0, 2), 0.5 (seed 1) of gta 1/67 (6)"
    assert f"Seeds of one mean differ (MIXED settings): {told}." in one.notes
    assert one.mixed == [f"settings that differ between the seeds of one mean ({told})"]
    with pytest.raises(UserError, match="its runs have settings that differ between the seeds"):
        one.refuse_gaps()
    alike = made(cell("gta", 0), cell("gta", 1), *sup)
    assert "MIXED" not in " ".join(alike.notes), "rows may differ from each other"
    alike.refuse_gaps()
    empty = made(cell("gta", 0, **{"data.glob": ""}), cell("gta", 1, **{"data.glob": "*.png"}))
    assert "data.glob nothing (seed 0), *.png (seed 1) of gta 1/67 (6)" in " ".join(empty.mixed)
    every = made(*(cell(row, seed, **{"schedule.lr": f"0.{seed}1"}) for row in ("gta", "sup") for seed in (0, 1)))
    assert every.mixed == [
        "settings that differ between the seeds of one mean (schedule.lr 0.01 (seed 0), 0.11 (seed 1) of every mean)"
    ]


VERSIONS = "torch 2.11.0+cpu, numpy 2.3.4, opencv 4.12.0.88, pillow 12.0.0"


def of_seeds(*changes):
    """The table of one mean whose seeds' runs have these changes."""
    rows = [run(f"s{seed}", 50.0, seed=seed, **one) for seed, one in enumerate(changes)]
    return build(frame(*rows), [want(f"s{seed}", seed=seed) for seed in range(len(rows))], "mine")


def test_other_rounding_is_told_and_no_reason_to_refuse():
    one = {"versions": VERSIONS, "gpu": "none", "cpu": "AMD EPYC"}
    other = {"versions": VERSIONS.replace("2.11.0+cpu", "2.11.1+cu126").replace("2.3.4", "2.4.0"), "gpu": "none"}
    made = of_seeds(one, other | {"cpu": "Intel Xeon"}, one, {})
    assert (
        "Not computed alike, so that rounding may differ: torch 2.11.0+cpu (2 cells), 2.11.1+cu126 (1 cell); "
        "numpy 2.3.4 (2 cells), 2.4.0 (1 cell); trained on AMD EPYC (2 cells), Intel Xeon (1 cell)."
    ) in made.notes, "what a record of before does not say is nothing"
    made.refuse_gaps()
    gpus = of_seeds({"gpu": "NVIDIA A100", "cpu": "x"}, {"gpu": "NVIDIA H200", "cpu": "y"})
    told = "trained on NVIDIA A100 (1 cell), NVIDIA H200 (1 cell)"
    assert f"Not computed alike, so that rounding may differ: {told}." in gpus.notes, "whatever the hosts' CPUs are"
    gpus.refuse_gaps()
    assert "rounding" not in " ".join(of_seeds(one, one).notes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"versions": VERSIONS.replace("2.11.0", "2.12.0")}, "torch 2.11 (seed 0), 2.12 (seed 1)"),
        ({"versions": VERSIONS.replace("4.12.0", "4.11.0")}, "opencv 4.12 (seed 0), 4.11 (seed 1)"),
        ({"versions": VERSIONS.replace("12.0.0", "11.3.0")}, "pillow 12.0 (seed 0), 11.3 (seed 1)"),
        ({"gpu": "NVIDIA H200"}, "device CPU (seed 0), GPU (seed 1)"),
    ],
)
def test_seeds_of_one_mean_by_other_devices_or_versions_are_refused(changes, said):
    usual = {"versions": VERSIONS, "gpu": "none", "cpu": "AMD EPYC"}
    made = of_seeds(usual, usual | changes)
    assert f"Seeds of one mean differ (MIXED computing): {said} of gta 1/67 (6)." in made.notes
    assert made.mixed == [f"devices or versions that differ between the seeds of one mean ({said} of gta 1/67 (6))"]
    rows = [run("a", 50.0, **usual), run("b", 40.0, **usual | changes)]
    build(frame(*rows), [want("a"), want("b", "sup")]).refuse_gaps()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"versions": "torch 2.6.0, " + VERSIONS}, "torch 2.6 and 2.11"),
        ({"versions": VERSIONS + ", pillow 11.3.0"}, "pillow 12.0 and 11.3"),
        ({"gpu": "none, NVIDIA H200"}, "device CPU and GPU"),
    ],
)
def test_a_cell_that_went_on_elsewhere_differs_from_itself(changes, said):
    """Alone, beside seeds that did the same, and beside one that did not."""
    usual = {"versions": VERSIONS, "gpu": "none", "cpu": "AMD EPYC"}
    for seeds, runs in {"seed 0": [usual | changes], "seeds 0, 1": [usual | changes] * 2}.items():
        made = of_seeds(*runs)
        told = f"{said} ({seeds}) of gta 1/67 (6)"
        assert f"Seeds of one mean, or attempts at one cell, differ (MIXED computing): {told}." in made.notes
        assert made.mixed == [
            f"devices or versions that differ between the seeds of one mean or within a cell ({told})"
        ]
    (beside,) = of_seeds(usual, usual | changes).mixed
    assert f"(seed 0), {said.partition(' ')[2]} (seed 1) of gta" in beside


def test_a_cell_that_went_on_with_another_patch_is_told_and_no_reason_to_refuse():
    made = of_seeds({"versions": "torch 2.11.1, " + VERSIONS, "gpu": "NVIDIA A100, NVIDIA H200"})
    told = "torch 2.11.1 and 2.11.0+cpu (1 cell); trained on NVIDIA A100 and NVIDIA H200 (1 cell)"
    assert f"Not computed alike, so that rounding may differ: {told}." in made.notes
    made.refuse_gaps()


def test_several_data_roots_are_told_and_refused_until_somebody_vouches_for_them():
    made = of_seeds({"data_root": "/a"}, {"data_root": "/b"}, {"data_root": "/a"}, {})
    told = "shapes in /a (gta 1/67 (6) seed 0, gta 1/67 (6) seed 2), /b (gta 1/67 (6) seed 1)"
    (note,) = (note for note in made.notes if traces(note) and "roots" in note)  # a paper has no folders in it
    assert note == f"Several data roots, whose pictures nobody compared: {told}."
    with pytest.raises(UserError, match=r"several data roots .* accept them with --other-roots"):
        made.refuse_gaps()
    made.refuse_gaps(other_roots=True)
    of_seeds({"data_root": "/a"}, {"data_root": "/a"}).refuse_gaps()
    of_seeds({"data_root": "/a"}, {"data_root": "/b", "dataset": "camvid"}).refuse_gaps()


def test_only_seeds_with_numbers_are_called_seeds_of_the_table():
    cells = [want("a"), want("b", seed=1), want("c", "sup", seed=1), want("d", seed=2)]
    notes = build(frame(run("a", 50.0), run("c", 40.0, seed=1)), cells).notes
    assert "Seeds: 0, 1 (no number yet of 2)." in notes
    assert "Seeds: 0." in build(frame(run("a", 50.0)), cells[:1]).notes


def test_strict_has_nothing_against_a_whole_table():
    rows = [run("a", 50.0), run("b", 60.0, labels=50, digest_labeled="f" * 16)]
    build(frame(*rows), [want("a"), want("b", column="1/8 (50)", labels=50)]).refuse_gaps()


def test_a_baseline_is_compared_over_the_seeds_that_both_have():
    rows = [run(f"s{i}", 50.0 + i, label="supervised", seed=i) for i in range(4)]
    rows += [run(f"g{i}", 52.0 + 2 * i, seed=i) for i in range(3)]
    wanted = [want(f"s{i}", "supervised", seed=i) for i in range(4)] + [want(f"g{i}", seed=i) for i in range(4)]
    table = build(frame(*rows), wanted, baseline="supervised")
    compared = table.comparison("gta", "1/67 (6)")
    assert compared is not None
    assert (compared.seeds, compared.difference, compared.p) == ((0, 1, 2), 3.0, 0.25)
    assert table.comparison("supervised", "1/67 (6)") is None
    with pytest.raises(UserError, match="did you mean supervised"):
        build(frame(*rows), wanted, baseline="supervise")


def test_published_rows_stand_on_our_columns():
    here = {"dataset": "voc_classic", "encoder": "resnet101", "lists": "u2pl 92 (VOC classic, 1/16)"}
    wanted = [want("a", column="1/16 (92)", labels=92, **here), want("b", column="1/1 (1464)", labels=1464, **here)]
    table = build(frame(run("a", 50.0)), wanted, rows_beside="GTA-Seg,CPS")
    gta, cps = sorted(table.published, key=lambda row: row.method, reverse=True)
    assert {column: number.miou for column, (number, _) in gta.numbers.items()} == {
        "1/16 (92)": 70.02,
        "1/1 (1464)": 80.47,
    }
    assert list(cps.numbers) == ["1/16 (92)"], "it has no number for 1464"
    assert any("center crop 513" in note for note in table.footnotes)
    assert build(frame(), wanted).published == []
    assert build(frame(), [*wanted, want("c", seed=1, dataset="cityscapes")], rows_beside="all").published == []


def test_published_rows_are_marked_where_ours_began_with_random_weights_or_see_smaller_pictures():
    here = {"dataset": "voc_classic", "encoder": "resnet101", "lists": "u2pl 92 (VOC classic, 1/16)", "labels": 92}

    def marks(*settings):
        rows = ("gta", "sup")
        cells = [want(row, row, "1/16 (92)", settings=of, **here) for row, of in zip(rows, settings, strict=True)]
        frames = frame(*(run(row, 50.0, label=row) for row in rows))
        notes = build(frames, cells, rows_beside="GTA-Seg").footnotes
        return [note.partition(": ")[2] for note in notes if "pretrained" in note or "own size" in note]

    usual = {"file of initial weights": "0123abcd", "data.input_scale": "1.0"}
    assert marks(usual, usual) == []
    assert marks(usual, {**usual, "data.input_scale": "0.5"}) == [
        "images at their own size (ours: at 0.5 of their size (sup))."
    ]
    random = {**usual, "file of initial weights": "random"}
    assert marks(random, random) == ["pretrained encoder (ours: random weights)."]


def test_a_published_student_is_marked_beside_our_teacher_unless_there_are_rows_of_both():
    """Rows without a teacher, such as supervised, do not make a student the headline of those that have one."""
    here = {"column": "1/64 (316)", "labels": 316, "dataset": "ade20k", "encoder": "beit_b"}
    wanted = [want("a", "supervised", **here), want("b", "gta", **here)]
    rows = [run("a", 20.0, network="student"), run("b", 30.0), run("b", 29.0, network="student", headline=False)]
    said = "scored: last epoch of the student (ours: last iteration of the teacher)"
    asked = {"rows_beside": "UniMatch V2 (logs, student, last epoch)"}
    assert any(said in note for note in build(frame(*rows), wanted, **asked).footnotes)
    assert not any("scored:" in note for note in build(frame(*rows), wanted, **asked, view=View(True)).footnotes)
    assert not any("scored:" in note for note in build(frame(rows[0]), wanted[:1], **asked).footnotes)


def test_a_baseline_brings_one_number_over_the_columns():
    columns = (("1/67 (6)", 6), ("1/8 (50)", 50))
    cells = [
        (want(f"{row}{labels}{seed}", row, column, labels, seed=seed), value + seed)
        for row, value in (("sup", 50.0), ("gta", 60.0))
        for column, labels in columns
        for seed in range(3)
    ]
    rows = [run(c.signature, value, label=c.row, labels=c.labels, seed=c.seed) for c, value in cells]
    made = build(frame(*rows), [cell for cell, _ in cells], baseline="sup")
    text = markdown(made)
    assert "Interquartile mean over 2 columns" in text
    assert "Probability of improvement, that a seed of the row scores above one of sup" in text
    assert "gta 1.00 (1.00 to 1.00)" in text
    assert '"aggregates"' in to_json(made)

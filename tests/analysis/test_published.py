"""Published numbers: what the shipped files say, what the reader refuses, which rows are marked, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from analysis.published import FOLDER, TableProtocol, beside, choose, differences, load_rows, read_rows
from gta.errors import UserError

U2PL = {662: frozenset({"u2pl"}), 1323: frozenset({"u2pl"})}
COLUMNS = {"1/16 (662)": 662, "1/8 (1323)": 1323}
NUMBER = {"source": "a", "lists": "u2pl", "encoder": "resnet101", "evaluation": "original size", "scored": "last epoch"}


def ours(dataset: str = "voc_blender", lists=None, encoder: str = "resnet101") -> TableProtocol:
    evaluations = frozenset({"original size"})
    return TableProtocol(dataset, frozenset({encoder}), evaluations, U2PL if lists is None else lists)


def write(path, **row):
    content = {"datasets": ["voc_blender"], "sources": {"a": "A paper, table 1"}, "rows": [{"method": "X", **row}]}
    path.write_text(yaml.safe_dump(content))
    return path


def test_every_shipped_number_reads_with_its_source():
    paths = sorted(FOLDER.glob("*.yaml"))
    assert [path.stem for path in paths] == [
        "ade20k", "cityscapes", "cityscapes_dinov2", "coco", "voc_blender", "voc_classic", "voc_classic_dinov2",
    ]  # fmt: skip
    rows = [row for path in paths for row in read_rows(path)]
    assert sum(len(row.numbers) for row in rows) > 200
    for number in (number for row in rows for number in row.numbers.values()):
        assert len(number.source) > 8
        assert 20 < number.miou < 95


def test_the_shipped_numbers_are_those_of_the_sources():
    classic = {row.method: row for row in load_rows("voc_classic")}
    assert [classic["GTA-Seg"].numbers[n].miou for n in (92, 183, 366, 732, 1464)] == [
        70.02,
        73.16,
        75.57,
        78.37,
        80.47,
    ]
    assert "table 1a" in classic["GTA-Seg"].numbers[92].source
    assert classic["CPS"].numbers[732].lists == "cps", "its list of 732 is another"
    assert classic["CPS"].numbers[366].lists == "u2pl"
    city = {row.method: row for row in load_rows("cityscapes_trainids")}
    assert [city["GTA-Seg"].numbers[n].lists for n in (186, 372, 744)] == ["u2pl", "gta-seg", "u2pl"]
    assert "GTA-Seg" not in {row.method for row in load_rows("voc_blender")}, "no source is known"
    assert load_rows("shapes") == []


def test_what_is_known_of_a_number_stands_at_it():
    """AugSeg's blender runs on U2PL's lists were not at their end, and its README and its log differ at 366 labels."""
    (row,) = [row for row in load_rows("voc_blender") if row.method == "AugSeg" and row.numbers[662].lists == "u2pl"]
    (placed,), notes = beside([row], ours(), COLUMNS | {"1/4 (2646)": 2646})
    marks = {column: mark for column, (_, mark) in placed.numbers.items()}
    said = {note[0]: note for note in notes}
    assert said[marks["1/16 (662)"]] == f"{marks['1/16 (662)']}: the log ends at epoch 41 of 80."
    assert said[marks["1/8 (1323)"]] == f"{marks['1/8 (1323)']}: the log ends at epoch 44 of 80."
    classic = {row.method: row for row in load_rows("voc_classic")}
    assert (classic["AugSeg"].numbers[366].miou, classic["AugSeg"].numbers[366].note[-5:]) == (78.80, "78.66")
    assert [n.miou for n in classic["SupOnly (UniMatch's)"].numbers.values()] == [45.1, 55.3, 64.8, 69.7, 73.5]


def test_unimatch_v2s_logs_keep_best_and_last_apart_and_say_where_they_end():
    classic = load_rows("voc_classic")
    of = {(row.method, row.encoder): row.numbers for row in classic}
    best, last = (of[f"UniMatch V2 (logs{end})", "dinov2_base"] for end in ("", ", last epoch"))
    assert [best[n].miou for n in (92, 183, 366, 732, 1464)] == [86.29, 87.92, 88.86, 89.98, 90.80]
    assert [last[n].miou for n in (92, 183, 366, 732, 1464)] == [86.27, 87.40, 88.71, 89.70, 90.12]
    assert {number.scored.split()[0] for number in last.values()} == {"last"}
    supervised = of["SupOnly (UniMatch V2's logs)", "dinov2_base"]
    assert [supervised[n].note for n in (92, 183, 366, 732)] == [
        *(f"the log ends at epoch {end} of 60" for end in (44, 42, 42)), "",
    ]  # fmt: skip
    assert of["UniMatch V2 (logs, student)", "beit_b"][183].miou == 84.52
    ade, coco = ({(row.method, row.encoder): row.numbers for row in load_rows(name)} for name in ("ade20k", "coco"))
    assert [n.miou for n in ade["UniMatch V2 (logs)", "dinov2_base"].values()] == [38.70, 45.00, 46.67, 49.84, 52.02]
    assert [n.miou for n in coco["UniMatch V2 (logs)", "dinov2_small"].values()] == [39.33, 45.41, 53.17, 54.99, 57.01]
    assert "AllSpark" in {method for method, _ in coco}


def test_a_list_whose_digest_is_not_on_record_may_be_ours():
    (row,) = choose(load_rows("ade20k"), ours("ade20k", {316: frozenset()}, "clip_b"), "true")
    _, notes = beside([row], ours("ade20k", {316: frozenset()}, "clip_b"), {"1/64 (316)": 316})
    assert "the labeled list is unimatch's, whose digest is not on record: ours may be it or another." in notes[0]
    _, notes = beside([row], ours("ade20k", {316: frozenset({"x"})}, "clip_b"), {"1/64 (316)": 316})
    assert "another labeled list: unimatch (ours: x)" in notes[0]


def test_a_note_of_the_row_holds_for_each_of_its_numbers(tmp_path):
    numbers = {662: 70.0, 1323: {"miou": 71.0, "note": "another"}}
    (row,) = read_rows(write(tmp_path / "x.yaml", **NUMBER, note="of the row", numbers=numbers))
    assert [number.note for number in row.numbers.values()] == ["of the row", "another"]


@pytest.mark.parametrize("missing", list(NUMBER))
def test_a_number_without_its_protocol_or_source_is_refused(tmp_path, missing):
    fields = {name: value for name, value in NUMBER.items() if name != missing}
    with pytest.raises(UserError, match=rf"X, 662 labels: this number has no {missing}"):
        read_rows(write(tmp_path / "x.yaml", numbers={662: 70.0}, **fields))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({**NUMBER, "source": "nowhere", "numbers": {662: 70.0}}, "none of the file's sources"),
        ({**NUMBER, "numbers": {662: {"miou": 70.0, "source": ""}}}, "has no source"),
        ({**NUMBER, "numbers": {662: "nf"}}, "no mIoU"),
        ({**NUMBER, "numbers": {662: 170.0}}, "no mIoU"),
        ({**NUMBER, "numbers": {"1/16": 70.0}}, "label counts"),
    ],
)
def test_what_is_no_number_is_refused(tmp_path, row, said):
    with pytest.raises(UserError, match=said):
        read_rows(write(tmp_path / "x.yaml", **row))


def test_a_file_that_is_no_yaml_is_refused(tmp_path):
    (tmp_path / "x.yaml").write_text("datasets: [voc_blender")
    with pytest.raises(UserError, match="no YAML"):
        load_rows("voc_blender", tmp_path)


def test_rows_whose_protocol_is_ours_have_no_mark_and_others_say_why(tmp_path):
    same = read_rows(write(tmp_path / "x.yaml", **NUMBER, numbers={662: 70.0, 1323: 71.0}))
    (row,), notes = beside(same, ours(), COLUMNS)
    assert (row.marks, [mark for _, mark in row.numbers.values()]) == ("", ["", ""])
    assert len(notes) == 1
    assert "A paper, table 1" in notes[0]

    fields = {**NUMBER, "evaluation": "center crop 513", "scored": "best epoch"}
    numbers = {662: 70.0, 1323: {"miou": 71.0, "lists": "cps"}}
    (row,), notes = beside(read_rows(write(tmp_path / "x.yaml", **{**fields, "numbers": numbers})), ours(), COLUMNS)
    assert row.marks == "a, b", "what holds for the whole row stands at its name"
    assert [mark for _, mark in row.numbers.values()] == ["", "c"]
    assert notes[:3] == [
        "a: another evaluation: center crop 513.",
        "b: scored: best epoch (ours: last iteration).",
        "c: another labeled list: cps (ours: u2pl).",
    ]


def test_lists_of_our_own_are_no_published_ones():
    rows = choose(load_rows("voc_blender"), ours(lists={662: frozenset()}), "U2PL")
    _, notes = beside(rows, ours(lists={662: frozenset()}), {"1/16 (662)": 662})
    assert any("another labeled list: u2pl (ours is no published one)" in note for note in notes)


def test_a_list_that_families_share_is_everyones():
    shared = ours("cityscapes", {186: frozenset({"cps", "unimatch"})})
    rows = choose(load_rows("cityscapes"), shared, "PrevMatch,CPS (U2PL's rerun)")
    placed, notes = beside(rows, shared, {"1/16 (186)": 186})
    text = {note[0]: note for note in notes}
    marks = {row.method: [text[mark] for mark in row.marks.split(", ")] for row in placed}
    assert not any("labeled list" in note for note in marks["PrevMatch"])
    assert any("u2pl (ours: cps/unimatch)" in note for note in marks["CPS (U2PL's rerun)"])


def test_the_choice_of_rows():
    rows = load_rows("voc_blender")
    names = [row.method for row in choose(rows, ours(), "true")]
    assert "U2PL" in names
    assert "AllSpark" not in names, "another encoder"
    assert "AllSpark" in [row.method for row in choose(rows, ours(), "all")]
    assert {row.method for row in choose(rows, ours(encoder="resnet50"), "true")} == {"SupOnly (AugSeg's logs)"}
    assert choose(rows, ours(), "false") == []
    assert [row.method for row in choose(rows, ours(), "ps-mt")] == ["PS-MT", "PS-MT"]
    last = "UniMatch V2 (logs, last epoch)"
    one = ours("coco", {232: frozenset()}, "dinov2_base")
    assert {row.method for row in choose(load_rows("coco"), one, f"{last}, SemiVL")} == {last, "SemiVL"}
    with pytest.raises(UserError, match="there are: SupOnly"):
        choose(rows, ours(), "GTA-Seg")
    assert choose(rows, ours(lists={92: frozenset()}), "all") == [], "no number in our columns"


def test_more_marks_than_letters():
    rows = [row for name in ("voc_blender",) for row in load_rows(name)]
    many = [
        type(row)(row.method, row.encoder, {n: type(v)(v.miou, v.source, f"{i}", v.encoder, v.evaluation, v.scored)})
        for i, row in enumerate([*rows, *rows])
        for n, v in list(row.numbers.items())[:1]
    ]
    _, notes = beside(many, ours(), COLUMNS)
    marks = [note.partition(":")[0] for note in notes[:-1]]
    assert len(set(marks)) == len(marks) > 26
    assert {"a", "z", "aa"} <= set(marks)


def test_another_network_than_the_headline_is_marked():
    """The last epoch of a student is not the last iteration of a teacher; what names no network has no other one."""
    teacher = replace(ours("ade20k", {316: frozenset()}, "beit_b"), networks=frozenset({"teacher"}))
    of = {row.method: row.numbers[316] for row in load_rows("ade20k") if row.encoder == "beit_b"}

    def said(method, protocol):
        return [text for text in differences(of[method], 316, protocol) if text.startswith("scored")]

    student = "UniMatch V2 (logs, student, last epoch)"
    assert said(student, teacher) == ["scored: last epoch of the student (ours: last iteration of the teacher)"]
    assert said("UniMatch V2 (logs, last epoch)", teacher) == []
    both = replace(teacher, networks=frozenset({"student", "teacher"}))
    assert said(student, both) == [], "a table with a row for each network"
    best = replace(teacher, scored="best")
    assert said("UniMatch V2 (logs, student)", best) == [
        "scored: best epoch of the student, chosen on the validation set (ours: best evaluation of the teacher)"
    ]
    (supervised,) = [
        row.numbers[316]
        for row in load_rows("ade20k")
        if (row.method, row.encoder) == ("SupOnly (UniMatch V2's logs, last epoch)", "dinov2_base")
    ]
    assert not any(text.startswith("scored") for text in differences(supervised, 316, teacher))


def test_a_score_on_a_part_of_the_images_is_another_than_published_ones():
    (row,) = [row for row in load_rows("voc_classic") if row.method == "GTA-Seg"]
    whole, part = ours("voc_classic"), replace(ours("voc_classic"), part="first 50 images of VOC 2012 val")
    more = set(differences(row.numbers[366], 366, part)) - set(differences(row.numbers[366], 366, whole))
    assert more == {"scored on all validation images (ours: first 50 images of VOC 2012 val)"}

"""The grammar: names, settings and dashed options in any order, the old words, and what is said of a wrong one."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from gta.cli import grammar
from gta.cli.grammar import Option, Words
from gta.cli.main import COMMANDS, SECTIONS, cli, main
from gta.cli.options import retry
from gta.cli.reference import commands, markdown
from launch.state.ledger import RETRY
from tests.helpers.program import ROOT, Run

Asked = dict[str, object]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Asked]:
    """What a command line is understood as; nothing is run."""

    def understood(*line: str) -> Asked:
        given: Asked = {}
        for _, command in commands():
            monkeypatch.setattr(command, "callback", lambda **asked: given.update(asked) or 0)
        assert main(list(line)) == 0
        return given

    return understood


def test_words_and_options_stand_in_any_order(ask: Callable[..., Asked]) -> None:
    asked = ask(
        "retry", "--oom", "gta/92/seed0", "sweep=shapes", "--mem", "64G", "cps/*", "~data", "++x.y=1", "--time=2h"
    )
    assert asked["words"] == Words(("gta/92/seed0", "cps/*"), ("sweep=shapes", "~data", "++x.y=1"))
    assert (asked["oom"], asked["mem"], asked["time"], asked["wait"]) == (True, 64, 120, True)


def test_cells_may_be_repeated_or_parted_by_commas(ask: Callable[..., Asked]) -> None:
    assert ask("plan", "--cells", "a,b", "sweep=shapes", "--cells=c")["cells"] == ("a", "b", "c")


def test_a_checkpoint_stands_in_place_of_a_cell(ask: Callable[..., Asked]) -> None:
    assert ask("eval", "data=shapes", "--checkpoint", "f")["words"] == Words((), ("data=shapes",))
    assert ask("eval", "--checkpoint", "f", "data=shapes")["checkpoint"] == "f"


def test_a_short_option_takes_an_equals_sign_as_in_hydras_programs(ask: Callable[..., Asked]) -> None:
    assert ask("-c=hydra", "sweep=shapes")["cfg"] == "hydra"
    assert ask("multirun", "sweep=shapes", "-c=job", "-p=schedule")["package"] == "schedule"
    asked = ask("logs", "gta/92/seed0", "-f", "-n=5")
    assert (asked["lines"], asked["follow"]) == (5, True)
    assert ask("remote", "cluster", "train", "-c=job")["command_line"] == ("train", "-c=job"), "another command's own"


def test_watch_takes_its_seconds_only_with_an_equals_sign(ask: Callable[..., Asked]) -> None:
    assert ask("status", "--watch", "sweep=shapes")["watch"] == 5.0
    assert ask("status", "--watch=0.5", "sweep=shapes")["watch"] == 0.5
    assert ask("status", "sweep=shapes")["watch"] is None


OLD = {
    "multirun retry=failed": "--retry failed",
    "multirun wait=false": "--no-wait",
    "multirun wait=true": "--wait",
    "multirun budget=200": "--budget 200",
    "multirun cells=a,b": "--cells a,b",
    "plan retry=all": "--retry all",
    "plan budget=none": "--budget none",
    "plan cells=a": "--cells a",
    "retry mem=64": "--mem 64",
    "retry time=2h": "--time 2h",
    "retry gpus=2": "--gpus 2",
    "retry cpus=2": "--cpus 2",
    "retry partition=p": "--partition p",
    "retry account=a": "--account a",
    "retry qos=q": "--qos q",
    "retry constraint=c": "--constraint c",
    "retry exclude=n1,n2": "--exclude n1,n2",
    "retry wait=false": "--no-wait",
    "retry budget=3.5": "--budget 3.5",
    "table baseline=gta": "--baseline gta",
    "table published=all": "--published all",
    "table best=false": "--no-best",
    "report baseline=gta": "--baseline gta",
    "report published=false": "--published false",
    "report best=true": "--best",
    "eval network=teacher": "--network teacher",
    "eval which=best": "--which best",
    "eval device=cpu": "--device cpu",
    "eval checkpoint=f": "--checkpoint f",
    "predict network=teacher": "--network teacher",
    "predict which=best": "--which best",
    "predict device=cpu": "--device cpu",
    "predict checkpoint=f": "--checkpoint f",
    "predict out=o": "--out o",
    "predict list=f": "--list f",
    "predict images=d": "--images d",
    "predict format=cityscapes": "--format cityscapes",
    "data check all=true": "--all",
    "splits import family=u2pl": "--family u2pl",
    "splits make ratios=1/8,1/4": "--ratios 1/8,1/4",
    "splits make split_seed=3": "--split-seed 3",
}
NAMED = {"eval": ["CELL"], "predict": ["CELL", "--out", "o"], "splits": ["FROM"]}


@pytest.mark.parametrize("old", OLD)
def test_an_old_word_does_what_the_new_one_does_and_says_it(
    old: str, ask: Callable[..., Asked], capsys: pytest.CaptureFixture[str]
) -> None:
    *command, word = old.split()
    named = NAMED.get(command[0], []) if command[-1] != "make" else []
    before = ask(*command, *named, word)
    assert capsys.readouterr().err == f"{word} still works; write {OLD[old]}.\n"
    assert before == ask(*command, *named, *OLD[old].split())
    assert capsys.readouterr().err == ""


def test_every_old_word_is_tested() -> None:
    declared = {
        f"{context.command_path.removeprefix('gta ')} {param.old}="
        for context, command in commands()
        for param in command.params
        if isinstance(param, Option) and param.old
    }
    assert declared == {f"{old.partition('=')[0]}=" for old in OLD}


def test_several_old_words_are_said_in_one_line(ask: Callable[..., Asked], capsys: pytest.CaptureFixture[str]) -> None:
    ask("multirun", "sweep=shapes", "retry=failed", "wait=false")
    assert capsys.readouterr().err == "retry=failed wait=false still work; write --retry failed --no-wait.\n"
    assert ask("data", "check", "all=false")["every"] is False
    assert ask("plan", "--cells", "retry=failed")["retry"] == "none", "the value of an option is no old word"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("plam", "plam: there is no such command; did you mean plan?"),
        ("data", "make-shapes"),
        ("data chek", "chek: there is no such command; did you mean check?"),
        ("plan sweep=shapes --retyr failed", "--retyr: there is no such option; did you mean --retry?"),
        ("status --sweep shapes", "--sweep: there is no such option; settings have no dashes: sweep=shapes"),
        (
            "plan --iterations 5",
            "--iterations: there is no such option; settings have no dashes: schedule.iterations=5",
        ),
        ("train --seeds sweep=shapes", "--seeds: there is no such option; settings have no dashes: seed=VALUE"),
        ("plan data=vocc", "data=vocc: there is no such data; did you mean voc_blender or voc_classic?"),
        (
            "plan sweep=shapes -m",
            "-m: there is no such option; there are --retry, --cells, --state, --method, --budget, --calibrate, "
            "--help.",
        ),
        ("status sweep=shapes --state qeued", "--state qeued: there is no such state; did you mean queued?"),
        ("plan shapes", "shapes: not an override; write name=value"),
        ("plan --budget=nan", "'--budget': give GPU-hours, as in --budget 200."),
        ("plan --budget=-1", "'--budget': give GPU-hours"),
        ("plan --retry", "'--retry' requires an argument"),
        ("multirun sweep=shapes retry=often", "'often' is not one of 'none', 'failed', 'cancelled', 'all'."),
        ("multirun sweep=shapes wait=maybe", "wait=maybe: use --wait/--no-wait."),
        ("table sweep=shapes best=maybe", "best=maybe: use --best/--no-best."),
        ("status --json=yes", "does not take a value"),
        ("status --watch=never", "'--watch': give the seconds between two looks"),
        ("retry sweep=shapes --mem lots", "'--mem': give whole GB"),
        ("retry sweep=shapes --time soon", "'--time': give minutes, or 90m, 2h"),
        ("retry sweep=shapes --gpus two", "'--gpus': give a whole number"),
        ("logs gta --rank x", "'--rank': 'x' is not a valid integer"),
        ("logs", "logs takes one cell"),
        ("show a b", "show takes one cell"),
        ("diff a", "diff takes two cells"),
        ("eval", "eval takes cells or a grid"),
        ("eval a --which=first", "'--which': 'first' is not one of 'last', 'best'."),
        ("predict CELL", "predict needs --out FOLDER"),
        ("predict CELL --out o --format voc", "'voc' is not one of 'pictures', 'cityscapes'."),
        ("splits import --family u2pl", "import takes one place"),
        ("splits make --split-seed x", "'--split-seed'"),
        ("settings zzz", "zzz: no setting has this in its name or description; `gta settings` lists all."),
        ("settings thresold", "did you mean threshold or "),
        ("completion", "bash"),
        ("completion tcsh", "'tcsh' is not one of 'bash', 'zsh', 'fish'."),
    ],
)
def test_a_wrong_word_is_a_sentence_and_exit_code_2(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown
    if line != "data":
        assert shown.splitlines()[-1].startswith("error: ")


def test_the_words_of_retry_are_those_of_the_ledger() -> None:
    @retry
    def function() -> None: ...

    (option,) = function.__click_params__  # type: ignore[attr-defined]
    assert tuple(option.type.choices) == tuple(RETRY)


def test_a_new_option_is_meant() -> None:
    """Every option of every command: a new one fails here until it is written down."""
    found = {
        context.command_path.removeprefix("gta "): " ".join(
            name for param in command.params for name in [*param.opts, *param.secondary_opts] if name.startswith("-")
        )
        for context, command in commands()
    }
    picked = "--state --method"
    cfg = "-c --cfg -p --package --resolve"
    network = "--network --which --device --checkpoint"
    resources = "--mem --time --gpus --cpus --partition --account --qos --constraint --exclude"
    assert found == {
        "plan": f"--retry --cells {picked} --budget --calibrate",
        "multirun": f"--retry --cells {picked} --wait --no-wait --budget --after {cfg}",
        "retry": f"--oom --new-order {picked} {resources} --wait --no-wait --budget",
        "doctor": "",
        "remote": "--ssh --program --results --no-results",
        "status": f"--watch {picked} --all --json",
        "usage": f"{picked} --json",
        "logs": f"-f --follow --rank --attempt -n --lines {picked}",
        "hold": picked,
        "release": f"{picked} --priority",
        "cancel": f"{picked} --yes",
        "gc": "--best --cache --list --yes",
        "repair": "--yes",
        "table": "--baseline --published --best --no-best --missing --networks --score --protocol --bootstrap --strict "
        "--other-roots --style --caption --label --decimals",
        "report": "--baseline --published --best --no-best --missing",
        "show": "--json",
        "diff": "--json",
        "sync": "",
        "train": cfg,
        "debug": "--here --pdb",
        "drill": "--slurm --ranks --iterations --points",
        "eval": f"{network} --again",
        "predict": f"--out --list --images --format {network}",
        "data check": "--all",
        "data init": "--name",
        "data make-shapes": "",
        "data views": "--out --images",
        "splits show": "",
        "splits import": "--family",
        "splits make": "--ratios --split-seed",
        "config": f"--json {cfg}",
        "settings": "",
        "completion": "",
    }


@pytest.mark.parametrize("path", [context.command_path.removeprefix("gta ") for context, _ in commands()])
def test_help_says_what_a_command_does_with_an_example(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*path.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: gta {path}")
    usage, _, examples = shown.partition("\nExamples:\n")
    assert f"  gta {path}" in examples or f"-m gta {path}" in examples
    short = usage.splitlines()[2].strip()
    assert short
    assert main([*path.split(), "-h"]) == 0
    assert capsys.readouterr().out == shown
    assert main(["help", *path.split()]) == 0
    assert capsys.readouterr().out == shown


def test_examples_are_lines_that_the_grammar_takes(ask: Callable[..., Asked]) -> None:
    for _, command in commands():
        for example in command.examples:
            words = example.split("#")[0].replace("'", "").replace("torchrun --nproc-per-node 2 -m ", "").split()
            if words[0] == "gta":
                ask(*itertools.takewhile(lambda word: word != ">", words[1:]))


def test_help_of_all_names_every_command(gta: Run) -> None:
    answer = gta("--help")
    assert answer.returncode == 0
    assert answer.stdout.startswith("Usage: python -m gta COMMAND")
    assert all(f"\n  {name} " in answer.stdout for name in COMMANDS)
    assert all(f"\n{title}:\n" in answer.stdout for title in SECTIONS)
    assert gta("help").stdout == answer.stdout


def test_the_reference_has_every_command_and_option() -> None:
    text = markdown()
    for context, command in commands():
        section = text.partition(f"## {context.command_path}\n")[2].partition("\n## ")[0]
        assert section, context.command_path
        assert all(param.long in section for param in command.params if isinstance(param, Option))
        assert all(example in section for example in command.examples)
    assert r"--retry [none\|failed\|cancelled\|all]" in text


def test_the_version_names_the_commit_of_a_checkout(gta: Run) -> None:
    shown = gta("--version").stdout
    assert shown.startswith("gta-seg")
    if (ROOT / ".git").exists():
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout[:9]
        assert f"(commit {head}" in shown


HEAVY = ("torch", "hydra", "omegaconf", "numpy", "pandas", "yaml", "mlflow", "rich")


def test_no_help_imports_anything_heavy() -> None:
    lines = [["--help"], ["--version"], *([*context.command_path.split()[1:], "--help"] for context, _ in commands())]
    code = f"import sys; from gta.cli.main import main\nfor line in {lines!r}: assert main(line) == 0\n"
    code += f"sys.exit(str([name for name in {HEAVY!r} if name in sys.modules] or ''))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (answer.returncode, answer.stderr.strip()) in ((0, ""), (1, "")), answer.stderr


def test_the_installed_program_calls_itself_gta(tmp_path: Path) -> None:
    program = tmp_path / "gta"
    program.write_text(f"#!{sys.executable}\nimport sys\nfrom gta.__main__ import main\nsys.exit(main())\n")
    program.chmod(0o755)
    answer = subprocess.run(
        [str(program), "plan", "-h"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert answer.stdout.startswith("Usage: gta plan [NAME=VALUE]..."), answer.stderr


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    line = f"{sys.executable} -m gta settings | head -n 1"
    answer = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_options_know_the_command_line_they_belong_to() -> None:
    """Everything is declared by our own classes, so that each option may have an old word and each help an example."""
    for _, command in commands(cli):
        assert isinstance(command, grammar.Command)
        assert all(isinstance(param, (Option, click.Argument)) for param in command.params)

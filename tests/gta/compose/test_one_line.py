"""A line break in a text of the config becomes a line of no batch script, record or table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hydra.types import RunMode

from gta.compose.hydra import ConfigLoaderImpl
from gta.compose.validate import check_config
from gta.config import Config
from gta.errors import UserError
from gta.fields import describe
from launch.submit.executor import one_job
from launch.submit.launcher import slurm_params
from tests.helpers.cells import config
from tests.helpers.configs import changed

EVIL = "gpu\ntouch /tmp/owned #"
SHELL = "site.setup"


def kinds(schema: type, prefix: str = "") -> dict[str, Any]:
    """Dotted name -> declared type of every field that is no dataclass."""
    found: dict[str, Any] = {}
    for name, kind in get_type_hints(schema).items():
        inner = next((one for one in (kind, *get_args(kind)) if hasattr(one, "__dataclass_fields__")), None)
        if inner is not None:
            found |= kinds(inner, f"{prefix}{name}.")
        elif f"{prefix}{name}" in describe(Config):
            found[f"{prefix}{name}"] = kind
    return found


def texts() -> list[tuple[str, Any]]:
    """(name, a value with a line break) of every field that holds texts."""
    made: list[tuple[str, Any]] = []
    for name, kind in kinds(Config).items():
        if kind in (str, str | None):
            made.append((name, EVIL))
        elif kind == list[str] and name != SHELL:
            made.append((name, ["a", EVIL]))
        elif kind == dict[str, str]:
            made += [(name, {"nice": EVIL}), (name, {EVIL: "1"})]
    return made


def test_there_are_such_fields() -> None:
    names = {name for name, _ in texts()}
    assert {"site.partition", "site.account", "site.sbatch", "method.label", "data.classes", "paths.runs"} <= names


@pytest.mark.parametrize(("name", "value"), texts(), ids=str)
def test_a_text_with_a_line_break_is_refused_before_anything_is_made(name: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"^{re.escape(name)} is .*gpu\\ntouch /tmp/owned #.*; it must be [^\n]*\.$"):
        check_config(changed(config(), {name: value}))


@pytest.mark.parametrize("character", ["\r", "\x00", "\x1b", "\x7f", "\x85", "\u2028", "\ud8ff"])
def test_other_characters_that_end_or_hide_a_line_are_refused(character: str) -> None:
    with pytest.raises(UserError, match=r"site\.account is .*; it must be a word: text without spaces, quotes"):
        check_config(changed(config(), {"site.account": f"vision{character}x"}))


def test_setup_lines_are_a_shells_own() -> None:
    check_config(changed(config(), {SHELL: ["if true; then\n\tmodule load cuda\nfi"]}))
    with pytest.raises(
        UserError, match=r"site\.setup is .*\\x00load.*; it must be a list of texts, each lines of text without other"
    ):
        check_config(changed(config(), {SHELL: ["module\x00load"]}))


@pytest.mark.parametrize("word", ["a b", "a=b", "--gres", "nice\n", ""])
def test_a_word_that_is_no_option_of_sbatchs_is_refused(word: str) -> None:
    with pytest.raises(UserError, match=r"site\.sbatch"):
        check_config(changed(config(), {"site.sbatch": {word: "1"}}))


def test_no_parameter_of_the_launcher_becomes_lines_of_the_script(
    loader: ConfigLoaderImpl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """hydra.launcher.partition=... on the command line was never a site's."""
    master = loader.load_configuration("config", ["hydra/launcher=slurm"], RunMode.MULTIRUN)
    params = slurm_params(master, config().site)
    (tmp_path / "srun").write_text("#!/bin/sh\n")
    (tmp_path / "srun").chmod(0o755)  # submitit looks for it
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "gpu" in one_job({**params, "partition": "gpu"})
    for name in ("name", "partition", "account", "qos", "constraint", "exclude", "gres", "comment", "dependency"):
        with pytest.raises(UserError, match=rf"hydra\.launcher\.{name} is .*\\ntouch.*; it must be one line of text"):
            one_job({**params, name: EVIL})
    for words in ({"nice": EVIL}, {EVIL: "1"}, {"a b": "1"}):
        with pytest.raises(UserError, match=r"hydra\.launcher\.additional_parameters"):
            one_job({**params, "additional_parameters": words})

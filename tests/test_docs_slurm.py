"""What docs/slurm.md shows: its site profile is one that works."""

from __future__ import annotations

import re
from pathlib import Path

from tests.helpers.program import ROOT, Run


def test_the_site_profile_of_the_page(say: Run, small: list[str], tmp_path: Path) -> None:
    page = (ROOT / "docs/slurm.md").read_text()
    profile = re.findall(r"```yaml\n# conf/site/mycluster.yaml\n(.*?)```", page, re.S)[0]
    (tmp_path / "conf/site").mkdir(parents=True)
    (tmp_path / "conf/site/mycluster.yaml").write_text(profile)
    words = ["sweep=shapes", "method=supervised", "seed=0", "site=mycluster", "hydra/launcher=slurm", *small]
    said = say("plan", *words, "schedule.group_size=2")
    assert said.returncode == 0, said.stderr
    assert "1 job of 4 GPUs" in said.stdout

"""What a launcher says and does where telling goes wrong: it goes on, and tries again while it looks."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import pytest
from filelock import FileLock

from launch.notify import news, told
from launch.notify.news import News, of_launcher
from launch.state.ledger import ledger
from tests.helpers.cells import finish
from tests.helpers.notified import SWEEP, fail, listen, look_once, of_site, over, script
from tests.helpers.notified import told as heard


def test_a_command_that_fails_is_a_line_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(told, "AGAIN_SECONDS", 0.0)
    fail(of_site(tmp_path, notify=script(tmp_path, code=4))[0])
    cells = of_site(tmp_path, notify=script(tmp_path, code=4))
    look_once(cells)
    assert "site.notify could not tell of the failure: exit code 4: a word" in capsys.readouterr().out
    cells = of_site(tmp_path)
    look_once(cells)
    look_once(cells)
    assert len(heard(tmp_path)) == 2, "the second one was told"


def fails_once(folder: Path) -> str:
    """A command that tells when it is run a second time."""
    return f"[ -e {folder}/tried ] || {{ touch {folder}/tried; exit 4; }}; {script(folder)}"


def test_what_is_seen_once_is_tried_again_where_its_command_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told, "AGAIN_SECONDS", 0.0)
    cells, now = of_site(tmp_path, notify=fails_once(tmp_path)), [0.0]
    made = News(cells, SWEEP, clock=lambda: now[0])
    made.budget("Used 12 GPU-hours", 11.0, ledger(cells))
    listen(made, cells)
    assert heard(tmp_path) == []
    now[0] = news.PAUSE_SECONDS
    listen(made, cells)
    listen(made, cells)
    assert [fact["event"] for fact in heard(tmp_path)] == ["budget"]


def test_what_another_keeps_from_being_claimed_is_told_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "LOCK_SECONDS", 0.0)
    cells, now = of_site(tmp_path), [0.0]
    made = News(cells, SWEEP, clock=lambda: now[0])
    with FileLock(tmp_path / "runs/.notify.lock"):
        made.budget("Used 12 GPU-hours", 11.0, ledger(cells))
    assert not made.busy
    now[0] = news.PAUSE_SECONDS
    listen(made, cells)
    assert [fact["event"] for fact in heard(tmp_path)] == ["budget"]


def test_a_launcher_that_leaves_tries_nothing_again_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(told, "AGAIN_SECONDS", 0.0)
    cells = of_site(tmp_path, notify=fails_once(tmp_path))
    for cell in cells:
        finish(cell)
    for count in range(2):
        with of_launcher(cells, SWEEP) as made:
            made.end(ledger(cells))
        over(made)
        assert len(heard(tmp_path)) == count, "the next one does"
        said = "This launcher is over, and does not try again to tell of the end."
        assert (said in capsys.readouterr().out) == (count == 0)


def test_what_cannot_be_written_down_after_it_was_told_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def settle(*_: object) -> bool:
        raise OSError(errno.ENOSPC, "No space left")

    monkeypatch.setattr(told, "settle", settle)
    cells = of_site(tmp_path)
    fail(cells[0])
    look_once(cells)
    assert len(heard(tmp_path)) == 1
    said = "telling of the failure cannot be written down, so it counts as told: [Errno 28] No space left"
    assert said in capsys.readouterr().out


def test_a_launcher_goes_on_where_no_command_can_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(told, "AGAIN_SECONDS", 0.0)
    cells, now = of_site(tmp_path), [0.0]
    fail(cells[0])
    made = News(cells, SWEEP, clock=lambda: now[0])
    with monkeypatch.context() as without:
        without.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
        listen(made, cells)
    assert "site.notify could not tell of the failure: it could not be started: " in capsys.readouterr().out
    now[0] = news.PAUSE_SECONDS
    listen(made, cells)
    assert len(heard(tmp_path)) == 1, "it is tried again"


def test_a_launcher_whose_working_folder_was_removed_tells_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = of_site(tmp_path)
    fail(cells[0])
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    look_once(cells)
    (fact,) = heard(tmp_path)
    assert fact["folder"] == ""


def test_nothing_is_told_where_it_cannot_be_remembered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = of_site(tmp_path)
    fail(cells[0])
    cells[0].folder.notified_file.mkdir()
    look_once(cells)
    assert heard(tmp_path) == []
    assert "Nobody is told of events, as that cannot be remembered" in capsys.readouterr().out

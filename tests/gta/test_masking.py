"""One mask over what is printed and written, and what carries a credential is refused with where else it belongs."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from gta.cellfolder import Failure
from gta.compose.validate import check_config
from gta.errors import UserError
from gta.journal import Journal
from gta.masking import mask_output, masked, refuse_credentials, refuse_secrets, styled
from tests.helpers.cells import config
from tests.helpers.configs import changed
from tests.helpers.program import Run

SECRETS = [
    "postgresql://me:hunter2@host/db",
    "postgresql://me:12345678@host/db",
    "https://me:hun@ter2@host:5000",
    "https://me:hun/ter2@host:5000/x?y=1",
    "https://me:hun?t#er2@host",
    "https://:hunter2@host",
    "https://dapi0123456789abcdef@host",
    "mysql+pymysql://me:hunter2@host/db",
    "http://host:5000/?password=hunter2&x=1",
    "postgresql://host/db?user=me&password=hun@ter2",
    "postgresql://host/db?sslpassword=hunter2",
    "https://host/?access_token=hunter2",
]
PLACES = [
    "sqlite:////a/b.db",
    "sqlite:////home/me@here/b.db",
    "sqlite:///a/token/b.db",
    "http://host:5000",
    "https://[::1]:5000/mlflow",
    "https://host/path/api",
    "postgresql://me@host:5432/db",
    "postgresql://host/db?user=me@there",
    "postgresql+psycopg2://me@/postgres?host=/run/pg",
    "databricks://profile",
]
WORDS = ("hunter2", "hun@ter2", "hun/ter2", "t#er2", "ter2", "12345678", "dapi0123456789abcdef")


@pytest.mark.parametrize("uri", SECRETS)
def test_what_carries_a_credential_is_masked_and_refused(uri: str) -> None:
    for text in (uri, f"MLflow at {uri} is down: try {uri!r}.", f'{{"uri": "{uri}", "seed": 1}}'):
        assert not any(word in masked(text) for word in WORDS), masked(text)
    with pytest.raises(
        UserError, match=r"carries credentials.*(MLFLOW_TRACKING_USERNAME|PGPASSWORD|my\.cnf)"
    ) as caught:
        refuse_credentials(uri)
    assert not any(word in str(caught.value) for word in WORDS)
    with pytest.raises(UserError, match="carries credentials"):
        check_config(changed(config(), {"paths.tracking_uri": uri}))


@pytest.mark.parametrize("uri", PLACES)
def test_what_names_a_place_alone_is_shown_and_taken(uri: str) -> None:
    assert masked(f"MLflow at {uri} is down") == f"MLflow at {uri} is down"
    refuse_credentials(uri)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("gta plan sweep=shapes seed=1", "gta plan sweep=shapes seed=1"),
        ("at http://host:5000 ask me@host", "at http://host:5000 ask me@host"),
        ("Unexpected token: x; max_tokens=5", "Unexpected token: x; max_tokens=5"),
        ("export HF_TOKEN='a b' X=1", "export HF_TOKEN=*** X=1"),
        ("{'password': 'a b', 'seed': 1}", "{'password': '***', 'seed': 1}"),
        ("{'Authorization': 'Basic YWJj', 'a': 1}", "{'Authorization': 'Basic ***', 'a': 1}"),
        ("git clone ssh://me:pw@host/x", "git clone ssh://***@host/x"),
    ],
)
def test_other_texts(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_what_the_environment_holds_is_masked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "correct/horse")
    assert masked("refused: correct/horse, correct%2Fhorse") == "refused: ***, ***"


@pytest.mark.parametrize(
    "line",
    [
        "export MLFLOW_TRACKING_TOKEN=abc", "X_PASSWORD='abc' command", "A=1 api_key=abc",
        "export GTA_NOTIFY_URL=https://hooks.slack.com/services/T/B/abc", "export GTA_NOTIFY_URL='ntfy.sh/abc'",
    ],
)  # fmt: skip
def test_a_setup_line_with_a_password_in_it_is_refused(line: str) -> None:
    with pytest.raises(UserError, match=r"site\.setup says \w+ in plain.*=\$\(cat"):
        check_config(changed(config(), {"site.setup": ["module load cuda", line]}))
    assert "abc" not in masked(line)
    fine = ["export HF_TOKEN=$(cat ~/.hf)", 'export A_TOKEN="$B"', 'export GTA_NOTIFY_URL="$(cat ~/.gta-hook)"']
    check_config(changed(config(), {"site.setup": fine}))
    assert masked(fine[-1]) == fine[-1]


@pytest.mark.parametrize(
    "line", ["export TOKENIZERS_PARALLELISM=false", "export DB_PASSWORD_FILE=/run/secret", "PWD=/x make", "OLDPWD=/y"]
)
def test_a_setup_line_that_names_a_place_or_no_secret_is_taken(line: str) -> None:
    refuse_secrets("site.setup", [line])


def test_an_option_of_sbatch_with_a_token_in_it_is_refused() -> None:
    with pytest.raises(UserError, match=r"site\.sbatch says WANDB_API_KEY in plain.*\$\(cat ~/FILE\) in site\.setup"):
        check_config(changed(config(), {"site.sbatch": {"export": "ALL,WANDB_API_KEY=abcdef123"}}))


@pytest.mark.parametrize(
    "command",
    [
        'curl -d "$GTA_TEXT" https://hooks.slack.com/services/T01/B02/abcDEF123',
        "curl -d x 'http://chat.example/hooks/xyz'",
        "wget https://ntfy.sh/mytopic",
        "curl https://me:hunter2@host",
        "curl -H 'Authorization: Bearer abc123' https://host/$TOPIC",
        "export TOKEN=abc123; tell",
        'curl "https://api.telegram.org/bot123:abcDEF/sendMessage?chat_id=4&text=$GTA_TITLE"',
        'curl "https://discord.com/api/webhooks/1/abc?wait=$X"',
        'curl -d "$GTA_TEXT" ntfy.sh/mytopic',
        'curl -d "$GTA_PAYLOAD" hooks.slack.com/services/T/B/xyz',
        'wget --post-data "$GTA_TEXT" 10.0.0.7:8080/mytopic',
        'curl -u me:hunter2 https://example.org -d "$GTA_TEXT"',
        'curl -sSu "$USER:hunter2" "$GTA_NOTIFY_URL"',
        'curl -H "X-Gotify-Key: abcd" "$GTA_NOTIFY_URL"',
        'GTA_NOTIFY_URL=https://xyz; curl "$GTA_NOTIFY_URL"',
    ],
)
def test_the_address_of_a_hook_in_a_command_is_refused(command: str) -> None:
    with pytest.raises(UserError, match=r"site\.notify (has|says) .* in plain.*\$\(cat ~/FILE\)") as refused:
        check_config(changed(config(), {"site.notify": command}))
    assert not any(word in str(refused.value) for word in ("abc", "xyz", "hunter2", "mytopic"))


@pytest.mark.parametrize(
    "command",
    [
        "slack",
        'curl "$GTA_NOTIFY_URL"',
        'curl -H "Authorization: Bearer $MINE" https://host/$TOPIC',
        "mail me <x",
        'mail -s "$GTA_TITLE" me@host.tld <<<"$GTA_TEXT"',
        "./tools.dir/tell.py /data/my.runs/x && date -u +%H:%M",
        'curl -F "text=$GTA_TEXT in file.py: see /scratch/a.out/b" -F log=@/tmp/my.log/x https://host/$TOPIC',
        'curl -H "Content-Type: application/json" -H "X-Key: $KEY" -u "${WHO:-me}:$WORD" "https://host.tld/$TOPIC"',
    ],
)
def test_a_command_that_reads_it_from_the_environment_is_fine(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_config(changed(config(), {"site.notify": command}))
    monkeypatch.setenv("GTA_NOTIFY_URL", "https://ntfy.sh/mytopic")
    assert masked("could not reach https://ntfy.sh/mytopic") == "could not reach ***"


def test_a_long_word_is_looked_at_once() -> None:
    """A look from each of its letters on would not end."""
    for word in ("a" * 10**6, "-" * 10**6, "api_key" * 10**5):
        assert masked(word) == word


def test_what_a_process_prints_and_what_others_raise_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    mask_output()
    mask_output()  # harmless
    print("postgresql://me:hunter2@host/db", 1, sep="\n")
    sys.stderr.writelines(["https://me:hunter2@host\n"])
    sys.excepthook(OSError, OSError("https://me:hunter2@host is down"), None)
    shown = capsys.readouterr()
    assert shown.out == "postgresql://***@host/db\n1\n"
    assert "hunter2" not in shown.err
    assert "https://***@host is down" in shown.err


def test_no_name_and_no_error_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    mask_output()
    print("a\x1b[2Jb\x07\r\x9bc\u202ed", "e\tf\ng\udc80")
    print("\x1b[1mours\x1b[0m \x1b[2K https://me:hunter2@host", file=styled(sys.stdout))
    sys.excepthook(OSError, OSError("\x1b]0;title\x07"), None)
    shown = capsys.readouterr()
    first, second, third = shown.out.splitlines()
    assert (first, second) == (r"a\x1b[2Jb\x07\r\x9bc\u202ed e" + "\tf", r"g\udc80")
    assert third == "\x1b[1mours\x1b[0m \x1b[2K https://***@host"
    assert r"\x1b]0;title\x07" in shown.err
    assert "\x1b" not in shown.err


def test_a_letter_that_the_terminal_does_not_have_is_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding, shown in (
        ("ascii", b"72.02 ? 2.08 ?"),
        ("latin-1", b"72.02 \xb1 2.08 ?"),
        ("utf-8", "72.02 ± 2.08 …".encode()),
    ):
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written := io.BytesIO(), encoding))
        mask_output()
        print("72.02 ± 2.08 …", end="", flush=True)
        assert written.getvalue() == shown


def test_a_record_and_a_journal_hold_none(tmp_path: Path) -> None:
    Failure(attempt=1, error="postgresql://me:hunter2@host is down", time=1.0).write(tmp_path / "failure.json")
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.event("failed", error=["https://me:hunter2@host"])
    for path in tmp_path.iterdir():
        assert "hunter2" not in path.read_text()
        assert "://***@host" in path.read_text()


@pytest.mark.slow
def test_every_command_refuses_it_before_anything_is_written(say: Run, small: list[str], tmp_path: Path) -> None:
    """Given on the command line, by a file, or by the environment."""
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps/mine.yaml").write_text("paths: {tracking_uri: 'https://me:hunter2@host'}\n")
    given = [
        ["sweep=shapes", "paths.tracking_uri=https://me:hunter2@host"],
        ["sweep=shapes", "paths.tracking_uri=${oc.env:MY_STORE,'https://me:hunter2@host'}"],
        ["sweep=mine"],
    ]
    commands = ("status", "table", "report", "sync", "multirun", "retry", "doctor", "train")
    for command, words in [*(("plan", words) for words in given), *((command, given[0]) for command in commands)]:
        said = say(command, *words, *small)
        assert said.returncode == 2
        assert "carries credentials" in said.stderr
        assert "~/.mlflow/credentials" in said.stderr
        assert "hunter2" not in said.stdout + said.stderr
    said = say("plan", "sweep=shapes", "paths.tracking_uri=https://me:hunter2@host", "schedule.lr=zero")
    assert said.returncode == 2
    assert "hunter2" not in said.stdout + said.stderr
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "mine.yaml"]
    assert not any(b"hunter2" in path.read_bytes() for path in kept)

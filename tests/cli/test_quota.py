"""`agnews quota` as people and programs read it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from agnews_cli.cli.main import main
from agnews_cli.core.hours.picture import Week, svg
from agnews_cli.store.hours.ledger import Ledger

NOW = datetime.now(UTC)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def nobody_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("USERNAME", "KEY", "API_TOKEN", "API_V1_TOKEN", "CONFIG_DIR"):
        monkeypatch.delenv(f"KAGGLE_{name}", raising=False)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """`agnews …` in this process: exit code, standard output, standard error."""

    def command(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return command


def rows(out: str) -> dict[str, dict[str, Any]]:
    facts = json.loads(out)
    assert facts["schema"] == "agnews.quota/1"
    return {f"{row['platform']} {row['resource']}": row for row in facts["rows"]}


def work(hours: float, *, days_ago: float = 0.0, machine: str = "m") -> str:
    began = NOW - timedelta(days=days_ago, hours=hours)
    with Ledger() as ledger:
        ledger.machine = machine
        ledger.record_run("r", preset="p", dataset="d", seed=1, folder="f", now=began)
        session = ledger.open_session(
            "r", platform="kaggle", accelerator="T4", resource="gpu", now=began
        )
        ledger.close_session(session, "finished", began, held_s=hours * 3600)
    return session


def test_a_new_user_sees_what_there_is_and_how_it_is_known(run: Run) -> None:
    code, out, err = run("quota")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.partition(":")[0] for line in lines[:4]] == [
        "colab gpu",
        "colab tpu",
        "kaggle gpu",
        "kaggle tpu",
    ]
    assert "what is left is not known" in lines[0]
    assert "30.0 h of 30.0 h left until Saturday 00:00 UTC" in lines[2]
    assert "estimated (our sessions; 30 h by quota API answer, 2026-10-07)" in lines[2]
    assert lines[4] == "  - Kaggle was not asked: there is no Kaggle token here"
    assert "\x1b" not in out


def test_our_sessions_count_and_a_plan_is_judged(run: Run) -> None:
    work(1 / 60)
    code, out, _ = run("quota", "--json", "--needs", "40h", "--platform", "kaggle")
    assert code == 75
    gpu = rows(out)["kaggle gpu"]
    assert gpu["used_s"] == pytest.approx(60, abs=1)
    assert gpu["left_s"] == pytest.approx(108000 - 60, abs=1)
    assert (gpu["how"], gpu["cap_s"]) == ("estimated", 43200)
    plan = json.loads(out)["plan"][0]
    assert plan["fits"] is False
    assert json.loads(out)["fits"] is False
    assert plan["verdict"].startswith("Kaggle GPU: 40.0 h do not fit: 30.0 h left until Saturday")


@pytest.mark.parametrize(
    ("needs", "platform", "code", "said"),
    [
        ("9.4h", "kaggle", 0, "It fits."),
        ("90h", "kaggle", 75, "It does not fit now."),
        ("1h", "colab", 69, "It is not known if it fits."),
    ],
)
def test_whether_it_fits_is_the_last_line_and_the_exit_code(
    run: Run, needs: str, platform: str, code: int, said: str
) -> None:
    ended, out, _ = run("quota", "--needs", needs, "--platform", platform)
    assert (ended, out.splitlines()[-1]) == (code, said)


def test_who_knows_no_quota_is_told_how_to_say_it(run: Run) -> None:
    out = run("quota", "--platform", "colab")[1]
    command = next(line for line in out.splitlines() if "agnews quota set" in line)
    words = command.partition(": agnews ")[2].split()
    assert run(*words)[0] == 0
    assert "11.2 h" in run("quota", "--platform", "colab")[1]


def test_told_hours_units_and_reserves(run: Run) -> None:
    assert run("quota", "log", "kaggle", "gpu", "1m", "--began", NOW.isoformat())[0] == 0
    assert run("quota", "set", "colab", "gpu", "95cu")[1] == "79.8 h of colab gpu are left.\n"
    assert run("quota", "set", "kaggle", "tpu", "11.2h", "--returns", "2099-01-02T00:00Z")[0] == 0
    assert run("quota", "set", "kaggle", "gpu", "--reserve", "5h")[0] == 0
    found = rows(run("quota", "--json")[1])
    assert found["kaggle gpu"]["reserve_s"] == 5 * 3600
    assert found["kaggle gpu"]["left_s"] == pytest.approx(25 * 3600 - 60, abs=1)
    assert found["colab gpu"]["how"] == "reported"
    assert found["colab gpu"]["left_s"] == pytest.approx(95 / 1.19 * 3600)
    tpu = found["kaggle tpu"]
    assert (tpu["left_s"], tpu["returns_at"]) == (11.2 * 3600, "2099-01-02T00:00:00+00:00")
    assert run("quota", "set", "kaggle", "gpu", "--reserve", "0h")[0] == 0
    assert rows(run("quota", "--json")[1])["kaggle gpu"]["reserve_s"] == 0


def test_a_file_and_a_command_report(run: Run, tmp_path: Path) -> None:
    report = tmp_path / "kaggle.json"
    report.write_text(
        json.dumps([{"resource": "GPU", "used": "5.10h", "remaining": "24.90h", "total": "30h"}])
    )
    assert run("quota", "set", "kaggle", "gpu", "--file", report)[0] == 0
    assert run("quota", "set", "colab", "gpu", "--command", "echo 7.5h")[0] == 0
    found = rows(run("quota", "--json")[1])
    assert (found["kaggle gpu"]["how"], found["kaggle gpu"]["left_s"]) == ("reported", 24.9 * 3600)
    assert found["colab gpu"]["left_s"] == 7.5 * 3600
    report.write_text("soon")
    assert run("quota", "set", "colab", "gpu", "--command", "false")[0] == 0
    _, out, _ = run("quota")
    assert f"'{report}' does not tell what is left: left 'soon' is no amount of time" in out
    assert "'false' does not tell what is left: exit code 1" in out
    # what was heard last still counts
    assert rows(run("quota", "--json", "--offline")[1])["colab gpu"]["how"] == "reported"


def test_an_export_is_taken_in_once_anywhere(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = work(2)
    run("quota", "log", "kaggle", "tpu", "1h")
    assert run("quota", "export", "-o", tmp_path / "used.csv")[1].startswith("2 rows")
    assert session in (tmp_path / "used.csv").read_text()
    again = run("quota", "import", tmp_path / "used.csv")
    assert again[1] == "0 new rows (0.0 h), 2 known before.\n"
    monkeypatch.setenv("AGNEWS_HOME", str(tmp_path / "other"))
    assert run("quota", "import", tmp_path / "used.csv")[1].startswith("2 new rows (3.0 h)")
    assert run("quota", "import", tmp_path / "used.csv")[1].startswith("0 new rows")
    code, out, _ = run("quota", "export")
    assert code == 0
    assert len(out.splitlines()) == 3


@pytest.mark.parametrize(
    "text",
    [
        "platform,resource,began_at,hours\nkaggle,GPU,2026-11-20T08:00Z,2.5\n",
        "platform\tresource\tbegan_at\thours\nkaggle\tgpu\t2026-11-20T08:00\t2h30m\n",
        '[{"platform":"kaggle","resource":"gpu","began_at":"2026-11-20T08:00Z","hours":2.5}]',
    ],
)
def test_rows_without_an_id_are_known_by_what_they_say(run: Run, tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.txt"
    path.write_text(text)
    assert run("quota", "import", path)[1] == "1 new rows (2.5 h), 0 known before.\n"
    assert run("quota", "import", path)[1].startswith("0 new rows")


def test_bad_rows_change_nothing(run: Run, tmp_path: Path) -> None:
    path, head = tmp_path / "bad.csv", "platform,resource,began_at,hours\n"
    good = "kaggle,gpu,2026-11-20T08:00Z,1\n"
    for row, problem in (
        ("kaggle,fpga,2026-11-20T08:00Z,1", "row 2: resource is 'fpga'; expected gpu, tpu or cpu"),
        ("kaggle,gpu,yesterday,1", "row 2: began_at is 'yesterday'"),
        ("kaggle,gpu,2026-11-20T08:00Z,-1", "row 2: hours is '-1'"),
        ("kaggle,gpu,2026-11-20T08:00Z,nan", "row 2: hours is 'nan'"),
        (",gpu,2026-11-20T08:00Z,1", "row 2: platform is ''"),
    ):
        path.write_text(head + good + row + "\n")
        code, _, err = run("quota", "import", path)
        assert code == 65
        assert problem in err
    assert run("quota", "import", tmp_path / "none.csv")[0] == 66
    path.write_bytes(b"\xff\xfe\x00junk")
    assert run("quota", "import", path)[0] == 65
    assert run("quota", "export")[1].count("\n") == 1


def test_history_as_table_and_picture(run: Run, tmp_path: Path) -> None:
    work(3, days_ago=8)
    work(2, days_ago=15, machine="n")
    code, out, _ = run("quota", "history", "--weeks", 4, "--picture", tmp_path / "h.svg")
    assert code == 0
    assert "kaggle gpu" in out
    root = ElementTree.parse(tmp_path / "h.svg").getroot()
    assert root.tag.endswith("svg")
    weeks = json.loads(run("quota", "history", "--weeks", 4, "--json")[1])
    assert len(weeks) == 4
    assert sum(week["hours"].get("kaggle gpu", 0) for week in weeks) == pytest.approx(5)
    assert all(datetime.fromisoformat(week["start"]).weekday() == 5 for week in weeks)
    assert run("quota", "history", "--picture", tmp_path / "h.bmp")[0] == 2


def test_the_picture_is_drawn_to_scale() -> None:
    text = svg([Week(NOW, {"a<b": 3.0, "c": 1.0}), Week(NOW, {})], "Hours & weeks")
    root = ElementTree.fromstring(text)
    bars = [e for e in root if e.tag.endswith("rect") and len(e)]
    heights = {e[0].text: float(e.attrib["height"]) for e in bars}
    assert heights["a<b: 3.0 h"] == pytest.approx(3 * heights["c: 1.0 h"], abs=0.2)
    assert ElementTree.parse(io.StringIO(svg([], ""))).getroot() is not None


def test_the_forecast(run: Run) -> None:
    work(20, days_ago=2)
    found = json.loads(run("quota", "forecast", "--json", "--platform", "kaggle")[1])
    by_name = {each["resource"]: each for each in found}
    assert by_name["gpu"]["per_day_s"] == pytest.approx(20 * 3600 / 7, rel=0.01)
    assert by_name["tpu"]["why_not"] == "nothing was used"
    assert run("quota", "forecast")[0] == 0


def test_mistakes_name_what_is_expected(run: Run) -> None:
    for arguments, code, words in (
        (("log", "kagle", "gpu", "1h"), 2, "did you mean 'kaggle'"),
        (("log", "kaggle", "gpu", "eleven"), 2, "'eleven' is not a duration"),
        (("log", "kaggle", "gpu", "11"), 2, "without a unit: 11h or 11m?"),
        (("set", "kaggle", "gpu"), 2, "Nothing to set"),
        (("set", "kaggle", "gpu", "1h", "--returns", "soon"), 2, "--returns 'soon' is not a time"),
        (("log", "kaggle", "fpga", "1h"), 2, "fpga"),
        (("--needs", "much"), 2, "--needs 'much'"),
        (("--session-started", "noon"), 2, "--session-started 'noon'"),
        (("--platform", "x"), 2, "No limits are known"),
    ):
        ended, _, err = run("quota", *arguments)
        assert ended == code, arguments
        assert words in err


def test_on_kaggle_this_session_has_an_age_and_a_deadline(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGNEWS_PLATFORM", "kaggle")
    now = datetime.now(UTC)
    started = (now - timedelta(hours=2)).isoformat()
    _, out, _ = run("quota", "--json", "--session-started", started)
    (here,) = [row for row in rows(out).values() if row["age_s"] is not None]
    assert here["age_s"] == pytest.approx(7200, abs=60)
    left_s = (datetime.fromisoformat(here["deadline_at"]) - now).total_seconds()
    assert left_s == pytest.approx(here["cap_s"] - 7200, abs=60)
    _, out, _ = run("quota", "--session-started", started)
    assert "this session is 2 h old, ends by" in out


def test_on_a_terminal_there_is_a_bar() -> None:
    from agnews_cli.cli import bars
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.hours.quota import look

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    out = Output(stream=stream, error_stream=io.StringIO(), env={"TERM": "xterm"})
    out.sink = "terminal"
    bars.show(out, look(is_offline=True))
    assert "━" in stream.getvalue()
    assert "Kaggle GPU" in stream.getvalue()


def test_the_real_command_answers_without_torch_or_pandas(agnews: Any) -> None:
    ended = agnews("quota", "--json", PYTHONPROFILEIMPORTTIME="1")
    assert ended.code == 0
    assert rows(ended.out)["kaggle gpu"]["left_s"] == 108000
    modules = {line.rpartition("|")[2].strip() for line in ended.err.splitlines()}
    assert len(modules) > 100
    for heavy in ("torch", "pandas", "numpy", "sqlite_utils", "kaggle", "transformers"):
        assert heavy not in modules

"""A command line that cannot be read: one error in our words, exit code 2, a line to paste."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable

import pytest

from agnews_cli.cli.main import main

Ended = tuple[int, str, str]
Say = Callable[..., Ended]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], tmp_path, monkeypatch) -> Say:
    monkeypatch.chdir(tmp_path)

    def said(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return said


# what is typed: (what is found and expected, a line of the hint)
WRONG = {
    "plam --on kaggle": ("no command 'plam' (did you mean plan", "agnews plan --on kaggle"),
    "reviews.csv --budget 45m": ("'reviews.csv'", "agnews auto reviews.csv --budget 45m"),
    "history --weeks 3": ("no command 'history'", "agnews quota history --weeks 3"),
    "train 'my reviews.csv'": ("no command 'train'", "agnews auto 'my reviews.csv'"),
    "run show": ("no command 'run' (did you mean runs", "agnews runs show"),
    "help auto": ("no command 'help'", "agnews --help"),
    "leaderboard --store x": ("no command 'leaderboard'", "agnews runs --leaderboard --store x"),
    "--budget 5m": ("no option --budget", "agnews auto --budget 5m"),
    "quota hist": ("no command 'hist' (did you mean history", "agnews quota history"),
    "auto --bugdet=5m": ("no option --bugdet (did you mean --budget?)", "agnews auto --budget=5m"),
    "auto --lab x": ("no option --lab (did you mean --label-column?)", "agnews auto --label-col"),
    "plan --what": ("no option --what (did you mean --what-if?)", "agnews plan --help"),
    "auto --zzz": ("agnews auto has no option --zzz", "agnews auto --help"),
    "auto --seed": ("--seed needs a value", "agnews auto --help"),
    "auto --fresh=1": ("--fresh takes no value", "agnews auto --help"),
    "auto --seed x": ("--seed 'x': expected a whole number", "agnews auto --help"),
    "auto --seed=-1": ("--seed -1 is out of range: it can be 0 to", "Leave out --seed"),
    "auto --goal acuracy": ("expected one of accuracy, balanced", "agnews auto --goal accuracy"),
    "auto --lr high": ("--lr 'high': expected a number", "agnews auto --help"),
    "auto a.csv b.csv": ("no further word, and was given: b.csv", "agnews auto --help"),
    "auto a.csv --data b.csv": ("'a.csv' and as --data 'b.csv'", "agnews auto --data a.csv"),
    "verify-resume --kills 50": ("--kills '50': expected 20 or less", "agnews verify-resume"),
    "notebook": ("needs PLACE: Where it will run: colab or kaggle", "agnews notebook colab"),
    "notebook colb": ("expected one of colab, kaggle", "agnews notebook colab"),
    "predict": ("needs RUN", 'agnews predict latest "a text"'),
    "quota log kaggle gpi 4h": ("expected one of gpu, tpu, cpu", "agnews quota log kaggle gpu 4h"),
    "quota log kaggle gpu": ("needs HOURS", "agnews quota log kaggle gpu 3.5h"),
    "quota log kaggle gpu 3.5": ("3.5h or 3.5m?", "agnews quota log kaggle gpu 3.5h"),
    "quota --needs 9": ("9h or 9m?", "--needs 9h"),
    "auto --budget 45": ("45m or 45s?", "--budget 45m"),
    "auto --save-every 5": ("5m or 5s?", "--save-every 5m"),
    "auto --until 2500": ("neither a time nor a duration", "--until 23:30"),
    "auto --session-hours 0.001": ("too short: expected at least 36s", "--session-hours 8h"),
    "auto --session-hours inf": ("'inf' is not a duration", "--session-hours 8h"),
    "plan --left kaggle=9": ("9h or 9m?", "--left kaggle=9h"),
    "plan --reserve 5": ("5h or 5m?", "--reserve 5h"),
    "plan --simulate 2 --lifetime 4": ("4h or 4m?", "--lifetime 4h"),
    "plan --rows 9 a.csv": ("for a plan without data", "--limit-train"),
    "checkpoints save-now --wait 60": ("60m or 60s?", "--wait 60m"),
    "auto --epochs 0": ("--epochs 0: expected more than 0", "--epochs 3"),
    "auto --lr 5": ("--lr 5: expected a rate between 0 and 1", "--lr 2e-5"),
    "auto --epochs 3 --set training.epochs=4": ("training.epochs=3.0, and --set", "leave out"),
    "auto --batch-size 8 --set training.batch_tokens=1": ("=512, and --set says", "leave out"),
}


@pytest.mark.parametrize("typed", WRONG)
def test_misuse_is_one_error_with_a_line_to_paste(say: Say, typed: str) -> None:
    found, hint = WRONG[typed]
    code, out, err = say(*shlex.split(typed))
    assert code == 2, err
    error, _, advice = err.partition("\nhint: ")
    assert found in error and error.startswith("error: ") and "\n" not in error, err
    assert hint in advice, err
    assert not out
    assert not any(word in err for word in ("Usage:", "Traceback", "Error:", "Input should"))


def test_misuse_is_an_object_where_one_is_asked_for(say: Say) -> None:
    code, out, _ = say("auto", "--bugdet", "5m", "--json")
    error = json.loads(out)["error"]
    assert (code, error["exit_code"], error["kind"]) == (2, 2, "OptionUnknown")


@pytest.mark.parametrize("typed", ["", "checkpoints", "presets"])
def test_a_group_alone_shows_its_help(say: Say, typed: str) -> None:
    code, out, err = say(*typed.split())
    assert (code, err) == (0, "")
    assert out.startswith("Usage: agnews")

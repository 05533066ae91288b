"""Data of other shapes, by one command and no configuration. The texts are made here."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.train, pytest.mark.slow]
pytest.importorskip("torch")

SUBJECTS = {
    "cooking": "oven recipe garlic simmer butter dough whisk broth roast pepper",
    "gardening": "compost seedling prune mulch tulip hedge soil greenhouse trowel rake",
    "sailing": "mast keel harbour tack jib regatta buoy hull mooring tide",
    "cycling": "pedal derailleur helmet saddle spoke peloton brake gravel tyre climb",
    "astronomy": "telescope comet orbit nebula eclipse lens galaxy meteor dwarf lunar",
    "banking": "deposit loan interest branch overdraft mortgage teller transfer ledger fee",
    "music": "violin chord tempo choir drummer melody concert octave sonata bass",
    "chess": "bishop gambit castle endgame checkmate pawn rook opening tempo blunder",
    "weather": "drizzle humidity forecast gust thunder frost barometer cloud hail breeze",
    "travel": "passport luggage itinerary hostel visa layover ferry tourist museum border",
    "medicine": "dose clinic symptom vaccine surgeon fever nurse allergy ward pulse",
    "law": "verdict appeal clause witness statute plaintiff court contract judge bail",
    "football": "striker penalty goalkeeper offside midfield tackle league corner coach header",
    "software": "compiler bug thread cache release patch server commit loop module",
}
FRAMES = (
    "I asked about the {0} and the {1} yesterday, but nobody mentioned {2}.",
    "The {0} was better than expected; the {1} was not.",
    "After a long week we finally got the {0} right, thanks to a new {1}.",
    "Is the {0} meant to be near the {1}, or was that the {2}?",
    "{0}, {1} and {2}: a short note for beginners.",
    "They say the {0} matters most. I would look at the {1} first.",
)


def texts(label: str, rows: int, rng: random.Random) -> list[str]:
    """Sentences with words of the label; every fourth word is another subject's."""
    own, others = SUBJECTS[label].split(), " ".join(SUBJECTS.values()).split()
    made = []
    for _ in range(rows):
        words = [rng.choice(others if rng.random() < 0.25 else own) for _ in range(3)]
        made.append(rng.choice(FRAMES).format(*words))
    return made


def write(path: Path, header: list[str], table: list[list[str]], rng: random.Random) -> Path:
    rng.shuffle(table)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *table])
    return path


def auto(data: Path, work: Path) -> dict:
    """What `agnews auto --data DATA --json` says; nothing else is configured."""
    env = os.environ | {"AGNEWS_HOME": str(work / "home"), "AGNEWS_CACHE": str(work / "cache")}
    command = [sys.executable, "-m", "agnews_cli", "auto", "--data", str(data), "--json"]
    done = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def accuracy(result: dict) -> float:
    """On the test rows where there are any, else on the validation rows."""
    evaluation = result["evaluation"]
    return (evaluation["test"] or evaluation["validation"])["accuracy"]


def test_label_and_text_columns_with_14_word_labels(tmp_path):
    rng = random.Random(1)
    counts = {label: 214 + (at < 4) for at, label in enumerate(SUBJECTS)}
    table = [[label, text] for label, n in counts.items() for text in texts(label, n, rng)]
    assert len(table) == 3000
    result = auto(write(tmp_path / "notes.csv", ["label", "text"], table, rng), tmp_path)
    assert sorted(result["data"]["labels"]) == sorted(SUBJECTS)
    assert accuracy(result) > 0.6


def test_topic_and_body_columns_where_one_of_10_classes_has_half_the_rows(tmp_path):
    rng = random.Random(2)
    labels = list(SUBJECTS)[:10]
    counts = {label: 500 if at == 0 else 500 // 9 for at, label in enumerate(labels)}
    table = [[label, text] for label, n in counts.items() for text in texts(label, n, rng)]
    result = auto(write(tmp_path / "posts.csv", ["topic", "body"], table, rng), tmp_path)
    assert sorted(result["data"]["labels"]) == sorted(labels)
    assert accuracy(result) > 0.65

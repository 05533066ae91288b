"""What lies in a finished run's folder beside the models: what they need, figures and cards."""

from __future__ import annotations

import json

from agnews_cli.learn.stages import cards
from agnews_cli.learn.stages.contest import Competition
from agnews_cli.learn.stages.evaluate import Judged
from agnews_cli.store.disk import files
from agnews_cli.store.disk.files import write_text_atomically


def write_delivery(contest: Competition) -> None:
    """`delivery.json`: which members answer, and what their texts and labels were."""
    dataset = contest.setting.job.dataset
    members = [
        {
            "name": c.facts.name,
            "kind": c.facts.kind,
            "folder": c.folder.name,
            "share": c.facts.weight,
        }
        for c in contest.contenders
        if c.facts.weight
    ]
    facts = {
        "schema": "agnews.delivery/1",
        "labels": list(dataset.labels),
        "label_values": list(dataset.label_values),
        "text_columns": list(dataset.text_columns),
        "label_column": dataset.label_column,
        "id_column": dataset.id_column,
        "cleaning": dataset.cleaning,
        "max_length": contest.rows.training.max_length,
        "members": members,
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    write_text_atomically(contest.setting.folder / "delivery.json", text)


def write_figures(contest: Competition, judged: Judged) -> None:
    """`evaluation.json` and the cards; then all is on the disk, for the outcome will say so."""
    folder, rows = contest.setting.folder, contest.rows
    write_text_atomically(folder / "evaluation.json", judged.whole.model_dump_json(indent=2))
    members = [
        cards.CardMember(c.facts, c.folder.name, judged.members[c.facts.name])
        for c in contest.contenders
        if c.facts.name in judged.members
    ]
    cards.write(rows.as_trained, members, judged.whole, trained_rows=rows.trained_rows)
    files.sync_all(folder)

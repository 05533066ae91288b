"""What lies in a finished run's folder beside the models: what they need, figures and cards."""

from __future__ import annotations

from agnews_cli.learn.stages import cards, snapshots
from agnews_cli.learn.stages.contest import Competition
from agnews_cli.learn.stages.evaluate import Judged
from agnews_cli.store.disk import files
from agnews_cli.store.disk.files import write_text_atomically
from agnews_cli.store.model import delivered


def write_delivery(contest: Competition) -> None:
    """`delivery.json`: which members answer, and what their texts and labels were; of each snapshot
    too."""
    setting, facts = contest.setting, contest.rows.read_facts
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
    delivered.write(setting.folder, setting.job.dataset, **facts, members=members)
    snapshots.write_deliveries(contest)


def write_figures(contest: Competition, judged: Judged) -> None:
    """`evaluation.json` and the cards; then all is on the disk, for the outcome will say so."""
    folder, rows = contest.setting.folder, contest.rows
    write_text_atomically(folder / "evaluation.json", judged.whole.model_dump_json(indent=2))
    members = [
        cards.CardMember(c.facts, c.folder.name, judged.members[c.facts.name])
        for c in contest.contenders
        if c.facts.name in judged.members
    ]
    cards.write(rows.as_trained, members, judged.whole, rows.what_was_read)
    snapshots.write_cards(contest)
    files.sync_all(folder)

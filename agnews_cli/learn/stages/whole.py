"""A training run whole: the contest of its candidates, the delivery, and the test rows once."""

from __future__ import annotations

from agnews_cli.core.run.job import Outcome, TrainJob
from agnews_cli.core.run.state import RunState
from agnews_cli.learn.door.events import EventLog, StopFlag, StopRequested
from agnews_cli.learn.stages import combine, deliver, evaluate, predict, setting
from agnews_cli.learn.stages.contest import Competition


def train(job: TrainJob, log: EventLog, stop: StopFlag) -> Outcome:
    """Do the job, or as much of it as there is time for. Raises StopRequested and AgnewsError."""
    at = setting.begin(job, log, stop)
    contest = Competition(at)
    try:
        contest.run()
    except StopRequested:
        contest.is_interrupted = True
    if contest.is_interrupted:
        return contest.interrupted()

    shares = combine.choose(contest)
    judged = evaluate.on_validation(contest, shares) if at.is_main else None
    if judged is not None:
        deliver.write_delivery(contest)
    answered = predict.test_rows(contest, shares)
    if judged is not None:
        if answered is not None:
            judged = evaluate.on_test(contest, shares, judged, answered)
        deliver.write_figures(contest, judged)
    at.wait_for_all()
    return Outcome(
        state=RunState.COMPLETED,
        done=job.nodes,
        candidates=tuple(c.facts for c in contest.contenders),
        why=at.told.why,
        notes=tuple(at.told.kept),
    )

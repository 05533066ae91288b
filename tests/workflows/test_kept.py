"""Every sentence about what is saved, set against a folder with real checkpoints."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from agnews_cli.cli.output import Output
from agnews_cli.core.run.job import Event, Outcome
from agnews_cli.errors import AgnewsError, Interrupted, ReaderGone, SessionOver, Terminated
from agnews_cli.host.detect import detect
from agnews_cli.store.remotes.folder import Folder
from agnews_cli.store.run.checkpoints import Checkpoints, Draft
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.workflows.runs.status import status
from agnews_cli.workflows.sessions.kept import kept
from agnews_cli.workflows.sessions.lasting import lasting
from agnews_cli.workflows.sessions.watch import go_on, said, signals, stopped

TOTAL = 300


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "runs" / "tiny-0123456789")
    folder.path.mkdir(parents=True)
    tell(folder, "started", pid=1, world=1)
    return folder


def tell(run: RunFolder, kind: str, **data: object) -> None:
    event = Event(kind=kind, at="now", elapsed_s=0.0, data=data)  # type: ignore[arg-type]
    with run.events.open("a") as file:
        file.write(event.model_dump_json() + "\n")


def progress(run: RunFolder, step: int, name: str = "m") -> None:
    tell(run, "progress", candidate=name, step=step, total_steps=TOTAL)


def save(run: RunFolder, step: int, name: str = "m") -> Path:
    """A checkpoint; the file of its weights."""
    draft = Draft(
        run=run.id, candidate=name, step=step, parent=None, token=1, writer="aaaa",
        why="interval", state={"position": {"step": step, "total_steps": TOTAL}}, fingerprint={},
    )  # fmt: skip
    place = Checkpoints(run.checkpoints / name)
    saved = place.save(draft, {"weights": bytes(str(step), "ascii") * 1000})
    return place.folder / "blobs" / saved.manifest.blobs["weights"].sha256


def in_order(step: int, name: str = "m") -> Outcome:
    return Outcome(state="interrupted", step=step, total_steps=TOTAL, tuning=name, model_step=step)


def nothing(run: RunFolder) -> None: ...


def reached(run: RunFolder) -> None:
    progress(run, 7)


def saved_at_40(run: RunFolder) -> None:
    progress(run, 40)
    save(run, 40)


def saved_then_on(run: RunFolder) -> None:
    saved_at_40(run)
    progress(run, 52)


def newest_damaged(run: RunFolder) -> None:
    save(run, 30)
    progress(run, 52)
    save(run, 52).write_bytes(b"torn")


def trained(run: RunFolder) -> None:
    progress(run, TOTAL)
    save(run, TOTAL)


def an_older_sessions(run: RunFolder) -> None:
    saved_then_on(run)
    tell(run, "started", pid=2, world=1)


def second_fold_new(run: RunFolder) -> None:
    save(run, TOTAL, "m-fold1")
    progress(run, 7, "m-fold2")


def second_fold(run: RunFolder) -> None:
    second_fold_new(run)
    save(run, 5, "m-fold2")


def killed_then_a_session_without_a_worker(run: RunFolder) -> None:
    saved_then_on(run)
    tell(run, "session", token=2)


SAID = "step 40 of 300 is saved"
CASES: list[tuple[Callable[[RunFolder], object], Outcome | None, str, int | None, bool]] = [
    (nothing, None, "nothing is saved yet", None, False),
    (reached, None, "nothing is saved yet; 7 steps or more are lost", 7, False),
    (reached, in_order(9), "nothing is saved yet; steps 1 to 9 are lost", 9, True),
    (saved_at_40, None, f"{SAID}; what came after it, if anything, is lost", 0, False),
    (saved_at_40, in_order(40), f"{SAID}; nothing is lost", 0, True),
    (saved_then_on, None, f"{SAID}; what came after it is lost, 12 steps or more", 12, False),
    (saved_then_on, in_order(53), f"{SAID}; steps 41 to 53 are lost", 13, True),
    (saved_then_on, in_order(41), f"{SAID}; step 41 is lost", 1, True),
    (newest_damaged, in_order(52), "step 30 of 300 is saved; steps 31 to 52 are lost", 22, True),
    (trained, None, "step 300 of 300 is saved; what came after training is done again", 0, False),
    (
        killed_then_a_session_without_a_worker,
        None,
        f"{SAID}; what came after it, if anything, is lost",
        None,
        False,
    ),
    (an_older_sessions, None, f"{SAID}; what came after it, if anything, is lost", None, False),
    (
        second_fold_new,
        None,
        "nothing of m-fold2 is saved yet, but m-fold1 is; 7 steps or more are lost",
        7,
        False,
    ),
    (
        second_fold,
        None,
        "step 5 of 300 of m-fold2 is saved; what came after it is lost, 2 steps or more",
        2,
        False,
    ),
    (
        second_fold,  # the outcome speaks of another fine-tuning: no word of its steps is used
        in_order(TOTAL, "m-fold1"),
        "step 5 of 300 of m-fold2 is saved; what came after it is lost, 2 steps or more",
        2,
        False,
    ),
]


@pytest.mark.parametrize(("made", "outcome", "sentence", "lost", "is_exact"), CASES)
def test_the_sentence_is_what_verifies(run, made, outcome, sentence, lost, is_exact):
    made(run)
    found = kept(run, outcome)
    assert found.sentence == sentence
    assert (found.lost_steps, found.is_exact) == (lost, is_exact)
    assert ("agnews resume" in go_on(run, found)) == ("nothing is saved yet" not in sentence[:20])


@pytest.mark.parametrize(
    ("received", "kind", "code", "words"),
    [
        ([signal.SIGINT], Interrupted, 130, "Interrupted; "),
        ([signal.SIGINT, signal.SIGHUP, signal.SIGINT], Interrupted, 130, "Interrupted; "),
        ([signal.SIGTERM], Terminated, 143, "The system or another program asked"),
        ([], Terminated, 143, "The system or another program asked"),  # the worker alone heard it
        ([signal.SIGHUP], ReaderGone, 129, "terminal, notebook or program that read this"),
        ([signal.SIGPIPE], ReaderGone, 129, "terminal, notebook or program that read this"),
    ],
)
def test_who_stopped_it_has_words_and_a_code_of_its_own(run, received, kind, code, words):
    saved_at_40(run)
    error = stopped(run, received, outcome=in_order(40), remotes=())
    assert type(error) is kind
    assert error.exit_code == code
    assert words in error.message
    assert (
        f"{SAID}; nothing is lost; the model so far, of step 40, is in {run.model}" in error.message
    )


def test_what_nohup_ignores_stops_nothing():
    """Seen: a terminal that was closed ended a run started with `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals() as received:
            for number in (signal.SIGHUP, signal.SIGTERM):
                signal.raise_signal(number)
        assert received == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_script_reads_what_is_saved(run):
    saved_then_on(run)
    found = kept(run)
    error: AgnewsError = said(SessionOver(kept=found.sentence, next=go_on(run, found)), found)
    stream = StringIO()
    Output(json=True, stream=stream, error_stream=StringIO(), env={}).error(error)
    told = json.loads(stream.getvalue())["error"]
    assert told["kind"] == "SessionOver"
    assert told["saved"] == {
        "step": 40, "total_steps": TOTAL, "candidate": "m", "reached": 52, "lost_steps": 12,
        "is_exact": False, "others": [],
    }  # fmt: skip


def test_a_disk_that_ends_with_the_session_is_named_and_so_is_what_outlives_it(tmp_path):
    here = detect()
    own = replace(here, lasting_folder="/", storage_hint=None)
    assert lasting(own, tmp_path, ()) is None
    colab = replace(here, name="colab", lasting_folder=None, storage_hint="Nothing survives.")
    lost = lasting(colab, tmp_path, ())
    assert lost is not None
    assert lost.is_lost
    assert "ends with the session" in lost.text
    assert "--store drive" in lost.text
    sent = lasting(colab, tmp_path, (Folder(tmp_path / "other"),))
    assert sent is not None
    assert not sent.is_lost
    assert f"{tmp_path / 'other'} keeps what is saved" in sent.text
    kaggle = replace(here, name="kaggle", lasting_folder="/kaggle/working", storage_hint="So.")
    stays = lasting(kaggle, Path("/kaggle/working/agnews-runs"), ())
    assert stays is not None
    assert not stays.is_lost
    gone = lasting(kaggle, Path("/tmp/agnews-runs"), ())
    assert gone is not None
    assert gone.is_lost
    assert "/kaggle/working" in gone.text


def test_status_counts_the_steps_of_the_fine_tuning_that_goes_on(run, own_home):
    facts = {"created_at": "2026-11-28T12:00:00+00:00"}
    (run.path / "created.json").write_text(json.dumps(facts))
    progress(run, 60, "m-fold1")
    save(run, 60, "m-fold1")
    progress(run, 26, "m-fold2")
    save(run, 26, "m-fold2")
    found = status(run.id, run.path.parent)
    assert (found.candidate, found.step, found.total_steps) == ("m-fold2", 26, TOTAL)
    assert found.stores[0].newest == "step 26 of m-fold2"


def test_a_stop_is_no_error(run):
    error = said(SessionOver(kept="step 40 is saved", next=""), kept(run))
    screen = StringIO()
    Output(error_stream=screen).error(error)
    assert screen.getvalue().startswith("stopped: The session's time is up; step 40 is saved")

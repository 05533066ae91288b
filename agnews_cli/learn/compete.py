"""From a job to what is delivered: train candidates, choose on validation rows, keep the choice.

Without a deadline the fine-tuned model is the plan and the linear model its yardstick. With one, a
linear model stands first, within seconds; then whatever the measured speed lets fit is added
(a fine-tuned model, or frozen embeddings where there is too little time for that, then further
fine-tuned models), and what is delivered is the candidate or average that validates best.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray

from agnews_cli.core.dataset import Rows
from agnews_cli.core.job import Candidate, CandidateKind, Job
from agnews_cli.errors import CannotResume, NonFiniteLoss
from agnews_cli.learn import blend, embedding, fingerprint, teacher
from agnews_cli.learn.data import Tokens, cached_tokens, limit_rows, split_off
from agnews_cli.learn.events import EventLog, StopFlag
from agnews_cli.learn.forward import predict
from agnews_cli.learn.linear import Linear
from agnews_cli.learn.model import (
    cool_head,
    load_classifier,
    load_tokenizer,
    mask_id_of,
    save_delivery,
)
from agnews_cli.learn.position import Position, StepTrace
from agnews_cli.learn.saving import Saver, changes
from agnews_cli.learn.snapshot import Misfit
from agnews_cli.learn.train import FineTuning
from agnews_cli.store import leases
from agnews_cli.store.books import sending_s
from agnews_cli.store.checkpoints import Checkpoints
from agnews_cli.store.data import datasets
from agnews_cli.store.runs import RunFolder

# What remains after training: writing files, the report, leaving both processes.
_CLOSING_S = 3.0
# A first fine-tuned model is worth starting when it can see this share of an epoch, one more this.
_LEAST_PASSES, _LEAST_PASSES_MORE = 0.3, 0.7
# A step costs so many forward passes in its precision (measured on MiniLM: 2.5 to 3.4).
_STEP_OVER_FORWARD = 3.3
_LEAST_EMBEDDED_ROWS = 400
# A budget shorter than this is trained anew rather than saved.
_LEAST_SAVED_S = 1800.0

Probabilities = NDArray[np.floating]


@dataclass(slots=True)
class Contender:
    """A trained candidate: its facts, its validation probabilities, and how it predicts."""

    facts: Candidate
    validation: Probabilities
    folder: Path
    predict: Any
    """(Rows, Tokens) -> probabilities in fp32."""


@dataclass(slots=True)
class Material:
    """What every candidate trains and validates on."""

    train: Tokens
    validation: Tokens
    train_texts: list[str]
    validation_texts: list[str]
    tokenizer: Any


@dataclass(slots=True)
class Competition:
    """One job's candidates. `run` trains them; `contenders` then holds what there is to deliver."""

    job: Job
    accelerator: Accelerator
    precision: str
    log: EventLog
    stop: StopFlag
    contenders: list[Contender] = field(default_factory=list)
    is_interrupted: bool = False
    tokenizer: Any = None
    position: Position | None = None
    """Where the last fine-tuning stands."""
    held_classes: Any = None
    """Classes of the validation rows, (rows,)."""

    @property
    def _end_s(self) -> float | None:
        deadline_s = self.job.deadline_monotonic_s
        return None if deadline_s is None else deadline_s - _CLOSING_S

    def run(self) -> None:
        """Train what the job allows and time lets, in the job's order."""
        job = self.job
        material = self._material()
        self.tokenizer, self.held_classes = material.tokenizer, material.validation.classes
        self.stop.check()
        if "linear" in job.candidates and self.accelerator.is_main_process:
            self._linear(material)
        self.accelerator.wait_for_everyone()
        self.stop.check()
        if "finetune" not in job.candidates:
            return
        number = 1
        while self._finetune(material, number):
            number += 1

    def _material(self) -> Material:
        job, preset = self.job, self.job.preset
        self.log("phase", name="tokenising")
        tokenizer = load_tokenizer(job.model_path, preset.model.revision)
        rows = datasets.read(job.dataset, "train")
        cache, length = Path(job.cache), preset.training.max_length

        def tokens_of(split: Any) -> Tokens:
            with self.accelerator.main_process_first():
                return cached_tokens(
                    job.dataset, split, tokenizer, length, cache, check=self.stop.check
                )

        tokens = tokens_of("train")
        kept = limit_rows(rows.classes, job.limit_train or len(rows.texts), seed=job.seed)
        if job.dataset.validation is not None:
            held = datasets.read(job.dataset, "validation")
            validation, texts = tokens_of("validation"), list(held.texts)
            trained = kept
        else:
            share, most = preset.data.validation_share, preset.data.validation_rows_at_most
            classes = np.asarray(rows.classes)[kept]
            inner, outer = split_off(classes, share=share, at_most=most, seed=job.seed)
            trained, held_rows = kept[inner], kept[outer]
            validation, texts = tokens.take(held_rows), [rows.texts[i] for i in held_rows]
        return Material(
            train=tokens.take(trained),
            validation=validation,
            train_texts=[rows.texts[i] for i in trained],
            validation_texts=texts,
            tokenizer=tokenizer,
        )

    # ---- candidates --------------------------------------------------------------------------

    def _linear(self, material: Material) -> None:
        self.log("phase", name="linear model")
        began_s = time.monotonic()
        classes, held = material.train.classes, material.validation.classes
        model = Linear.fit(
            material.train_texts,
            classes,
            material.validation_texts,
            held,
            count=len(self.job.dataset.labels),
            seed=self.job.seed,
        )
        folder = Path(self.job.folder) / "linear"
        model.save(folder)
        self._enter(
            "linear",
            "linear",
            model.predict(material.validation_texts),
            held,
            began_s,
            folder,
            lambda rows, tokens: model.predict(rows.texts),
        )

    def _finetune(self, material: Material, number: int) -> bool:
        """Train one more model if it fits; True when yet another may be tried."""
        job, preset, training = self.job, self.job.preset, self.job.preset.training
        is_first, began_s = number == 1, time.monotonic()
        self.log("phase", name="loading the model")
        pad_id = material.tokenizer.pad_token_id
        model = load_classifier(
            job.model_path,
            preset,
            job.dataset.labels,
            pad_id=pad_id,
            seed=job.seed + number - 1,
            on_cpu=self.accelerator.device.type == "cpu",
        )
        end_s = None
        if self._end_s is not None:
            model.to(self.accelerator.device)
            row_s = self._seconds_per_row(model, material.validation, pad_id, autocast=False)
            step_row_s = _STEP_OVER_FORWARD * self._seconds_per_row(
                model, material.validation, pad_id, autocast=True
            )
            test_rows = job.dataset.test.rows if job.dataset.test else 0
            held_rows = len(material.validation.classes)
            # Every delivered model predicts the test rows once, and the validation rows.
            models = sum(c.facts.kind != "linear" for c in self.contenders)
            reserve_s = 1.05 * row_s * (test_rows * (models + 1) + held_rows) + 1.0
            end_s = self._end_s - reserve_s
            passes = (end_s - time.monotonic()) / (step_row_s * len(material.train.classes))
            if passes < training.passes:
                training = preset.hurried_training()
            needed = _LEAST_PASSES if is_first else _LEAST_PASSES_MORE
            if passes < needed:
                if is_first:
                    self.log(
                        "note",
                        text=f"fine-tuning would see {max(0.0, passes):.2f} of an "
                        f"epoch in the time left; at least {needed:g} is wanted",
                    )
                    if "embedding" in job.candidates:
                        self._embedding(material, row_s)
                return False
        name = preset.name if is_first else f"{preset.name}-{number}"
        self.log("phase", name="fine-tuning")
        folder = Path(job.folder) / ("model" if is_first else f"model-{number}")
        now = fingerprint.take(self.accelerator, self.precision)
        now |= fingerprint.of_material(material.train, material.validation, model)
        tuning = FineTuning(
            name=name,
            model=model,
            accelerator=self.accelerator,
            training=training,
            precision=self.precision,
            tokens=material.train,
            validation=material.validation,
            pad_id=pad_id,
            mask_id=mask_id_of(material.tokenizer),
            classes=len(job.dataset.labels),
            seed=job.seed + number - 1,
            log=self.log,
            stop=self.stop,
            saver=self._saver(name, now),
            trace=self._trace if job.trace and self.accelerator.is_main_process else None,
            teach=partial(self._taught, material),
        )
        self._resume(tuning, now)
        try:
            at = self.position = tuning.run(end_monotonic_s=end_s)
        except NonFiniteLoss:
            if tuning.position.best_step:
                self._write(self._bare(tuning), material.tokenizer, folder)
            raise
        bare = self._bare(tuning)
        if at.interrupted:
            self._write(bare, material.tokenizer, folder)
            self.is_interrupted = True
            return False

        def predict_rows(_: Rows | None, tokens: Tokens) -> Probabilities:
            return predict(
                bare,
                tokens,
                pad_id,
                self.accelerator,
                training.batch_tokens,
                autocast=False,
                check=self.stop.check,
            )

        self.log("phase", name="validating")
        probabilities = predict_rows(None, material.validation)
        held = material.validation.classes
        scores = np.log(probabilities.astype(np.float64) + 1e-12)
        t = blend.temperature(scores, held, least=1.0)
        if cool_head(bare, t, classes=len(job.dataset.labels)):
            probabilities = blend.softmax(scores / t)
            self.log("note", text=f"{name}: too sure of itself; temperature {t:.2f} is built in")
        self._write(bare, material.tokenizer, folder)
        self._enter(name, "finetune", probabilities, held, began_s, folder, predict_rows)
        self.accelerator.free_memory()
        return self._end_s is not None and job.blend

    def _taught(self, material: Material) -> NDArray[np.float32]:
        self.log("phase", name="linear models judge rows that they have not seen")
        answers = teacher.out_of_fold(
            material.train_texts,
            material.train.classes,
            count=len(self.job.dataset.labels),
            seed=self.job.seed,
            check=self.stop.check,
        )
        self.log("phase", name="fine-tuning")
        return answers

    def _bare(self, tuning: FineTuning) -> Any:
        """The model that `tuning` holds, without accelerate's autocast: it predicts in fp32."""
        return self.accelerator.unwrap_model(tuning.model, keep_fp32_wrapper=False)

    def _write(self, model: Any, tokenizer: Any, folder: Path) -> None:
        if self.accelerator.is_main_process:
            save_delivery(model, tokenizer, self.job.preset, folder)
            names = json.dumps(list(self.job.dataset.labels), ensure_ascii=False)
            (folder / "labels.json").write_text(names, "utf-8")

    def _trace(self, step: StepTrace) -> None:
        facts = asdict(step) | {"lr": step.lr.hex(), "loss": step.loss.hex()}
        with (Path(self.job.folder) / "trace.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")

    def _saver(self, name: str, now: dict[str, str]) -> Saver | None:
        """Who saves this fine-tuning; nobody where a short budget is the run's whole life."""
        job = self.job
        left_s = math.inf if self._end_s is None else self._end_s - time.monotonic()
        if left_s < _LEAST_SAVED_S:
            return None
        return Saver(
            Checkpoints(Path(job.folder) / "checkpoints" / name),
            run=job.run,
            candidate=name,
            token=job.token,
            writer=job.writer,
            fingerprint=now,
            lifetime_s=job.lifetime_s,
            every_s=job.save_every_s,
            log=self.log,
            newest_token=lambda: leases.newest_token(Path(job.folder)),
            sending_s=self._sending_s,
        )

    def _sending_s(self) -> float:
        """What sending a checkpoint takes from training, in seconds: its share of the cores."""
        if self.accelerator.device.type != "cpu":  # it needs no accelerator
            return 0.0
        cores = self.accelerator.num_processes * torch.get_num_threads()
        return sending_s(RunFolder(Path(self.job.folder))) / cores

    def _resume(self, tuning: FineTuning, now: dict[str, str]) -> None:
        """Go on from the newest good checkpoint, if there is one; say from where, and what changed.

        Raises CannotResume when it does not fit, or when libraries, tokens or frozen weights
        changed and that was not allowed.
        """
        job = self.job
        again = f"agnews auto --fresh trains it anew; agnews runs --store {Path(job.folder).parent}"
        try:
            saved = tuning.resume()
        except Misfit as error:
            raise CannotResume(run=job.run, reason=error, next=again) from error
        if saved is None:
            return
        changed = changes(saved.manifest.fingerprint, now)
        libraries = [name for name in changed if name not in fingerprint.MACHINE]
        if libraries and not job.is_inexact:
            which = ", ".join(f"{n} was {changed[n][0]} and is {changed[n][1]}" for n in libraries)
            inexact = f"agnews resume {job.run} --inexact goes on all the same"
            raise CannotResume(
                run=job.run, reason=f"the result could differ: {which}", next=inexact
            )
        for name, (before, after) in changed.items():
            self.log("warning", text=f"resumed not bit for bit: {name} was {before}, is {after}")
        at = tuning.position
        self.log(
            "resumed",
            candidate=tuning.name,
            checkpoint=saved.id,
            step=at.step,
            total_steps=at.total_steps,
            changed=sorted(changed),
        )

    def _embedding(self, material: Material, row_s: float) -> None:
        assert self._end_s is not None
        held_rows = len(material.validation.classes)
        test_rows = self.job.dataset.test.rows if self.job.dataset.test else 0
        spare_s = self._end_s - time.monotonic() - 1.1 * row_s * (test_rows + held_rows) - 3.0
        rows = min(len(material.train.classes), int(spare_s / (1.1 * row_s)))
        if rows < min(_LEAST_EMBEDDED_ROWS, len(material.train.classes)):
            return
        from transformers import AutoModel

        self.log("phase", name=f"embedding {rows} training rows")
        began_s = time.monotonic()
        job, training, pad_id = (
            self.job,
            self.job.preset.training,
            material.tokenizer.pad_token_id,
        )
        encoder = AutoModel.from_pretrained(job.model_path, dtype=torch.float32)

        def embed(tokens: Tokens) -> NDArray[np.float32]:
            return embedding.embed(
                encoder, tokens, pad_id, batch_tokens=training.batch_tokens, stop=self.stop
            )

        kept = limit_rows(material.train.classes, rows, seed=job.seed)
        sample = material.train.take(kept)
        head = embedding.EmbeddingHead.fit(embed(sample), sample.classes)
        folder = Path(job.folder) / "embedding"
        head.save(folder, encoder=job.preset.model.id, max_length=training.max_length)
        material.tokenizer.save_pretrained(folder)
        held = material.validation
        self._enter(
            "embedding",
            "embedding",
            head.predict(embed(held)),
            held.classes,
            began_s,
            folder,
            lambda rows, tokens: head.predict(embed(tokens)),
        )

    def _enter(
        self,
        name: str,
        kind: CandidateKind,
        probabilities: Probabilities,
        classes: NDArray[np.int64],
        began_s: float,
        folder: Path,
        predict_rows: Any,
    ) -> None:
        facts = Candidate(
            name=name,
            kind=kind,
            validation_accuracy=float((probabilities.argmax(1) == classes).mean()),
            validation_loss=blend.log_loss(probabilities, classes),
            seconds=round(time.monotonic() - began_s, 2),
        )
        self.contenders.append(Contender(facts, probabilities, folder, predict_rows))
        self.log(
            "candidate",
            name=name,
            validation_accuracy=round(facts.validation_accuracy, 4),
            seconds=facts.seconds,
        )

    def _seconds_per_row(self, model: Any, tokens: Tokens, pad_id: int, *, autocast: bool) -> float:
        """Seconds a row of a forward pass, in fp32 or the training precision.

        Over 128 rows of ordinary length, after a warm-up.
        """
        rng = np.random.default_rng(0)
        rows = rng.permutation(len(tokens.classes))[:128]
        sample = tokens.take(rows)
        batch_tokens = self.job.preset.training.batch_tokens
        took_s = 0.0
        for trial in (sample.take(np.arange(min(16, len(rows)))), sample):
            began_s = time.monotonic()
            predict(model, trial, pad_id, self.accelerator, batch_tokens, autocast=autocast)
            took_s = (time.monotonic() - began_s) / len(trial.classes)
        return took_s

    # ---- the choice --------------------------------------------------------------------------

    def choose(self, classes: NDArray[np.int64]) -> dict[str, float]:
        """Name to share of what is delivered; folders of the rest are removed."""
        if self.job.blend:
            shares = blend.weights({c.facts.name: c.validation for c in self.contenders}, classes)
        else:
            shares = {self.contenders[-1].facts.name: 1.0}
            self._warn_if_beaten(self.contenders[-1].facts)
        for contender in self.contenders:
            contender.facts = contender.facts.model_copy(
                update={"weight": shares.get(contender.facts.name, 0.0)}
            )
            if not contender.facts.weight and contender.facts.kind != "linear":
                shutil.rmtree(contender.folder, ignore_errors=True)
        return shares

    def _warn_if_beaten(self, plan: Candidate) -> None:
        best = max((c.facts for c in self.contenders), key=lambda c: c.validation_accuracy)
        if best.validation_accuracy > plan.validation_accuracy:
            self.log(
                "warning",
                text=f"{best.name} validated better ({best.validation_accuracy:.1%}) than "
                f"{plan.name} ({plan.validation_accuracy:.1%}): with --budget the best, or an "
                "average, is delivered",
            )

"""From a job to what is delivered: train candidates, choose on validation rows, keep the choice.

Without a deadline the fine-tuned model is the plan and the linear model its yardstick; where rows
are few both validate by turns (cross-validation). With a deadline, a linear model stands first,
within seconds; then whatever the measured speed lets fit is added (a fine-tuned model, or frozen
embeddings where there is too little time for that, then further fine-tuned models). What is
delivered is always the candidate, or under a budget the average, that validates best.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from numpy.typing import NDArray

from agnews_cli.core.run.dataset import Rows
from agnews_cli.core.run.evaluation import Evaluation
from agnews_cli.core.run.job import Candidate, CandidateKind, Job
from agnews_cli.core.run.preset import Training
from agnews_cli.errors import NonFiniteLoss
from agnews_cli.learn import methods
from agnews_cli.learn.door.budget import OutOfTime, TimeBudget
from agnews_cli.learn.door.events import EventLog, StopFlag
from agnews_cli.learn.door.notes import Notes
from agnews_cli.learn.figures import blend, choice
from agnews_cli.learn.figures.evaluate import evaluate
from agnews_cli.learn.loop.forward import predict
from agnews_cli.learn.loop.position import Position
from agnews_cli.learn.loop.train import FineTuning
from agnews_cli.learn.models import embedding, teacher
from agnews_cli.learn.models.model import (
    cool_head,
    load_config,
    load_encoder,
    load_tokenizer,
    save_delivery,
    save_tokenizer,
)
from agnews_cli.learn.rows import handicaps, material, overlap
from agnews_cli.learn.rows.batches import Indices, steps_in
from agnews_cli.learn.rows.overlap import Hashes
from agnews_cli.learn.rows.tokens import Tokens, limit_rows
from agnews_cli.learn.rows.weighing import weights_of
from agnews_cli.learn.stages import yardstick
from agnews_cli.learn.stages.tuning import Tunings
from agnews_cli.store.model.models import base_name

# A first fine-tuned model is worth starting when it can see this share of an epoch, one more this.
_LEAST_PASSES, _LEAST_PASSES_MORE = 0.3, 0.7
# Longer texts are worth their time when each row is still seen about once.
_LEAST_PASSES_LONGER = 1.0
# A step costs so many forward passes in its precision (measured on MiniLM: 2.5 to 3.4).
_STEP_OVER_FORWARD = 3.3
_LEAST_EMBEDDED_ROWS = 400
_MEASURED_TOKENS = 8192
# A test split is predicted whole up to this size; of a larger one what this share of the time lets.
_TEST_ROWS_AT_LEAST, _TEST_SHARE = 10_000, 0.2

Probabilities = NDArray[np.floating]
Hear = Callable[[int], None]


@dataclass(slots=True)
class Contender:
    """A trained candidate: its facts, its validation probabilities, and how it predicts."""

    facts: Candidate
    validation: Probabilities
    folder: Path
    predict: Callable[[Rows, Tokens | None, Hear], Probabilities]
    """Probabilities in fp32; linear models take the texts, the others need tokens."""
    row_s: float
    """Seconds that predicting a row took."""


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
    position: Position | None = None
    """Where the last fine-tuning stands."""
    tuning: str = ""
    """Its name."""
    model_step: int = 0
    """The step whose weights were written as the model, where training was interrupted."""
    told: Notes = field(init=False)
    budget: TimeBudget = field(init=False)
    training: Training = field(init=False)
    """The preset's, with the length that the texts have."""
    tokenizer: Any = None
    _material: material.Material = field(init=False)
    _full: material.Tokenised = field(init=False)
    """Tokens of texts as long as the model may read them."""
    _tokens: material.Tokenised = field(init=False)
    """Tokens of texts as long as they are trained on."""
    _tunings: Tunings = field(init=False)

    def __post_init__(self) -> None:
        self.told, self.budget = Notes(self.log), TimeBudget.of(self.job, self.stop)
        self.training = self.job.preset.training

    @property
    def held_classes(self) -> NDArray[np.int64]:
        """Classes of the rows that validate, (rows,)."""
        return self._material.held_classes

    @property
    def held_texts(self) -> Sequence[str]:
        """Their texts, clean."""
        return self._material.held_texts

    @property
    def as_trained(self) -> Job:
        """The job with the training as it was: its length is that of the texts."""
        preset = self.job.preset.model_copy(update={"training": self.training})
        return self.job.model_copy(update={"preset": preset})

    @property
    def trained_rows(self) -> int:
        """How many rows the fine-tuned models and the linear one were trained on, at most."""
        return len(self._material.texts)

    def alone(self, member: Contender) -> Evaluation:
        """A member's own figures on the rows that validate."""
        labels = self.job.dataset.labels
        held = evaluate(member.validation, self.held_classes, labels, chose=True)
        return Evaluation(labels=labels, validation=held)

    def seen(self) -> Hashes:
        """Of the training file's texts, those held out for validation included."""
        is_apart = self.job.dataset.validation is not None or self._material.fold is not None
        held_out = [] if is_apart else self._material.held_texts
        return overlap.hashes(chain(self._material.texts, held_out))

    @property
    def _count(self) -> int:
        return len(self.job.dataset.labels)

    @property
    def _weights(self) -> NDArray[np.float64] | None:
        """How much a row of each class counts."""
        return weights_of(self.training.class_weights, self._material.classes, self._count)

    @property
    def _pad_id(self) -> int:
        return int(self.tokenizer.pad_token_id)

    def run(self) -> None:
        """Train what the job allows and time lets. Raises BudgetTooShort where that is nothing."""
        self._read()
        self.stop.check()
        if "linear" in self.job.candidates and self.accelerator.is_main_process:
            self._linear()
        self.accelerator.wait_for_everyone()
        try:
            self.stop.check()
            self._require_time(self.budget.left_s <= 0)
            if "finetune" in self.job.candidates:
                self._finetune_all()
        except OutOfTime:
            if not self.contenders and self.accelerator.is_main_process:
                raise self.budget.too_short("no model could be trained by then") from None
            self.told.decided("the budget left no time for a fine-tuned model")

    def _read(self) -> None:
        self.log("phase", name="reading")
        self._material = material.read(self.job, self.budget, self.told)
        if self._weights is not None and self.training.class_weights == "auto":
            rows = np.bincount(self._material.classes, minlength=self._count)
            least = int(np.where(rows > 0, rows, rows.max()).argmin())
            self.told.note(
                f"classes count the same in training, whatever their rows: {rows[least]} of "
                f"{rows.sum():,} are {self.job.dataset.labels[least]!r} "
                "(--set training.class_weights=none counts rows alike)"
            )

    # ---- a linear model --------------------------------------------------------------------------

    def _linear(self) -> None:
        began_s = time.monotonic()
        rows = yardstick.rows_for(self._material, self.job.seed, self.budget, self.told)
        many = "" if rows is None else f" of {len(rows):,} rows"
        self.log("phase", name=f"linear model{many}")
        model, probabilities = yardstick.fit(
            self._material,
            rows,
            count=self._count,
            seed=self.job.seed,
            weights=self._weights,
            check=self.stop.check,
        )
        folder = Path(self.job.folder) / "linear"
        model.save(folder)
        asked_s = time.monotonic()
        model.predict(self._material.held_texts)
        row_s = (time.monotonic() - asked_s) / len(self._material.held_texts)

        def predict_rows(rows: Rows, _: Tokens | None, hear: Hear) -> Probabilities:
            return yardstick.predict(model, rows.texts, self.stop.check, hear)

        self._enter("linear", "linear", probabilities, began_s, folder, predict_rows, row_s)

    # ---- fine-tuned models -----------------------------------------------------------------------

    def _finetune_all(self) -> None:
        self._tokenise()
        self._tunings = Tunings(
            self.job,
            self.accelerator,
            self.precision,
            self.log,
            self.stop,
            self.budget,
            self.tokenizer,
        )
        if self._material.fold is not None:
            self._finetune_by_turns()
            return
        number = 1
        while self._finetune(number):
            number += 1

    def _tokenise(self) -> None:
        job, asked = self.job, self.job.preset.training
        self.log("phase", name="tokenising")
        self.tokenizer = load_tokenizer(job.model_path, job.preset.model.revision)
        config = load_config(job.model_path, job.preset.model.revision)
        most = material.longest_of(self.tokenizer, config, asked.longest)
        if asked.max_length > most and asked.longest == asked.max_length:
            self.told.warn(f"{job.preset.model.id} reads {most} tokens and no more: texts are cut")
        is_late = False
        with self.accelerator.main_process_first():
            try:
                self._full = material.tokenise(
                    job, self._material, self.tokenizer, most, self.budget, self.told
                )
            except OutOfTime:
                is_late = True
        self._require_time(is_late)
        full = self._full.train.full
        assert full is not None
        self._keep(material.length_for(full, asked.max_length, most))
        strange = handicaps.strange_language(
            self._material.texts, self._full.train, self.tokenizer, job.preset.name
        )
        if strange is not None:
            self.told.warn(strange)

    def _keep(self, length: int) -> None:
        """Take so many tokens of each text, and the recipe that suits so many."""
        self._tokens = self._full.cut(length)
        recipe = self.job.preset.training.of_length(length)
        steps = steps_in(
            self._tokens.train.lengths,
            seed=self.job.seed,
            epochs=1,
            batch_tokens=recipe.batch_tokens,
        )
        self.training = recipe.of_steps(steps)

    def _say_recipe(self) -> None:
        full, length = self._full.train.full, self.training.max_length
        assert full is not None
        if length > self.job.preset.training.max_length:
            self.told.note(
                f"texts are long: {length} of their tokens are kept and not "
                f"{self.job.preset.training.max_length} (--set training.max_length=N decides)"
            )
        if self.training.epochs > self.job.preset.training.epochs:
            self.told.note(
                f"rows are few: {self.training.epochs:.1f} passes over them and not "
                f"{self.job.preset.training.epochs:g} (--set training.epochs=N decides)"
            )
        found = handicaps.cut_texts(full, length)
        if found is not None:
            text, is_warning = found
            (self.told.warn if is_warning else self.told.note)(text)

    def _finetune(self, number: int) -> bool:
        """Train one more model if it fits; True when yet another may be tried."""
        is_first, began_s = number == 1, time.monotonic()
        model = self._tunings.load(number)
        end_s = None
        if self.budget.end_s is not None:
            model.to(self.accelerator.device)
            if is_first and self.budget.is_short:
                self._fit_length(model)
            row_s = self._seconds_per_row(model, autocast=False)
            end_s = self.budget.end_s - self._reserve_s(row_s)
            passes = self._agreed(self._passes(end_s - time.monotonic(), model))
            training = self.training
            if passes < training.passes:
                training = self.job.preset.hurried(training)
            needed = _LEAST_PASSES if is_first else _LEAST_PASSES_MORE
            if is_first:
                self._say_recipe()
            if passes < needed:
                if is_first:
                    self.told.decided(
                        f"fine-tuning would see {max(0.0, passes):.2f} of an epoch in the time "
                        f"left; at least {needed:g} is wanted"
                    )
                    if "embedding" in self.job.candidates:
                        self._embedding(row_s)
                return False
        else:
            self._say_recipe()
            training = self.training
        name = self.job.preset.name if is_first else f"{self.job.preset.name}-{number}"
        self.log("phase", name="fine-tuning")
        folder = Path(self.job.folder) / ("model" if is_first else f"model-{number}")
        tuning = self._tunings.of(
            name,
            model,
            training,
            self._tokens.train,
            self._tokens.validation,
            teach=self._teacher(self._material.texts, self._material.classes),
            number=number,
        )
        if not self._train(tuning, folder, end_s):
            return False
        bare = self._merged(tuning)
        predict_rows = self._predictor(bare)
        self.log("phase", name="validating")
        asked_s = time.monotonic()
        held, classes = self._tokens.validation, self._material.held_classes
        hear = self.told.work("validating", len(classes))
        probabilities = predict_rows(Rows((), ()), held, hear)
        row_s = (time.monotonic() - asked_s) / len(classes)
        probabilities = self._cooled(name, bare, probabilities)
        predict_rows = self._predictor(self._write(bare, folder))
        self._enter(name, "finetune", probabilities, began_s, folder, predict_rows, row_s)
        self.accelerator.free_memory()
        return self.budget.end_s is not None and self.job.blend

    def _finetune_by_turns(self) -> None:
        """Cross-validation, then a model of all rows, for as long as the best of the folds were."""
        began_s, rows = time.monotonic(), self._material
        self._say_recipe()
        answers = np.zeros((len(rows.classes), self._count), dtype=np.float32)
        shares: list[float] = []
        for number in range(rows.folds):
            inside, outside = rows.parts(number)
            found = self._fold(number, inside, outside)
            if found is None:
                return
            answers[outside] = found.answers
            at = found.position
            shares.append(at.best_step / at.total_steps if at.best_step else 1.0)
        name, folder = self.job.preset.name, Path(self.job.folder) / "model"
        epochs = self.training.epochs * float(np.mean(shares))
        model, phase = self._tunings.load(), "fine-tuning on all rows"
        self.log("phase", name=phase)
        tuning = self._tunings.of(
            name,
            model,
            self.training.model_copy(update={"epochs": epochs}),
            self._tokens.train,
            None,
            teach=self._teacher(rows.texts, rows.classes, phase=phase),
        )
        if not self._train(tuning, folder, None):
            return
        bare = self._merged(tuning)
        probabilities = self._cooled(name, bare, answers)
        predict_rows = self._predictor(self._write(bare, folder))
        self._enter(name, "finetune", probabilities, began_s, folder, predict_rows, 0.0)
        self.accelerator.free_memory()

    def _fold(self, number: int, inside: Indices, outside: Indices) -> FineTuning | None:
        """A fine-tuning whose `answers` are there; None where it was interrupted."""
        name, rows = f"{self.job.preset.name}-fold{number + 1}", self._material
        model, phase = self._tunings.load(), f"fine-tuning {number + 1} of {rows.folds + 1}"
        self.log("phase", name=phase)
        part = self._tokens.fold(inside, outside)
        tuning = self._tunings.of(
            name,
            model,
            self.training,
            part.train,
            part.validation,
            teach=self._teacher(
                [rows.texts[int(row)] for row in inside], part.train.classes, phase=phase
            ),
            is_fold=True,
        )
        if tuning.answers is None:
            if not self._train(tuning, None, None):
                return None
            hear = self.told.work("validating", len(outside))
            tuning.conclude(
                self._predictor(self._bare(tuning))(Rows((), ()), part.validation, hear)
            )
        self.accelerator.free_memory()
        return tuning

    def _train(self, tuning: FineTuning, folder: Path | None, end_s: float | None) -> bool:
        """Run it to its end; False where it was interrupted.

        Its best weights so far are then written to `folder`; None for one fold, whose model is
        nobody's answer.
        """
        try:
            at = self.position = tuning.run(end_monotonic_s=end_s)
            self.tuning = tuning.name
        except NonFiniteLoss:
            if folder is not None and tuning.position.best_step:
                self._write(self._merged(tuning), folder)
            raise
        if at.interrupted:
            self.is_interrupted = True
            if folder is not None and at.best_step:
                self._write(self._merged(tuning), folder)
                self.model_step = at.best_step
        return not at.interrupted

    def _teacher(
        self, texts: Sequence[str], classes: NDArray[np.int64], *, phase: str = "fine-tuning"
    ) -> Callable[[], NDArray[np.float32]]:
        def teach() -> NDArray[np.float32]:
            self.log("phase", name="linear models judge rows that they have not seen")
            answers = teacher.out_of_fold(
                texts,
                classes,
                count=self._count,
                seed=self.job.seed,
                weights=self._weights,
                check=self.stop.check,
            )
            self.log("phase", name=phase)
            return answers

        return teach

    def _bare(self, tuning: FineTuning) -> Any:
        """The model that `tuning` holds, without accelerate's autocast: it predicts in fp32."""
        return self.accelerator.unwrap_model(tuning.model, keep_fp32_wrapper=False)

    def _merged(self, tuning: FineTuning) -> Any:
        """The same, with what its method added merged into its weights."""
        bare = self._bare(tuning)
        methods.merge(bare, self.job.preset.method)
        return bare

    def _predictor(self, bare: Any) -> Callable[[Rows, Tokens | None, Hear], Probabilities]:
        batch_tokens = self.training.batch_tokens

        def predict_rows(_: Rows, tokens: Tokens | None, hear: Hear) -> Probabilities:
            assert tokens is not None
            return predict(
                bare,
                tokens,
                self._pad_id,
                self.accelerator,
                batch_tokens,
                autocast=False,
                check=self.stop.check,
                told=hear,
            )

        return predict_rows

    def _cooled(self, name: str, model: Any, probabilities: Probabilities) -> Probabilities:
        """The validation probabilities with the temperature that is built into the model's head."""
        scores = np.log(probabilities.astype(np.float64) + 1e-12)
        t = blend.temperature(scores, self._material.held_classes, least=1.0)
        if not cool_head(model, t, classes=self._count):
            return probabilities
        self.log("note", text=f"{name}: too sure of itself; temperature {t:.2f} is built in")
        return blend.softmax(scores / t)

    def _write(self, model: Any, folder: Path) -> Any:
        """Write what is delivered; returns what predicts as those files do."""
        if not self.accelerator.is_main_process:
            return model
        labels = self.job.dataset.labels
        return save_delivery(model, self.tokenizer, self.as_trained.preset, folder, labels)

    # ---- within a budget -------------------------------------------------------------------------

    def _agreed(self, mine: float) -> float:
        """The main process's figure: each measures its own, and all must go the same way."""
        figures = [mine]
        broadcast_object_list(figures)
        return figures[0]

    def _require_time(self, is_late: bool) -> None:
        """Raise OutOfTime on all processes where it is late on the main one."""
        if self._agreed(is_late):
            raise OutOfTime

    def _reserve_s(self, row_s: float) -> float:
        """What predicting takes: each model the test rows once, and this one the held rows."""
        models = 1 + sum(c.facts.kind != "linear" for c in self.contenders)
        in_time = max(_TEST_ROWS_AT_LEAST, self._test_rows_in_time(row_s))
        rows = min(self.job.test_rows, in_time)
        return 1.05 * row_s * (rows * models + len(self._material.held_classes)) + 1.0

    def _test_rows_in_time(self, row_s: float) -> int:
        return max(0, int(_TEST_SHARE * self.budget.left_s / row_s))

    def _passes(self, spare_s: float, model: Any) -> float:
        step_row_s = _STEP_OVER_FORWARD * self._seconds_per_row(model, autocast=True)
        return spare_s / (step_row_s * len(self._material.classes))

    def _fit_length(self, model: Any) -> None:
        """Keep as many tokens as leaves time to see each row, and no fewer than the preset's."""
        wanted, floor = self.training.max_length, self.job.preset.training.max_length
        if wanted <= floor:
            return
        full = self._full.train.full
        assert full is not None
        self._keep(floor)
        row_s = self._seconds_per_row(model, autocast=False)
        passes_at_floor = self._passes(1.0, model)  # in a second
        for length in (n for n in sorted({wanted, *material.LENGTHS}, reverse=True) if n <= wanted):
            longer = np.minimum(full, length).sum() / np.minimum(full, floor).sum()
            spare_s = self.budget.left_s - self._reserve_s(row_s * longer)
            passes = self._agreed(spare_s * passes_at_floor / longer)
            if length <= floor or passes >= _LEAST_PASSES_LONGER:
                self._keep(max(length, floor))
                break
        if self.training.max_length < wanted:
            self.told.note(
                f"{wanted} tokens of a text would be kept with more time; "
                f"{self.training.max_length} fit into the budget"
            )

    def _embedding(self, row_s: float) -> None:
        held = self._tokens.validation
        spare_s = self.budget.left_s - 1.05 * self._reserve_s(row_s) - 2.0
        rows = min(len(self._material.classes), int(self._agreed(spare_s / (1.1 * row_s))))
        if rows < min(_LEAST_EMBEDDED_ROWS, len(self._material.classes)):
            return
        self.log("phase", name=f"embedding {rows} training rows")
        began_s, job, training = time.monotonic(), self.job, self.training
        encoder = load_encoder(job.model_path)

        def embed(tokens: Tokens, hear: Hear) -> NDArray[np.float32]:
            return embedding.embed(
                encoder,
                tokens,
                self._pad_id,
                batch_tokens=training.batch_tokens,
                check=self.budget.check,
                told=hear,
            )

        def predict_rows(_: Rows, tokens: Tokens | None, hear: Hear) -> Probabilities:
            assert tokens is not None
            return head.predict(embed(tokens, hear))

        kept = limit_rows(self._material.classes, rows, seed=job.seed)
        sample = self._tokens.train.take(kept)
        embedded = embed(sample, self.told.work("embedding training rows", len(kept)))
        head = embedding.EmbeddingHead.fit(embedded, sample.classes)
        folder = Path(job.folder) / "embedding"
        head.save(folder, encoder=base_name(job.preset.model), max_length=training.max_length)
        save_tokenizer(self.tokenizer, training.max_length, folder)
        hear = self.told.work("embedding validation rows", len(held.classes))
        probabilities = predict_rows(Rows((), ()), held, hear)
        self._enter("embedding", "embedding", probabilities, began_s, folder, predict_rows, row_s)

    def _seconds_per_row(self, model: Any, *, autocast: bool) -> float:
        """Seconds a row of a forward pass, in fp32 or the training precision.

        Over 128 rows, or fewer long ones, after a warm-up.
        """
        tokens = self._tokens.validation
        most = max(8, min(128, int(_MEASURED_TOKENS / tokens.lengths.mean())))
        rows = np.random.default_rng(0).permutation(len(tokens.classes))[:most]
        sample = tokens.take(rows)
        batch_tokens = self.training.batch_tokens
        took_s = 0.0
        for trial in (sample.take(np.arange(min(16, len(rows)))), sample):
            began_s = time.monotonic()
            predict(model, trial, self._pad_id, self.accelerator, batch_tokens, autocast=autocast)
            took_s = (time.monotonic() - began_s) / len(trial.classes)
        return took_s

    # ---- the choice ------------------------------------------------------------------------------

    def _enter(
        self,
        name: str,
        kind: CandidateKind,
        probabilities: Probabilities,
        began_s: float,
        folder: Path,
        predict_rows: Callable[[Rows, Tokens | None, Hear], Probabilities],
        row_s: float,
    ) -> None:
        classes = self._material.held_classes
        facts = Candidate(
            name=name,
            kind=kind,
            validation_accuracy=float((probabilities.argmax(1) == classes).mean()),
            validation_loss=blend.log_loss(probabilities, classes),
            seconds=round(time.monotonic() - began_s, 2),
        )
        self.contenders.append(Contender(facts, probabilities, folder, predict_rows, row_s))
        self.log(
            "candidate",
            name=name,
            validation_accuracy=round(facts.validation_accuracy, 4),
            seconds=facts.seconds,
        )

    def choose(self) -> dict[str, float]:
        """Name to share of what is delivered, on every process; the rest is removed but a linear
        model, which is small, and but all where training is traced."""
        chosen = [self._chosen() if self.accelerator.is_main_process else {}]
        broadcast_object_list(chosen)
        shares = chosen[0]
        for contender in self.contenders:
            weight = shares.get(contender.facts.name, 0.0)
            contender.facts = contender.facts.model_copy(update={"weight": weight})
            is_kept = weight or contender.facts.kind == "linear" or self.job.trace
            if not is_kept and self.accelerator.is_main_process:
                shutil.rmtree(contender.folder, ignore_errors=True)
        return shares

    def _chosen(self) -> dict[str, float]:
        classes, by_name = (
            self._material.held_classes,
            {c.facts.name: c.validation for c in self.contenders},
        )
        rows = f"the same {len(classes):,} validation rows"
        if self._material.fold is not None:
            rows = f"the same {len(classes):,} rows, asked of models that had not seen them"
        judge = choice.Judge(classes, self._weights, rows)
        tuned = [c.facts.name for c in self.contenders if c.facts.kind != "linear"]
        plan = tuned[0] if tuned else self.contenders[0].facts.name
        if self.job.blend:
            shares = judge.best_average(by_name)
        else:
            best = plan
            for name, probabilities in by_name.items():
                if judge.is_better(probabilities, by_name[best]):
                    best = name
            shares = {best: 1.0}
        if len(shares) > 1:
            self.told.chose(judge.why_several(shares, by_name))
        else:
            self.told.chose(judge.why_one(next(iter(shares)), plan, by_name))
        self._warn_of_silence(blend.mix(by_name, shares))
        return shares

    def _warn_of_silence(self, probabilities: Probabilities) -> None:
        labels = self.job.dataset.labels
        there = np.bincount(self._material.classes, minlength=len(labels))
        silent = choice.never_answered(probabilities, self._material.held_classes, labels)
        if not silent:
            return
        shown = ", ".join(
            f"{label!r} ({there[labels.index(label)]:,} training and {rows:,} validation rows)"
            for label, rows in silent[:5]
        )
        more = f" and {len(silent) - 5} more" if len(silent) > 5 else ""
        advice = "more rows of it would help"
        if self._weights is None:
            advice += ", or --set training.class_weights=balanced"
        self.told.warn(f"never answered on the validation rows: {shown}{more}; {advice}")

"""Fine-tune one model, by itself or, where rows are few, as many as validate by turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.preset import Training
from agnews_cli.core.run.work import MODEL, snapshot
from agnews_cli.errors import NonFiniteLoss
from agnews_cli.learn import methods
from agnews_cli.learn.figures import blend
from agnews_cli.learn.loop.forward import predict
from agnews_cli.learn.loop.position import Position
from agnews_cli.learn.loop.state import ANSWERS
from agnews_cli.learn.loop.train import FineTuning
from agnews_cli.learn.models import teacher
from agnews_cli.learn.models.model import save_delivery, scale_head
from agnews_cli.learn.rows.batches import Indices
from agnews_cli.learn.rows.tokens import Tokens
from agnews_cli.learn.stages.guarded import Guarded
from agnews_cli.learn.stages.prepare import Prepared
from agnews_cli.learn.stages.trained import CycleEnd, Probabilities, Trained
from agnews_cli.learn.stages.tuning import Tunings
from agnews_cli.learn.state.snapshot import restore_weights

SoftTargets = Callable[[], NDArray[np.float32]]


@dataclass(slots=True)
class Trainer:
    """Fine-tunes the models of one job, once its rows are tokens."""

    rows: Prepared
    tunings: Tunings = field(init=False)
    guarded: Guarded = field(init=False)
    is_interrupted: bool = False
    position: Position | None = None
    """Where the last fine-tuning stands."""
    tuning: str = ""
    """Its name."""
    model_step: int = 0
    """The step whose weights were written as the model, where training was interrupted."""

    def __post_init__(self) -> None:
        self.tunings = Tunings(self.rows)
        setting = self.rows.setting
        rank = getattr(setting.job.preset.method, "rank", None)  # what has none has no such updates
        self.guarded = Guarded(setting.folder, setting.told, rank)

    def one(
        self, number: int, model: Any, training: Training, *, end_s: float | None
    ) -> Trained | None:
        """The `number`-th model of the job, from 1; None where it was interrupted."""
        setting, rows = self.rows.setting, self.rows
        name = setting.job.preset.name if number == 1 else f"{setting.job.preset.name}-{number}"
        folder = setting.folder / ("model" if number == 1 else f"model-{number}")
        setting.log("phase", name="fine-tuning")
        tuning = self.tunings.of(
            name,
            model,
            training,
            rows.tokens.learned,
            rows.tokens.validation,
            soft_targets=self._soft_targets(training, rows.material.texts, rows.material.classes),
            taught=rows.taught,
            number=number,
        )
        if not self._train(tuning, folder, end_s):
            return None
        self.guarded.over(tuning)
        bare = self._merged(tuning)
        setting.log("phase", name="validating")
        asked_s = time.monotonic()
        probabilities = self._asked(bare, rows.tokens.validation)
        row_s = (time.monotonic() - asked_s) / len(rows.held_classes)
        probabilities, t = self._calibrated(name, bare, probabilities)
        self._write(bare, folder)
        snapshots = self._snapshots(tuning, number)
        setting.accelerator.free_memory()
        return Trained(name, folder, probabilities, row_s, snapshots, t)

    def by_turns(self) -> Trained | None:
        """Cross-validation, then a model of all rows, for as long as the best of the folds were."""
        setting, rows = self.rows.setting, self.rows.material
        shape = (len(rows.classes), len(setting.labels))
        kept = map(snapshot, range(1, self.rows.training.cycles + 1))
        answers = {name: np.zeros(shape, dtype=np.float32) for name in (ANSWERS, *kept)}
        shares: list[float] = []
        for number in range(rows.folds):
            inside, outside = rows.parts(number)
            found = self._fold(number, inside, outside)
            if found is None:
                return None
            for what, said in (found.answers or {}).items():
                answers[what][outside] = said
            at = found.position
            is_whole = bool(self.rows.training.cycles) or not at.best_step
            shares.append(1.0 if is_whole else at.best_step / at.total_steps)
        name, folder = setting.job.preset.name, setting.folder / "model"
        epochs = self.rows.training.epochs * float(np.mean(shares))
        training = self.rows.training.model_copy(update={"epochs": epochs})
        model, phase = self.tunings.load(), "fine-tuning on all rows"
        setting.log("phase", name=phase)
        tuning = self.tunings.of(
            name,
            model,
            training,
            self.rows.tokens.learned,
            None,
            soft_targets=self._soft_targets(training, rows.texts, rows.classes, phase=phase),
            taught=self.rows.taught,
        )
        if not self._train(tuning, folder, None):
            return None
        bare = self._merged(tuning)
        probabilities, t = self._calibrated(name, bare, answers[ANSWERS])
        self._write(bare, folder)
        snapshots = self._snapshots(tuning, said=answers)
        setting.accelerator.free_memory()
        return Trained(name, folder, probabilities, 0.0, snapshots, t)

    def _fold(self, number: int, inside: Indices, outside: Indices) -> FineTuning | None:
        """A fine-tuning whose `answers` are there; None where it was interrupted."""
        setting, rows = self.rows.setting, self.rows.material
        name = f"{setting.job.preset.name}-fold{number + 1}"
        model, phase = self.tunings.load(), f"fine-tuning {number + 1} of {rows.folds + 1}"
        setting.log("phase", name=phase)
        part, training = self.rows.tokens.fold(inside, outside), self.rows.training
        texts = [rows.texts[int(row)] for row in inside]
        tuning = self.tunings.of(
            name,
            model,
            training,
            part.learned,
            part.validation,
            soft_targets=self._soft_targets(training, texts, part.train.classes, phase=phase),
            taught=self.rows.taught_fold(inside, outside),
            is_fold=True,
        )
        if tuning.answers is None:
            if not self._train(tuning, None, None):
                return None
            bare = self._bare(tuning)
            answers = {ANSWERS: self._asked(bare, part.validation)}
            for number, kept in sorted(tuning.state.snapshots.items()):
                restore_weights(bare, kept, snapshot(number))
                answers[snapshot(number)] = self._asked(bare, part.validation)
            tuning.conclude(answers)
        self.guarded.over(tuning)
        setting.accelerator.free_memory()
        return tuning

    def _snapshots(
        self,
        tuning: FineTuning,
        number: int = 1,
        *,
        said: Mapping[str, Probabilities] | None = None,
    ) -> tuple[CycleEnd, ...]:
        """Each cycle's model, written beside the run's. `said`: by name, what models that had not
        seen the held rows said of them; None: these are asked.

        Each is loaded anew, as a method may spend the model that it merges into.
        """
        setting, found = self.rows.setting, []
        for cycle, kept in sorted(tuning.state.snapshots.items()):
            name = snapshot(cycle)
            model = self.tunings.load(number)
            setting.log("phase", name=f"validating {name}")
            restore_weights(model, kept, name)
            model.to(setting.accelerator.device)
            methods.of(setting.job.preset.method).merge(model)
            held = self._asked(model, self.rows.tokens.validation) if said is None else said[name]
            held, _ = self._calibrated(name, model, held)
            self._write(model, setting.folder / name / MODEL)
            found.append(CycleEnd(name, held))
        return tuple(found)

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

    def _soft_targets(
        self,
        training: Training,
        texts: Sequence[str],
        classes: NDArray[np.int64],
        *,
        phase: str = "fine-tuning",
    ) -> SoftTargets | None:
        """The labels and what linear models say, in the recipe's shares; None: labels alone."""
        if not training.linear_teacher:
            return None
        setting = self.rows.setting

        def taught() -> NDArray[np.float32]:
            setting.log("phase", name="linear models judge rows that they have not seen")
            answers = teacher.out_of_fold(
                texts,
                classes,
                count=len(setting.labels),
                seed=setting.job.seed,
                weights=self.rows.class_weights,
                check=setting.stop.check,
            )
            setting.log("phase", name=phase)
            return teacher.mixed(answers, classes, training.linear_teacher)

        return taught

    def _bare(self, tuning: FineTuning) -> Any:
        """The model that `tuning` holds, without accelerate's autocast: it predicts in fp32."""
        return self.rows.setting.accelerator.unwrap_model(tuning.model, keep_fp32_wrapper=False)

    def _merged(self, tuning: FineTuning) -> Any:
        """The same, with what its method added merged into its weights."""
        bare = self._bare(tuning)
        methods.of(self.rows.setting.job.preset.method).merge(bare)
        return bare

    def _asked(self, bare: Any, tokens: Tokens) -> Probabilities:
        """What the model says before it is written: its head is scaled by it."""
        setting = self.rows.setting
        return predict(
            bare,
            tokens,
            self.rows.pad_id,
            setting.accelerator,
            self.rows.training.batch_tokens,
            autocast=False,
            check=setting.stop.check,
            told=setting.told.work("validating", len(tokens.classes)),
        )

    def _calibrated(
        self, name: str, model: Any, probabilities: Probabilities
    ) -> tuple[Probabilities, float | None]:
        """The validation probabilities with the temperature that is built into the model's head,
        and that."""
        setting = self.rows.setting
        scores = np.log(probabilities.astype(np.float64) + 1e-12)
        t = blend.temperature(scores, self.rows.held_classes)
        if not scale_head(model, t, classes=len(setting.labels)):
            return probabilities, None
        is_what = "too sure of itself" if t > 1 else "less sure than it is right"
        setting.log("note", text=f"{name}: {is_what}; temperature {t:.2f} is built in")
        return blend.softmax(scores / t), t

    def _write(self, model: Any, folder: Path) -> None:
        """What is delivered. `model` is spent."""
        setting = self.rows.setting
        if setting.is_main:
            preset = self.rows.as_trained.preset
            save_delivery(model, self.rows.tokenizer, preset, folder, setting.labels)

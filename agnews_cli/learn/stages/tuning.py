"""Fine-tunings made ready to run: their model loaded, at their newest checkpoint."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.preset import Training
from agnews_cli.errors import CannotResume
from agnews_cli.learn import methods
from agnews_cli.learn.door.budget import LEAST_SAVED_S
from agnews_cli.learn.loop.distil import Taught
from agnews_cli.learn.loop.position import StepTrace
from agnews_cli.learn.loop.train import FineTuning
from agnews_cli.learn.models.model import load_classifier, mask_id_of
from agnews_cli.learn.rows.tokens import Tokens
from agnews_cli.learn.stages import savers
from agnews_cli.learn.stages.prepare import Prepared
from agnews_cli.learn.stages.setting import Setting
from agnews_cli.learn.state import fingerprint
from agnews_cli.learn.state.saving import Saver, changes
from agnews_cli.learn.state.snapshot import Misfit
from agnews_cli.store.disk import private


@dataclass(slots=True)
class Tunings:
    """Makes the fine-tunings of one job, once its rows are tokens."""

    rows: Prepared

    @property
    def setting(self) -> Setting:
        return self.rows.setting

    def load(self, number: int = 1) -> Any:
        """The model to train, its head drawn anew; `number`: the how manieth of the job."""
        setting, job = self.setting, self.setting.job
        is_here = Path(job.model_path).is_dir()
        doing = "loading the model" if is_here else f"fetching {job.model_path} from the hub"
        setting.log("phase", name=doing)
        return load_classifier(
            job.model_path,
            job.preset,
            job.dataset.labels,
            pad_id=self.rows.pad_id,
            seed=job.seed + number - 1,
            on_cpu=setting.accelerator.device.type == "cpu",
        )

    def of(
        self,
        name: str,
        model: Any,
        training: Training,
        tokens: Tokens,
        validation: Tokens | None,
        *,
        soft_targets: Callable[[], NDArray[np.float32]] | None,
        taught: Taught | None,
        number: int = 1,
        is_fold: bool = False,
    ) -> FineTuning:
        """One fine-tuning, as its newest checkpoint left it. Raises CannotResume."""
        setting, job = self.setting, self.setting.job
        now = fingerprint.take(setting.accelerator, setting.precision)
        now |= fingerprint.of_material(tokens, validation, model)
        now |= fingerprint.of_teacher(taught.logits, taught.hidden) if taught is not None else {}
        tuning = FineTuning(
            name=name,
            model=model,
            accelerator=setting.accelerator,
            training=training,
            precision=setting.precision,
            tokens=tokens,
            validation=validation,
            pad_id=self.rows.pad_id,
            mask_id=mask_id_of(self.rows.tokenizer),
            classes=len(job.dataset.labels),
            seed=job.seed + number - 1,
            log=setting.log,
            stop=setting.stop,
            saver=self._saver(name, now),
            trace=partial(self._trace, name) if job.trace else None,
            soft_targets=soft_targets,
            taught=taught,
            saves_end=not is_fold,
            update_rank=methods.of(job.preset.method).update_rank,
        )
        self._resume(tuning, now)
        return tuning

    def _trace(self, name: str, step: StepTrace) -> None:
        """Of several processes, whose losses are one here, the first writes."""
        if not self.setting.is_main:
            return
        facts = {"candidate": name} | asdict(step)
        facts |= {"lr": step.lr.hex(), "loss": step.loss.hex()}
        with private.appending(self.setting.folder / "trace.jsonl") as file:
            file.write((json.dumps(facts) + "\n").encode())

    def _saver(self, name: str, now: dict[str, str]) -> Saver | None:
        """Who saves this fine-tuning; nobody where a short budget is the run's whole life."""
        setting, job = self.setting, self.setting.job
        if setting.budget.left_s < LEAST_SAVED_S:
            return None
        return savers.of(job, name, now, setting.accelerator, setting.log, every_s=job.save_every_s)

    def _resume(self, tuning: FineTuning, now: dict[str, str]) -> None:
        """Go on from the newest good checkpoint, if there is one; say from where, and what changed.

        Raises CannotResume when it does not fit, or when libraries, tokens or frozen weights
        changed and that was not allowed.
        """
        job, log = self.setting.job, self.setting.log
        again = "The command that began it, with --fresh, trains it anew."
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
            inexact = f"agnews resume {shlex.quote(job.folder)} --inexact goes on all the same"
            raise CannotResume(
                run=job.run, reason=f"the result could differ: {which}", next=inexact
            )
        for name, (before, after) in changed.items():
            log("warning", text=f"resumed not bit for bit: {name} was {before}, is {after}")
        at = tuning.position
        log(
            "resumed",
            candidate=tuning.name,
            checkpoint=saved.id,
            step=at.step,
            total_steps=at.total_steps,
            changed=sorted(changed),
        )

"""The rows of a job and their tokens, and the recipe that suits texts as long as these."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.job import TrainJob
from agnews_cli.core.run.long_texts import CUT, LongTexts
from agnews_cli.core.run.preset import Training
from agnews_cli.errors import ValueWrong
from agnews_cli.learn.door.budget import OutOfTime
from agnews_cli.learn.rows import handicaps, material
from agnews_cli.learn.rows.batches import Indices, steps_in
from agnews_cli.learn.rows.material import Material, Tokenised
from agnews_cli.learn.rows.overlap import Hashes
from agnews_cli.learn.rows.reading import WhatWasRead
from agnews_cli.learn.rows.weighing import weights_of
from agnews_cli.learn.stages.setting import Setting

if TYPE_CHECKING:
    from agnews_cli.learn.loop.distil import Taught
    from agnews_cli.learn.stages.taught import Teacher

_OTHER_WAYS = "--set training.long_texts=head_tail reads both ends, =windows all of it"


_LEAST_READ = 8
"""Tokens of a text, beside virtual ones."""


@dataclass(slots=True)
class Prepared:
    """`read_rows` makes `material`, `read` the teacher's answers too; `tokenise` the rest."""

    setting: Setting
    material: Material = field(init=False)
    teacher: Teacher | None = None
    training: Training = field(init=False)
    """The preset's, with the length that the texts have."""
    tokenizer: Any = None
    full: Tokenised = field(init=False)
    """Tokens of texts as long as the model may read them."""
    tokens: Tokenised = field(init=False)
    """Tokens of texts as long as they are trained on."""

    def __post_init__(self) -> None:
        self.training = self.setting.job.preset.training

    @property
    def held_classes(self) -> NDArray[np.int64]:
        """Classes of the rows that validate, (rows,)."""
        return self.material.held_classes

    @property
    def as_trained(self) -> TrainJob:
        """The job with the training as it was: its length is that of the texts."""
        job = self.setting.job
        preset = job.preset.model_copy(update={"training": self.training})
        return job.model_copy(update={"preset": preset})

    @property
    def trained_rows(self) -> int:
        """How many rows the fine-tuned models and the linear one were trained on, at most."""
        return len(self.material.texts)

    @property
    def taught(self) -> Taught | None:
        """What a teacher says of all rows that are learned from."""
        return None if self.teacher is None else self.teacher.whole

    def taught_fold(self, inside: Indices, outside: Indices) -> Taught | None:
        """The same where only the rows `inside` are trained on, and those `outside` validate."""
        return None if self.teacher is None else self.teacher.fold(inside, outside)

    @property
    def class_weights(self) -> NDArray[np.float64] | None:
        """How much a row of each class counts."""
        count = len(self.setting.labels)
        return weights_of(self.training.class_weights, self.material.classes, count)

    @property
    def pad_id(self) -> int:
        return int(self.tokenizer.pad_token_id)

    def seen(self) -> Hashes:
        """Of the training file's texts, those held out for validation included, and of those
        without labels."""
        return self.material.seen()

    def read_rows(self) -> None:
        """Raises TooLittleMemory or BudgetTooShort."""
        setting, job = self.setting, self.setting.job
        setting.log("phase", name="reading")
        self.material = material.read(
            job.dataset,
            job.choice,
            job.rows,
            setting.budget,
            setting.told,
            parameters=job.preset.model.parameters,
            beside_bytes=job.preset.snapshots_bytes,
            has_unlabelled=job.has_unlabelled,
        )

    def read(self) -> None:
        """Raises TooLittleMemory or BudgetTooShort, and what is wrong with a teacher's answers."""
        setting, job = self.setting, self.setting.job
        self.read_rows()
        if job.teacher:
            from agnews_cli.learn.stages import taught  # torch

            self.teacher = taught.read(job, self.material, setting.told)
        if self.class_weights is not None and self.training.class_weights == "auto":
            rows = np.bincount(self.material.classes, minlength=len(setting.labels))
            least = int(np.where(rows > 0, rows, rows.max()).argmin())
            setting.told.note(
                f"classes count the same in training, whatever their rows: {rows[least]} of "
                f"{rows.sum():,} are {setting.labels[least]!r} "
                "(--set training.class_weights=none counts rows alike)"
            )

    def tokenise(self) -> None:
        """Raises OutOfTime, on all processes, ValueWrong: more tokens than the model reads, and
        TeacherOfOtherWidth."""
        from agnews_cli.learn.models.model import load_config, load_tokenizer

        job, told, asked = self.setting.job, self.setting.told, self.setting.job.preset.training
        self.setting.log("phase", name="tokenising")
        self.tokenizer = load_tokenizer(job.model_path, job.preset.model.revision)
        config = load_config(job.model_path, job.preset.model.revision)
        virtual = job.preset.method.virtual_tokens
        most = material.longest_of(self.tokenizer, config, asked.longest, virtual=virtual)
        if most < _LEAST_READ and virtual:
            raise ValueWrong(
                name="method.tokens",
                given=f" is {virtual}",
                expected=f"fewer than the {most + virtual} tokens that {job.preset.model.id} reads",
                hint="The usual number: --set method.tokens=20",
            )
        if self.teacher is not None:
            self.teacher.require_width(config.get_text_config().hidden_size)
        if asked.max_length > most and asked.longest == asked.max_length:
            raise ValueWrong(
                name="training.max_length",
                given=f" is {asked.max_length}",
                expected=f"at most {most}, the tokens of a text that {job.preset.model.id} reads",
                hint=f"The most: --set training.max_length={most}",
            )
        is_late = False
        with self.setting.accelerator.main_process_first():
            try:
                self.full = material.tokenise(
                    job, self.material, self.tokenizer, most, self.setting.budget, told
                )
            except OutOfTime:
                is_late = True
        self.setting.require_time(is_late)
        full = self.full.train.full
        assert full is not None
        self.keep(material.length_for(full, asked.max_length, most))
        strange = handicaps.strange_language(
            self.material.texts, self.full.train, self.tokenizer, job.preset.name
        )
        if strange is not None:
            told.warn(strange)

    def keep(self, length: int) -> None:
        """Take so many tokens of each text, and the recipe that suits so many."""
        job = self.setting.job
        self.tokens = self.full.cut(length, self.long_texts_at(length))
        recipe = job.preset.training.of_length(length)
        steps = steps_in(
            self.tokens.learned.lengths,
            seed=job.seed,
            epochs=1,
            batch_tokens=recipe.batch_tokens,
        )
        self.training = recipe.of_steps(steps)

    def long_texts_at(self, length: int) -> LongTexts:
        """How texts of more than so many tokens are read."""
        ends = self.full.ends
        return self.training.read_at(length, begin=ends.begin, end=ends.end)

    @property
    def long_texts(self) -> LongTexts:
        """How texts are read that are longer than what is trained on; a linear model reads all."""
        if self.tokenizer is None:
            return CUT
        return self.long_texts_at(self.training.max_length)

    @property
    def read_facts(self) -> dict[str, object]:
        """For a delivery's files: how much of a text is read, and how longer ones are."""
        return {"max_length": self.training.max_length, **self.long_texts.as_facts()}

    def say_recipe(self) -> None:
        """Where it is not the preset's, or where much of the texts is not read."""
        asked, told = self.setting.job.preset.training, self.setting.told
        length = self.training.max_length
        if length > asked.max_length:
            told.note(
                f"texts are long: {length} of their tokens are kept and not "
                f"{asked.max_length} (--set training.max_length=N decides)"
            )
        if self.training.epochs > asked.epochs:
            told.note(
                f"rows are few: {self.training.epochs:.1f} passes over them and not "
                f"{asked.epochs:g} (--set training.epochs=N decides)"
            )
        text, is_warning = self.said_of_long_texts()
        if is_warning:
            told.warn(f"{text} ({_OTHER_WAYS})" if self.long_texts.is_usual else text)
        elif self.has_long_texts:
            told.decided(text)
        else:
            told.note(text)

    @property
    def what_was_read(self) -> WhatWasRead:
        """Of the training rows, for the cards."""
        said = "" if self.tokenizer is None else self.said_of_long_texts()[0]
        return WhatWasRead(self.trained_rows, self.long_texts, said)

    @property
    def has_long_texts(self) -> bool:
        """Whether a training text is longer than what a pass reads."""
        full = self.full.train.full
        return full is not None and bool((full > self.training.max_length).any())

    def said_of_long_texts(self) -> tuple[str, bool]:
        """(how many training texts are longer than what is read at once, and what is done about
        it; whether much of them is lost)."""
        full = self.full.train.full
        assert full is not None
        return handicaps.long_texts(full, self.training.max_length, self.full.ends, self.long_texts)

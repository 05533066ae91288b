"""What accuracy a preset may lead one to expect: measured here, or published by others.

There is no third kind: a preset that nobody measured states none.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_Accuracy = Annotated[float, Field(gt=0, lt=1)]
_Rows = Annotated[int, Field(gt=0, le=1_000_000_000)]
_Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
_Words = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


class Measured(_Strict):
    """An accuracy that somebody measured with exactly these settings: of what, where and when."""

    dataset: _Words
    train_rows: _Rows
    test_rows: _Rows
    accuracy: _Accuracy = Field(description="Share of the test rows that is answered right.")
    machine: _Words = Field(description="What it was measured on.")
    as_of: _Day = Field(description="The day, such as 2026-11-29.")
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{7,40}$")] = Field(
        description="Of agnews, that it was measured with."
    )

    @property
    def words(self) -> str:
        """`91.2% measured (AG News, 10,000 rows, 2 cores, 2026-11-29)`"""
        rows = f"{self.train_rows:,} rows"
        return (
            f"{self.accuracy:.1%} measured ({self.dataset}, {rows}, {self.machine}, {self.as_of})"
        )


class Published(_Strict):
    """An accuracy that others publish of such a model; neither recipe nor rows need be the same."""

    dataset: _Words
    accuracy: _Accuracy = Field(description="Share of the test rows that is answered right.")
    of: _Words = Field(description="What was trained.")
    source: _Words = Field(description="Who says so, and where.")

    @property
    def words(self) -> str:
        """`94.9% published (AG News, Zhang et al. 2015, table 4)`"""
        return f"{self.accuracy:.1%} published ({self.dataset}, {self.source})"


Expected = Measured | Published

"""Data sets of the Hugging Face hub, downloaded or from the local cache, batch by batch.

It needs `datasets`, of the `train` extra, imported only when such a data set is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from agnews_cli.core.run.dataset import Form
from agnews_cli.errors import EmptyData, ExtraMissing, HubRefused, HubUnreachable
from agnews_cli.store.formats.table import Row, Table

_BATCH_ROWS = 1000


def hub(name: str) -> dict[str, Table]:
    """The splits of a data set on the Hugging Face hub, downloaded or from the local cache."""
    try:
        import datasets
    except ImportError:
        raise ExtraMissing(extra="train", module="datasets") from None
    if not _answers() and not _cached(name):
        _unreachable(name)  # load_dataset would find out too, after 24 s of retries on stderr
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()  # only cli.output prints
    try:
        found = datasets.load_dataset(name)
    except Exception as error:  # the libraries below raise dozens of kinds
        _refuse(name, error)
    finally:
        if shown:
            datasets.enable_progress_bars()
    return {str(split): _hub_table(name, str(split), found[split]) for split in found}


def _hub_table(name: str, part: str, rows: Any) -> Table:
    columns = tuple(str(column) for column in rows.column_names)

    def wanted_rows(wanted: Sequence[int]) -> Iterator[Row]:
        names = [columns[i] for i in wanted]
        at = 1
        for batch in rows.select_columns(names).iter(_BATCH_ROWS):
            for values in zip(*(batch[name] for name in names), strict=True):
                yield at, values
                at += 1

    if not len(rows):
        raise EmptyData(path=f"{name} ({part})")
    classes = {
        column: tuple(str(n) for n in feature.names)
        for column, feature in rows.features.items()
        if type(feature).__name__ == "ClassLabel" and feature.names
    }
    hint = "Choose another data set, or save this one to a file, mend that row and name the file."
    return Table(
        name,
        Form(format="hub"),
        columns,
        wanted_rows,
        part=part,
        class_names=classes,
        row_hint=hint,
        row_count=len(rows),
    )


def _answers() -> bool:
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except Exception:  # requests or httpx, by version
        return False
    return True


def _cached(name: str) -> bool:
    from datasets import config

    def same(folder: str) -> str:  # the cache's folder is in snake case, with ___ for the slash
        return folder.replace("_", "").replace("/", "").casefold()

    cache = Path(config.HF_DATASETS_CACHE)
    return cache.is_dir() and any(same(folder.name) == same(name) for folder in cache.iterdir())


def _unreachable(name: str, error: Exception | None = None) -> NoReturn:
    from huggingface_hub import constants

    raise HubUnreachable(
        what=repr(name),
        endpoint=constants.ENDPOINT,
        timeout_s=float(constants.HF_HUB_ETAG_TIMEOUT),
    ) from error


def _refuse(name: str, error: Exception) -> NoReturn:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"ConnectionError", "TimeoutError", "TransportError", "OfflineModeIsEnabled"}:
        _unreachable(name, error)
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    raise HubRefused(what=repr(name), reason=said[0] if said else type(error).__name__) from error

"""How a process starts and ends without looking for garbage in what it imports.

Modules, classes and models of a start live to the end, but Python's collector looks through all of
them every few hundred new objects, and once more when the process ends: a fifth of the time of a
worker that trains nothing. `python -m agnews_cli.start MODULE ARGUMENTS` runs a module like
`python -m MODULE ARGUMENTS`, without that.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEW_OBJECTS = 100_000
_AS_PYTHON_DOES = gc.get_threshold()


@contextmanager
def unsearched() -> Iterator[None]:
    """The collector looks after 100,000 new objects (Python's own: 700), and not at the end."""
    gc.set_threshold(_NEW_OBJECTS)
    try:
        yield
    finally:
        gc.freeze()


def is_over() -> None:
    """From here on the collector works as Python's own, but not through what is there already.

    For processes that work with large arrays: one that waits in a cycle must not wait for long.
    """
    gc.freeze()
    gc.set_threshold(*_AS_PYTHON_DOES)

"""Models that are stacked over members, one module each, named by `Stack.by`:

- `fit(features, classes, count, seed) -> Fitted`: features: (rows, members * classes); classes:
  (rows,), each of the `count` classes there at least once. `members` and `kind` are not its to say;
- `apply(fitted, features) -> (rows, count)`.

One thread: in another order of sums the same rows would give other bits.
"""

from __future__ import annotations

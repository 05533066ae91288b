"""Lives of a training run on machines that die: how much of the accelerator's time was of use.

A campaign is a job of so many training seconds, trained in one session after the other. Each
session starts up, trains, stands still for each save, and ends at its deadline, at a death drawn
from a distribution, or when the job is done. What is saved counts once it is uploaded; uploads
take a lognormal time and stall now and then. Quota is spent by sessions, returns each week, and may
be cut. A policy sees what a user's ledger holds: how the sessions before ended, what a save costs;
only the yardsticks know more.

*Goodput* is training time that was kept, over all accelerator time. Random numbers belong to the
session's number and not to the policy, so all policies meet the same deaths.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agnews_cli.core.saving.deaths import Lifetimes, Rng, true_survival
from agnews_cli.core.saving.hazard import ENOUGH_ENDS, Hazard, learn, saves
from agnews_cli.core.saving.interval import daly, save_interval

_GUARD = 1.1
_MOST_SESSIONS = 5_000


@dataclass(frozen=True, slots=True)
class World:
    """What holds for every policy."""

    lifetimes: Lifetimes
    deadline_s: float
    """A session's longest life, known to all."""
    work_s: float
    """Training seconds the job needs."""
    startup_s: float = 240.0
    cost_s: float = 20.0
    """Training stands still for so long in each save."""
    upload_s: float = 30.0
    """Median of the upload."""
    upload_spread: float = 0.4
    """Standard deviation of the upload's logarithm."""
    stall_share: float = 0.02
    stall_factor: float = 15.0
    """So many uploads stall, and take so many times as long."""
    quota_s: float = math.inf
    quota_week_s: float = 7 * 24 * 3600.0
    quota_cut_share: float = 0.0
    """Chance that a week's quota is halved."""
    step_s: float = 0.5
    epoch_s: float = 4500.0

    def slow_upload_s(self) -> float:
        """The 95% quantile without stalls."""
        return self.upload_s * math.exp(1.645 * self.upload_spread)


@dataclass(slots=True)
class KnownLives:
    """What a ledger knows when a session begins."""

    lived: list[tuple[float, bool]] = field(default_factory=list)


Policy = Callable[[KnownLives, World, float], Sequence[float]]
"""(what was seen, the world's known parts, this session's deadline) → ages at which to save."""


@dataclass(frozen=True, slots=True)
class Lived:
    """How one campaign went."""

    kept_s: float
    held_s: float
    finish_s: float
    sessions: int
    deaths: int
    is_done: bool

    @property
    def goodput(self) -> float:
        return self.kept_s / self.held_s if self.held_s else 0.0


# ---- policies -----------------------------------------------------------------------------------


class Learned:
    """The hazard learned from the ledger by age, and the saves that keep most under it.

    One rate until there are fifty random ends, then a rate for each part of a session's life. The
    programme is solved again when what was learned has changed by some percent.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[float, ...], Sequence[float]] = {}

    def __call__(self, seen: KnownLives, world: World, deadline_s: float) -> Sequence[float]:
        survival = self._learned(seen)
        key = (round(deadline_s), *(round(math.log(rate), 1) for rate in survival.rates))
        if len(survival.rates) > 1:
            key = (round(deadline_s), sum(died for _, died in seen.lived) // 25, float(id(seen)))
        if key not in self._made:
            self._made[key] = _saves(survival, world, deadline_s)
        return self._made[key]

    @staticmethod
    def _learned(seen: KnownLives) -> Hazard:
        return learn(seen.lived)


class KnownHazard:
    """Knows the distribution, not the moment: the best that any rule for saving can do."""

    def __init__(self) -> None:
        self._made: dict[int, Sequence[float]] = {}

    def __call__(self, seen: KnownLives, world: World, deadline_s: float) -> Sequence[float]:
        key = round(deadline_s)
        if key not in self._made:
            survival = true_survival(world.lifetimes, world.deadline_s)
            self._made[key] = _saves(survival, world, deadline_s)
        return self._made[key]


def _saves(survival: Hazard, world: World, deadline_s: float) -> Sequence[float]:
    upload_s = min(_GUARD * world.slow_upload_s(), deadline_s / 2)
    return saves(
        survival,
        deadline_s,
        world.cost_s,
        begins_s=world.startup_s,
        upload_s=upload_s,
        most=360,
    )


def every(interval_s: float) -> Policy:
    """Saves after so much training, whatever happens; no last save."""

    def policy(seen: KnownLives, world: World, deadline_s: float) -> Sequence[float]:
        ages, age = [], world.startup_s + interval_s
        while age + world.cost_s <= deadline_s:
            ages.append(age)
            age += world.cost_s + interval_s
        return ages

    return policy


def young_daly(seen: KnownLives, world: World, deadline_s: float) -> Sequence[float]:
    """Daly's interval from the true rate of deaths before the deadline."""
    survival = true_survival(world.lifetimes, world.deadline_s)
    alive = [survival.alive(world.deadline_s * k / 400) for k in range(401)]
    life_s = world.deadline_s * (sum(alive) - (alive[0] + alive[-1]) / 2) / 400
    died = max(1e-9, 1 - alive[-1])
    return every(daly(world.cost_s, life_s / died))(seen, world, deadline_s)


def shipped(seen: KnownLives, world: World, deadline_s: float) -> Sequence[float]:
    """Ours, as a run is saved: Daly's interval of the learned rate, at most 5%, and a last save."""
    lifetime_s = 1 / learn(seen.lived[: ENOUGH_ENDS - 1]).rates[0]
    ages = list(every(save_interval(world.cost_s, lifetime_s))(seen, world, deadline_s))
    last = deadline_s - world.cost_s - _GUARD * world.slow_upload_s()
    while ages and ages[-1] > last - world.cost_s:
        ages.pop()
    return [*ages, last] if last > world.startup_s else ages


# ---- one life -----------------------------------------------------------------------------------


def live(
    world: World, policy: Policy, rngs: Callable[[int], Rng], seen: KnownLives | None = None
) -> Lived:
    """One campaign. `rngs(n)` is the randomness of session n. `seen` grows."""
    seen = KnownLives() if seen is None else seen
    left_s, held_s, now_s, kept_s = world.work_s, 0.0, 0.0, 0.0
    quota, deaths, number = _Quota(world, rngs), 0, 0
    while left_s > 0 and number < _MOST_SESSIONS:
        rng = rngs(number)
        number += 1
        now_s, most_s = quota.wait(now_s, world.startup_s + 60)
        deadline_s = min(world.deadline_s, most_s)
        death_s = world.lifetimes.draw(rng)
        saved_s, end_s, is_dead = _session(
            world, policy(seen, world, deadline_s), deadline_s, death_s, left_s, rng
        )
        seen.lived.append((end_s, is_dead))
        deaths += is_dead
        left_s -= saved_s
        kept_s += saved_s
        held_s += end_s
        now_s += end_s
        quota.spend(end_s)
    return Lived(kept_s, held_s, now_s, number, deaths, left_s <= 0)


def _session(
    world: World,
    ages: Sequence[float],
    deadline_s: float,
    death_s: float,
    left_s: float,
    rng: Rng,
) -> tuple[float, float, bool]:
    """(training seconds kept, seconds held, whether it died)."""
    end_s, is_dead = min(deadline_s, death_s), death_s < deadline_s
    kept_s = trained_s = 0.0
    age, uploaded_s = world.startup_s, 0.0
    for at in ages:
        at = max(at, age)
        if trained_s + (at - age) >= left_s:
            break
        trained_s += at - age
        age = at + world.cost_s
        if age > end_s:
            return kept_s, end_s, is_dead
        # One upload at a time: a stalled one holds the next back.
        uploaded_s = max(uploaded_s, age) + _upload_s(world, rng)
        if uploaded_s <= end_s:
            kept_s = trained_s
    done_s = age + (left_s - trained_s) + world.cost_s
    if done_s < end_s:
        done_s = max(uploaded_s, done_s) + _upload_s(world, rng)
        if done_s <= end_s:
            return left_s, done_s, False
    return kept_s, end_s, is_dead


def _upload_s(world: World, rng: Rng) -> float:
    normal = sum(rng.random() for _ in range(12)) - 6  # close enough, and needs no more than random
    stalls = rng.random() < world.stall_share
    usual_s = world.upload_s * math.exp(world.upload_spread * normal)
    return usual_s * (world.stall_factor if stalls else 1.0)


class _Quota:
    """Seconds of sessions a week; a session is counted in the week in which it begins."""

    def __init__(self, world: World, rngs: Callable[[int], Rng]) -> None:
        self._world, self._rngs = world, rngs
        self._week, self._left_s = -1, 0.0

    def wait(self, now_s: float, least_s: float) -> tuple[float, float]:
        """When the next session may begin, and how long it may last."""
        if self._world.quota_s == math.inf:
            return now_s, math.inf
        for _ in range(100_000):
            week = int(now_s / self._world.quota_week_s)
            if week != self._week:
                self._week = week
                is_cut = self._rngs(-1 - week).random() < self._world.quota_cut_share
                self._left_s = self._world.quota_s / (2 if is_cut else 1)
            if self._left_s >= least_s:
                return now_s, self._left_s
            now_s = (week + 1) * self._world.quota_week_s
        return now_s, least_s

    def spend(self, seconds: float) -> None:
        if self._world.quota_s != math.inf:
            self._left_s -= seconds


def foresight(world: World, rngs: Callable[[int], Rng]) -> Lived:
    """Knows every death beforehand: one save that is there just in time. No rule can reach it."""

    class _Told:
        def __init__(self) -> None:
            self.number = -1

        def __call__(self, seen: KnownLives, world: World, deadline_s: float) -> Sequence[float]:
            self.number += 1
            death_s = world.lifetimes.draw(rngs(self.number))
            end_s = min(death_s, deadline_s)
            return [max(0.0, end_s - world.cost_s - world.upload_s)]

    calm = World(
        **{
            name: getattr(world, name)
            for name in World.__dataclass_fields__
            if name not in {"upload_spread", "stall_share"}
        },
        upload_spread=0.0,
        stall_share=0.0,
    )
    return live(calm, _Told(), rngs)


# ---- many lives ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over many lives with its 95% interval."""

    mean: float
    low: float
    high: float


def figure(values: Sequence[float]) -> Mean:
    """Normal interval of the mean."""
    n = len(values)
    mean = sum(values) / n
    if n < 2:
        return Mean(mean, mean, mean)
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1) / n)
    return Mean(mean, mean - 1.96 * spread, mean + 1.96 * spread)


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """One policy over many lives."""

    name: str
    goodput: Mean
    finish_s: Mean
    held_s: Mean
    share: Mean
    """Of the goodput of the best rule that knows the hazard, life by life."""


def compare(
    world: World,
    policies: dict[str, Callable[[], Policy]],
    seeds: Sequence[int],
    rng_of: Callable[[int, int], Rng],
    *,
    before: int = 0,
) -> tuple[PolicyRow, ...]:
    """Every policy over the same lives; the two yardsticks come last.

    `rng_of(seed, session)` gives a new generator each time it is called. `before`: so many
    sessions are in the ledger when a life begins.
    """
    known = KnownHazard()
    lives: dict[str, list[Lived]] = {name: [] for name in policies}
    best: list[Lived] = []
    told: list[Lived] = []
    shared = {name: make() for name, make in policies.items()}
    for seed in seeds:

        def rngs(number: int, seed: int = seed) -> Rng:
            return rng_of(seed, number)

        ledger = [_before(world, rngs(1_000_000 + k)) for k in range(before)]
        best.append(live(world, known, rngs))
        told.append(foresight(world, rngs))
        for name, policy in shared.items():
            lives[name].append(live(world, policy, rngs, KnownLives(list(ledger))))
    rows = {**lives, "best rule that knows the hazard": best, "knows every death": told}
    return tuple(_row(name, held, best) for name, held in rows.items())


def _before(world: World, rng: Rng) -> tuple[float, bool]:
    death_s = world.lifetimes.draw(rng)
    return min(death_s, world.deadline_s), death_s < world.deadline_s


def _row(name: str, lives: Sequence[Lived], best: Sequence[Lived]) -> PolicyRow:
    return PolicyRow(
        name,
        figure([life.goodput for life in lives]),
        figure([life.finish_s for life in lives]),
        figure([life.held_s for life in lives]),
        figure([a.goodput / b.goodput for a, b in zip(lives, best, strict=True)]),
    )


def usual_policies(world: World) -> dict[str, Callable[[], Policy]]:
    """Ours, a cleverer one that gains by one shape of lives alone, and what people do."""
    return {
        "agnews: learned rate, Daly, last save": lambda: shipped,
        "hazard by age, learned": Learned,
        "Young/Daly, true rate": lambda: young_daly,
        "every 500 steps": lambda: every(500 * world.step_s),
        "every 2 h": lambda: every(7200.0),
        "once an epoch": lambda: every(world.epoch_s),
    }

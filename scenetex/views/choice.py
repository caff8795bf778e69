"""Choosing frames by what they see together: greedily, then by exchanges, hanging together where that is asked for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse.csgraph import connected_components

from .coverage import Coverage

_SEEN = 0.7  # worth of surface for being seen at all; how well it is seen makes up the rest
_COMPANY = 0.1  # worth of surface that is seen already, over surface that is new
_AGAIN = 0.6  # each further look at a surface is worth this part of the one before
_NEARNESS = 2.0  # exponent on resolution: of looks at one place, one from twice as far counts a quarter
_ROUNDS = 4  # of exchanges; mostly two find all
_TRIED = 32  # candidates that are tried in the place of a chosen one, those first that would add most beside it
_LEAST = 1e-4  # share of the surface below which an exchange is not worth while

_LINKS = 1.0, 0.8, 0.65, 0.5, 0.35, 0.2  # parts of the wanted overlap that are tried
_KEPT = 2 / 3  # of what a free choice sees beyond its rivals, a connected one sees this much at least


@dataclass(frozen=True, eq=False)
class Views:
    """What a choice among candidates goes by.

    Attributes:
        coverage: what the m candidates see.
        keen: how sharp a candidate's photo is, at most 1; asked only of those that come into question.
        usable: (m,) bool, candidates that may be chosen.
        company: worth of surface that is seen already, over surface that is new.
        link: overlap from which on two candidates hang together; 0: they need not.
        twin: overlap above which one of two candidates should do.
    """

    coverage: Coverage
    keen: Callable[[int], float]
    usable: np.ndarray
    company: float = _COMPANY
    link: float = 0.0
    twin: float = 1.0

    @cached_property
    def linked(self) -> np.ndarray:
        """(m, m) bool, pairs that hang together."""
        return self.coverage.overlaps >= self.link

    @cached_property
    def twins(self) -> np.ndarray:
        """(m, m) bool, pairs of which one should do."""
        return self.coverage.overlaps > self.twin

    @cached_property
    def parts(self) -> np.ndarray:
        """(m,) int, which candidates could be chosen so that they hang together with others: the same number."""
        return _parts(self.linked & self.usable & self.usable[:, None])

    def reachable(self, chosen: list[int]) -> np.ndarray:
        """(m,) bool, candidates that may come next: linked to a chosen one, or to none that could ever be chosen, and
        nobody's twin as long as there are others."""
        free = self.usable.copy()
        free[chosen] = False
        if chosen and self.link:
            free &= self.linked[chosen].any(0) | ~np.isin(self.parts, self.parts[chosen])
            single = free & ~self.twins[chosen].any(0)
            return single if single.any() else free
        return free

    def faults(self, chosen: list[int]) -> np.ndarray:
        """(2,) int, into how many pieces, not linked to each other, the chosen ones fall, and how many are twins."""
        if not self.link:
            return np.zeros(2, int)
        among = np.ix_(chosen, chosen)
        return np.array([len(set(_parts(self.linked[among]))), self.twins[among].sum()])


def _parts(linked: np.ndarray) -> np.ndarray:
    return connected_components(linked, directed=False)[1]


class Choice:
    """Chosen candidates, and what each further one would add, as a share of the surface.

    That is submodular: what a candidate adds never grows as others are added.
    """

    def __init__(self, views: Views, chosen: list[int] = ()):
        self.views = views
        self._best = np.zeros(2 * views.coverage.points)
        self._fresh = np.ones(2 * views.coverage.points)  # worth of a further look
        self.chosen: list[int] = []
        for candidate in chosen:
            self.add(candidate)

    def add(self, candidate: int) -> None:
        """Takes a candidate into the choice."""
        sides = self.views.coverage.sides[candidate]
        value = self._value(candidate, self.views.keen(candidate))
        self._best[sides] = np.maximum(self._best[sides], value)
        self._fresh[sides] *= 1 - (1 - _AGAIN) * value
        self.chosen.append(candidate)

    def gain(self, candidate: int) -> float:
        """What the candidate would add."""
        return self._gain(candidate, self.views.keen(candidate))

    def most(self, candidate: int) -> float:
        """What the candidate would add at most, which is if its photo is sharp; the photo is not looked at."""
        return self._gain(candidate, 1.0)

    def _gain(self, candidate: int, keen: float) -> float:
        sides = self.views.coverage.sides[candidate]
        value = self._value(candidate, keen)
        added = np.maximum(value - self._best[sides], 0) + self.views.company * self._fresh[sides] * value
        return float(added @ self.views.coverage.weight[sides])

    def _value(self, candidate: int, keen: float) -> np.ndarray:
        return keen * (_SEEN + (1 - _SEEN) * self.views.coverage.quality[candidate])


class Looks(Choice):
    """Chosen candidates of which every side wants several that see it about as well as any, or what there is of such.

    `views` have a coverage whose quality is over the best there is.
    """

    def __init__(self, views: Views, looks: int):
        super().__init__(views)
        self._wanted = np.zeros(2 * views.coverage.points)
        for candidate in np.flatnonzero(views.usable):
            self._wanted[views.coverage.sides[candidate]] += self._value(candidate, 1.0)
        np.minimum(self._wanted, looks, out=self._wanted)

    def add(self, candidate: int) -> None:
        """Takes a candidate into the choice."""
        sides = self.views.coverage.sides[candidate]
        value = self._value(candidate, self.views.keen(candidate))
        self._wanted[sides] = np.maximum(self._wanted[sides] - value, 0)
        self._fresh[sides] = 0
        self.chosen.append(candidate)

    def _gain(self, candidate: int, keen: float) -> float:
        sides = self.views.coverage.sides[candidate]
        value = np.minimum(self._value(candidate, keen), self._wanted[sides])
        return float((value + keen * self._fresh[sides]) @ self.views.coverage.weight[sides])

    def _value(self, candidate: int, keen: float) -> np.ndarray:
        return keen * self.views.coverage.quality[candidate] ** _NEARNESS


def choose(views: Views, count: int, rivals: list[list[int]], overlap: float = 0.0) -> tuple[list[int], Views]:
    """The best choice of `count` candidates, or of all that are usable, that sees no less than any of its `rivals`.

    With an `overlap`, views hang together: from each one gets to every other over pairs that overlap as much, and none
    nearly sees what another one sees. Where that would cost too much of what a free choice sees beyond the rivals, they
    overlap by less, or in the end not at all.

    Returns:
        the choice, ascending, and `views` with the links that it keeps to.
    """
    least = max(views.coverage.share_seen(rival) for rival in rivals)
    free = exchange(views, _grown(views, [], count))
    if views.coverage.share_seen(free) < least:
        strongest = max(rivals, key=views.coverage.share_seen)
        free = exchange(views, _grown(views, strongest, count), least)
    wanted = least + _KEPT * (views.coverage.share_seen(free) - least)
    for tied in _tied(views, overlap) if overlap else ():
        grown = _grown(tied, [], count)
        # What grows along links may stray from a chain that just reaches: the others may happen to hang together.
        others = [c for c in (free, *rivals) if len(c) == len(grown) and (tied.faults(c) <= tied.faults(grown)).all()]
        chosen = max((exchange(tied, each, least) for each in (grown, *others)), key=views.coverage.share_seen)
        if views.coverage.share_seen(chosen) >= wanted:
            return chosen, tied
    return free, views


def _tied(views: Views, overlap: float) -> Iterator[Views]:
    """The candidates with ever weaker links, from the first on that leave them in no more parts than the last do."""
    tied = [replace(views, link=part * overlap, twin=(1 + overlap) / 2) for part in _LINKS]
    fewest = len(set(tied[-1].parts))
    return (each for each in tied if len(set(each.parts)) == fewest)


def _grown(views: Views, chosen: list[int], count: int) -> list[int]:
    """The chosen ones and those that `greedy` adds to them, `count` in all or as many as there are."""
    choice = Choice(views, chosen)
    steps = greedy(choice)
    while len(choice.chosen) < count and next(steps, None):
        pass
    return choice.chosen


def greedy(choice: Choice) -> Iterator[tuple[int, float]]:
    """Adds candidates to the choice, always the one that adds most, and yields each with what it added.

    What a candidate added earlier bounds what it adds now, so that only the few are looked at whose bound is highest
    (lazy greedy, Minoux 1978). It ends where no candidate may come next.
    """
    views = choice.views
    bound = np.array([choice.most(i) for i in range(len(views.coverage))])
    while True:
        free = views.reachable(choice.chosen)
        if not free.any():
            return
        known = np.zeros(len(bound), bool)
        while True:
            best = int(np.argmax(np.where(free, bound, -np.inf)))
            if known[best]:
                break
            bound[best], known[best] = choice.gain(best), True
        choice.add(best)
        yield best, float(bound[best])


def exchange(views: Views, chosen: list[int], least_seen: float = 0.0) -> list[int]:
    """Puts other candidates in the place of chosen ones, as long as that makes the choice better.

    The choice goes on to see `least_seen` of the surface, or what it sees now if that is less, and neither falls into
    more pieces than it does nor gets more twins.
    """
    chosen, faults = list(chosen), views.faults(chosen)

    def allowed(choice: list[int]) -> bool:
        enough = min(least_seen, views.coverage.share_seen(chosen))
        return bool((views.faults(choice) <= faults).all()) and views.coverage.share_seen(choice) >= enough

    for _ in range(_ROUNDS):
        before = list(chosen)
        tried = _promising(views, chosen)
        for out in before:
            rest = [i for i in chosen if i != out]
            new = _successor(Choice(views, rest), out, tried, allowed)
            if new != out:
                chosen = [*rest, new]
                tried = _promising(views, chosen)
        if chosen == before:
            break
    return sorted(chosen)


def _promising(views: Views, chosen: list[int]) -> list[int]:
    """Candidates by what they would add to the whole choice: an exchange for one cannot win more than that."""
    choice = Choice(views, chosen)
    free = views.usable.copy()
    free[chosen] = False
    adds = {i: choice.most(i) for i in np.flatnonzero(free).tolist()}
    return sorted((i for i in adds if adds[i] > _LEAST), key=lambda i: (-adds[i], i))[:_TRIED]


def _successor(choice: Choice, out: int, tried: list[int], allowed: Callable[[list[int]], bool]) -> int:
    """Who is best in the place of `out`, which the choice is without: one of those `tried`, or itself."""
    best, gain = out, choice.gain(out) + _LEAST
    most = {i: choice.most(i) for i in tried}
    for candidate in sorted(tried, key=lambda i: (-most[i], i)):
        if most[candidate] <= gain:
            break
        found = choice.gain(candidate)
        if found > gain and allowed([*choice.chosen, candidate]):
            best, gain = candidate, found
    return best

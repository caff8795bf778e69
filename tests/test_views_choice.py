"""Choices among candidates that see made-up patches, against plain ways of choosing."""

from dataclasses import replace
from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scenetex.views.choice import Choice, Views, choose, exchange, greedy
from scenetex.views.coverage import Coverage

POINTS = 60


def random_views(rng: np.random.Generator, m: int = 15) -> Views:
    """Candidates that see random sides of random quality, some with blurred photos."""
    sides = [np.sort(rng.choice(2 * POINTS, rng.integers(1, 30), replace=False)).astype(np.int32) for _ in range(m)]
    quality = [rng.uniform(0.1, 1, len(s)) for s in sides]
    share = [np.full(len(s), 1 / len(s)) for s in sides]
    keen = rng.choice([0.25, 0.8, 1.0], m).tolist()
    return Views(Coverage(POINTS, sides, quality, share), keen.__getitem__, np.ones(m, bool))


def sees(*sides: list[int]) -> Views:
    """Candidates that see those fronts of points, as well as can be."""
    rows = [np.array(s, np.int32) for s in sides]
    ones = [np.ones(len(r)) for r in rows]
    coverage = Coverage(POINTS, rows, ones, [one / max(len(one), 1) for one in ones])
    return Views(coverage, lambda i: 1.0, np.ones(len(rows), bool))


def worth(views: Views, chosen: list[int]) -> float:
    choice, total = Choice(views), 0.0
    for candidate in chosen:
        total += choice.gain(candidate)
        choice.add(candidate)
    return total


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_lazy_choice_is_the_greedy_choice(seed):
    """Against the plain way: look at every candidate every time."""
    views = random_views(np.random.default_rng(seed))
    choice, left = Choice(views), list(range(15))
    plain = []
    while left:
        plain.append(max(left, key=lambda i: (choice.gain(i), -i)))
        choice.add(plain[-1])
        left.remove(plain[-1])
    assert [i for i, _ in greedy(Choice(views))] == plain


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_a_candidate_adds_never_grows_and_does_not_depend_on_the_order(seed):
    rng = np.random.default_rng(seed)
    views = random_views(rng)
    order = rng.permutation(14).tolist()
    small, large = Choice(views, order[:5]), Choice(views, order[:9])
    assert large.gain(14) <= small.gain(14) + 1e-12 and small.gain(14) <= small.most(14)
    np.testing.assert_allclose(worth(views, order), worth(views, sorted(order)))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_exchanges_only_ever_help_and_come_near_the_best_there_is(seed):
    rng = np.random.default_rng(seed)
    views = random_views(rng)
    start = sorted(rng.choice(15, 3, replace=False).tolist())
    found = exchange(views, start)
    assert len(set(found)) == 3 and worth(views, found) >= worth(views, start)
    # A choice that no exchange makes better is at least half as good as the best one; most are nearly as good.
    best = max(worth(views, list(c)) for c in combinations(range(15), 3))
    assert worth(views, found) >= 0.85 * best


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 6), link=st.sampled_from([0.0, 0.1, 0.6]))
def test_a_choice_never_sees_less_than_its_rivals(seed, count, link):
    rng = np.random.default_rng(seed)
    views = random_views(rng)
    rivals = [sorted(rng.choice(15, count, replace=False).tolist()) for _ in range(3)]
    found = choose(views, count, rivals, link)[0]
    assert len(set(found)) == count
    assert views.coverage.share_seen(found) >= max(views.coverage.share_seen(rival) for rival in rivals)


def test_exchange_leaves_a_choice_that_greed_gets_wrong():
    """The greedy one takes the middle, which the two others see between them."""
    views = sees([*range(10, 30)], [*range(0, 19)], [*range(19, 40)], [])
    first, _ = next(greedy(Choice(views)))
    assert exchange(views, [0, 1]) == [1, 2] and first == 2
    assert exchange(views, [0, 3]) == [1, 2]


def chain() -> Views:
    """Five candidates in a row that share half with the next, and one far off that sees most."""
    return sees(*([*range(5 * i, 5 * i + 10)] for i in range(5)), [*range(35, 60)])


def test_connected_choices_hang_together():
    views = replace(chain(), link=0.4)
    order = [i for i, _ in greedy(Choice(views))]
    # The far one first; what cannot be linked to it is a piece of its own, and that grows along links only.
    assert order[0] == 5
    for k in range(2, 7):
        assert views.faults(order[:k]).tolist() == [2, 0]
    assert views.faults([0, 1, 3]).tolist() == [2, 0]
    found = exchange(views, [0, 1, 2])
    assert views.faults(found)[0] == 1


def test_links_give_way_where_they_would_cost_too_much():
    row = sees(*chain().coverage.sides[:5])
    # Every second one sees all 30 points of the row; three in a row see 20, and the rival 10.
    assert choose(row, 3, [[0]])[0] == [0, 2, 4]
    chosen, kept = choose(row, 3, [[0]], overlap=0.5)
    assert chosen == [0, 2, 4] and kept.link == 0
    # With four, 25 of them are to be had by views that hang together: three quarters of what there is beyond the rival.
    chosen, kept = choose(row, 4, [[0]], overlap=0.5)
    assert kept.link == 0.5 and np.diff(chosen).tolist() == [1, 1, 1]


def test_twins_are_chosen_last():
    views = replace(sees([*range(20)], [*range(19)], [*range(10, 25)], [*range(20, 30)]), link=0.2, twin=0.8)
    assert [i for i, _ in greedy(Choice(views))] == [0, 2, 3, 1]
    # Nor are they exchanged in.
    assert views.faults([0, 1]).tolist() == [1, 2] and 1 not in exchange(views, [0, 2, 3])


def test_candidates_that_are_not_usable_are_not_chosen():
    views = sees([*range(10)], [*range(10, 50)], [*range(5)])
    views.usable[1] = False
    assert choose(views, 2, [[2]], 0.0)[0] == [0, 2]
    assert choose(views, 3, [[2]], 0.0)[0] == [0, 2]

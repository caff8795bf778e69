"""Planes among pieces of surface: two walls and a table top that are noisy, and clutter."""

import numpy as np

from scenetex.texture.planes import find_planes


def test_planes_are_found_largest_first_and_clutter_is_none():
    rng = np.random.default_rng(0)

    def plane(count: int, normal: int, offset: float, noise: float) -> tuple[np.ndarray, np.ndarray]:
        place = rng.uniform(0, 4, (count, 3))
        place[:, normal] = offset + noise * rng.standard_normal(count)
        return place, np.tile(np.eye(3)[normal], (count, 1))

    parts = [plane(1500, 2, 0.0, 0.0), plane(900, 0, 0.0, 0.004), plane(300, 2, 0.75, 0.0)]
    clutter = rng.standard_normal((60, 3))
    clutter /= np.linalg.norm(clutter, axis=1, keepdims=True)
    parts.append((rng.uniform(0.2, 3.8, (60, 3)), clutter))
    place, normal = (np.concatenate(x).astype(np.float32) for x in zip(*parts, strict=True))
    truth = np.repeat([0, 1, 2, 3], [1500, 900, 300, 60])
    found = list(find_planes(place, normal, np.ones(len(place))))
    for k, plane in enumerate(found[:3]):
        assert (truth[plane.holds] == k).mean() > 0.99
        assert plane.holds.sum() > 0.97 * (truth == k).sum()
        flat = plane.flat(place[plane.holds])
        apart = np.linalg.norm(place[plane.holds][0] - place[plane.holds][1])
        assert abs(np.linalg.norm(flat[0] - flat[1]) - apart) < 0.02
        assert plane.reaches(place[plane.holds]).all()
    assert sum(plane.holds.astype(int) for plane in found).max() == 1
    # A plane that is even reaches no further than it must: a frame before the wall is none of it.
    assert found[0].thick < 0.01 < found[1].thick

"""What may be wrong with a scene whose photos do not agree, and the cure of each."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations, product

import numpy as np

from ..scene.scene import Scene
from .look import Look, look_at
from .size import UNITS, is_room, longest_side

_TURNED = np.diag([1.0, -1.0, -1.0, 1.0])  # between the axes of OpenCV's and OpenGL's cameras
_SCALES = (*UNITS, *(1 / factor for factor in UNITS), 10.0, 0.1)
_FOCAL = [2 ** (k / 8) for k in range(-8, 9) if k]


@dataclass(frozen=True, eq=False)
class Supposition:
    """How a scene may be meant.

    Attributes:
        cure: what is wrong and what to do, in a line.
        look: the scene as it would be then.
    """

    cure: str
    look: Look


def suppositions(scene: Scene, look: Look) -> Iterator[Supposition]:
    """Everything that is known to go wrong and has a cure, one at a time."""
    yield from _conventions(look)
    yield from _units(scene, look)
    yield from _turns(scene, look)
    yield from _lenses(look)
    yield from _orders(scene, look)


def _conventions(look: Look) -> Iterator[Supposition]:
    poses = look.cam_to_world
    inverse = np.linalg.inv(poses)
    turn = "negate the second and third column of each camera-to-world matrix"
    yield Supposition(f"the cameras' axes are OpenGL's where OpenCV's belong, or the reverse; {turn}",
                      look.with_cameras(poses @ _TURNED))
    yield Supposition("the poses are world-to-camera; invert each matrix", look.with_cameras(inverse))
    # transforms.json has its cameras' axes turned on reading, whatever was in it.
    for there in (_TURNED @ inverse @ _TURNED, _TURNED @ inverse, inverse @ _TURNED):
        yield Supposition("the poses are world-to-camera, in the axes of another convention (OpenGL for OpenCV, or the "
                          "reverse); invert each matrix, and check its axes", look.with_cameras(there))


def _units(scene: Scene, look: Look) -> Iterator[Supposition]:
    for factor in _SCALES:
        yield Supposition(scale_cure(scene, factor), scaled(look, factor))


def scaled(look: Look, factor: float) -> Look:
    """The look at the mesh `factor` times as large, in units of the mesh as it is."""
    poses = look.cam_to_world.copy()
    poses[:, :3, 3] /= factor
    return look.with_cameras(poses)


def scale_cure(scene: Scene, factor: float) -> str:
    """What is wrong if the mesh has to be `factor` times as large for the photos to agree."""
    side = longest_side(scene.mesh)
    larger = f"the mesh is {_times(1 / factor)} against the poses"
    if is_room(side) and not is_room(side * factor):
        unit = next((f", which look to be in {name}" for f, name in UNITS.items() if abs(f * factor - 1) < 0.02), "")
        return f"{larger}{unit}; multiply the poses' translations by {1 / factor:.4g}"
    unit = next((f" (in {name})" for metres, name in UNITS.items() if abs(metres / factor - 1) < 0.02), "")
    return f"{larger}{unit}; add --mesh-scale {factor:.4g}"


def _times(factor: float) -> str:
    return f"{factor:,.4g} times too large" if factor > 1 else f"{1 / factor:,.4g} times too small"


def _turns(scene: Scene, look: Look) -> Iterator[Supposition]:
    alignment = scene.axis_alignment
    if not np.allclose(alignment, np.eye(4)):
        yield Supposition("the mesh has its axis alignment already, the poses have not; use the unaligned mesh",
                          moved(look, np.linalg.inv(alignment)))
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            turn = np.zeros((4, 4))
            turn[range(3), order], turn[3, 3] = signs, 1
            if np.linalg.det(turn) < 0 or np.allclose(turn, np.eye(4)):
                continue
            axes = ", ".join(("-" if s < 0 else "") + "xyz"[o] for o, s in zip(order, signs, strict=True))
            up = "up axis (y or z)" if order != (0, 1, 2) else "axes"
            yield Supposition(f"the mesh has other axes than the poses, another {up}; turn it so that x, y, z become "
                              f"{axes}", moved(look, turn))


def moved(look: Look, motion: np.ndarray) -> Look:
    """The look at the mesh moved by a rigid motion."""
    return look.with_cameras(np.linalg.inv(motion) @ look.cam_to_world)


def _lenses(look: Look) -> Iterator[Supposition]:
    for factor in (0.5, 2.0, 0.25, 4.0):
        k = look.intrinsics.copy()
        k[:, :2, :2] *= factor
        k[:, :2, 2] = (k[:, :2, 2] + 0.5) * factor - 0.5
        yield Supposition(f"the intrinsics are for images of {1 / factor:g} times the photos' size; multiply them by "
                          f"{factor:g}", look.with_cameras(intrinsics=k))
    for factor in _FOCAL:
        k = look.intrinsics.copy()
        k[:, [0, 1], [0, 1]] *= factor
        yield Supposition(f"the focal length is about {_times(1 / factor)}; check the intrinsics",
                          look.with_cameras(intrinsics=k))


def _orders(scene: Scene, look: Look) -> Iterator[Supposition]:
    """Photos in another order than the poses."""
    count = len(scene.frames)
    by_name = [int(name) for name in sorted(map(str, range(count)))]
    orders = {
        "one too early": [*range(1, count), 0],
        "one too late": [count - 1, *range(count - 1)],
        "in reverse order": list(range(count))[::-1],
        "sorted by name (1, 10, 2), the poses by number": by_name,
        "sorted by number, the poses by name (1, 10, 2)": np.argsort(by_name).tolist(),
    }
    for says, order in orders.items():
        frames = tuple(replace(frame, color=scene.frames[i].color) for frame, i in zip(scene.frames, order, strict=True))
        yield Supposition(f"the photos are {says}; give each pose its own photo", look_at(replace(scene, frames=frames)))

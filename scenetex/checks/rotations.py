"""Camera poses that were written in another convention, and the cure of each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from scipy.spatial.transform import Rotation

from ..scene.scene import Scene
from .finding import COLMAP, TRANSFORMS, TUM, layout

TURNED = np.diag([1.0, -1.0, -1.0, 1.0])  # between the axes of OpenCV's and OpenGL's cameras
_FLIPS = {axis: np.diag([*(-1.0 if axis == other else 1.0 for other in "xyz"), 1.0]) for axis in "xyz"}


@dataclass(frozen=True, eq=False)
class Convention:
    """How poses may be meant.

    Attributes:
        cure: what is wrong and what to do, in a line.
        change: poses (m, 4, 4) as they are then.
    """

    cure: str
    change: Callable[[np.ndarray], np.ndarray]


def conventions(scene: Scene) -> Iterator[Convention]:
    """Axes and direction of the poses: what goes wrong most."""
    turn = "negate the second and third column of each camera-to-world matrix"
    says = f"the cameras' axes are OpenGL's (y up, z backwards) where OpenCV's (y down, z forward) belong; {turn}"
    if layout(scene) == TRANSFORMS:
        turn = turn.replace("camera-to-world matrix", "transform_matrix")
        says = f"the cameras' axes are OpenCV's (y down, z forward), in a transforms.json belong OpenGL's; {turn}"
    yield Convention(says, lambda pose: pose @ TURNED)
    invert = "the poses are world-to-camera; invert each matrix"
    if layout(scene) == COLMAP:
        invert = "the poses in the model's images file are camera-to-world, COLMAP's are world-to-camera; invert each"
    yield Convention(invert, np.linalg.inv)
    # The axes of cameras in a transforms.json are turned on reading, whatever was in it.
    yield Convention(invert, lambda pose: TURNED @ np.linalg.inv(pose) @ TURNED)
    says = "the poses are world-to-camera, and their cameras have the axes of the other convention (OpenCV, OpenGL); "
    for change in (lambda pose: TURNED @ np.linalg.inv(pose), lambda pose: np.linalg.inv(pose) @ TURNED):
        yield Convention(f"{says}invert each matrix, then {turn}", change)


def miswritten(scene: Scene) -> Iterator[Convention]:
    """Rotations and translations that were put together wrongly: orders of quaternions, halves of inverses."""
    yield from _halves(scene)
    yield from _quaternions(scene)
    yield from _left_handed()


def _quaternions(scene: Scene) -> Iterator[Convention]:
    """The numbers of quaternions in the other order: as they are read, or before matrices were made of them."""
    kind = layout(scene)
    moves = {"x y z w": "move the last number to the front", "w x y z": "move the first number to the end"}
    for meant, other in permutations(moves, 2):
        cycle = _cycle(meant)
        if kind == COLMAP:
            cure = f"the quaternions in the model's images file are written {meant}, COLMAP's are {other}; "
            cure += moves[meant].replace("number", "of their four numbers")
        elif kind == TUM:
            cure = f"the quaternions in groundtruth.txt are written {meant}, TUM's are {other}; "
            cure += moves[meant].replace("number", "of their four numbers")
        else:
            cure = (
                f"the rotations look to be made of quaternions {meant} that were taken for {other}; make the matrices "
                f"anew: {moves[meant]} first"
            )
        for inverse, keeps_centre in ((False, True), (True, False), (True, True), (False, False)):
            yield Convention(cure, _requaternioned(cycle, inverse, keeps_centre))
            if kind == TRANSFORMS:
                yield Convention(cure, _in_opengl(_requaternioned(cycle, inverse, keeps_centre)))


def _cycle(meant: str) -> list[int]:
    """Places, in (x, y, z, w) as read, of x, y, z and w as meant."""
    # Read as w x y z, "x y z w" has x where w was read, y where x was; and the other way round.
    return [3, 0, 1, 2] if meant == "x y z w" else [1, 2, 3, 0]


def _requaternioned(cycle: list[int], inverse: bool, keeps_centre: bool) -> Callable[[np.ndarray], np.ndarray]:
    """Poses with their quaternions in another order; `inverse`: those of world-to-camera rotations."""

    def change(pose: np.ndarray) -> np.ndarray:
        rotation = pose[:, :3, :3]
        read = Rotation.from_matrix(np.swapaxes(rotation, 1, 2) if inverse else rotation).as_quat()
        meant = Rotation.from_quat(read[:, cycle]).as_matrix()
        return _with_rotations(pose, np.swapaxes(meant, 1, 2) if inverse else meant, keeps_centre)

    return change


def _with_rotations(pose: np.ndarray, rotation: np.ndarray, keeps_centre: bool) -> np.ndarray:
    """Poses turned otherwise that keep their centre, or else their world-to-camera translation."""
    out = pose.copy()
    out[:, :3, :3] = rotation
    if not keeps_centre:
        out[:, :3, 3] = _turned(rotation, _turned(np.swapaxes(pose[:, :3, :3], 1, 2), pose[:, :3, 3]))
    return out


def _turned(rotation: np.ndarray, vector: np.ndarray) -> np.ndarray:
    return np.einsum("nij,nj->ni", rotation, vector)


def _halves(scene: Scene) -> Iterator[Convention]:
    """Rotations of one direction with translations of the other."""

    def transposed(keeps_centre: bool) -> Callable[[np.ndarray], np.ndarray]:
        return lambda pose: _with_rotations(pose, np.swapaxes(pose[:, :3, :3], 1, 2), keeps_centre)

    def recentred(inverse: bool) -> Callable[[np.ndarray], np.ndarray]:
        def change(pose: np.ndarray) -> np.ndarray:
            out = pose.copy()
            rotation = pose[:, :3, :3]
            out[:, :3, 3] = -_turned(np.swapaxes(rotation, 1, 2) if inverse else rotation, pose[:, :3, 3])
            return out

        return change

    place = "the model's images file" if layout(scene) == COLMAP else "the poses"
    both = [
        (
            f"the rotations in {place} are transposed, their translations are right; transpose the upper left 3 x 3 "
            "of each matrix (negate x, y, z of a quaternion)",
            (transposed(True), transposed(False)),
        ),
        (
            f"the rotations in {place} are camera-to-world, the translations world-to-camera (t of the inverse); take "
            "both from one matrix: the camera's centre is -R t, R camera-to-world",
            (recentred(False),),
        ),
        (
            f"the translations in {place} are the cameras' centres C where those of world-to-camera belong; write "
            "t = -R C, R world-to-camera",
            (recentred(True),),
        ),
    ]
    for cure, changes in both:
        for change in changes:
            yield Convention(cure, change)
            if layout(scene) == TRANSFORMS:
                yield Convention(cure, _in_opengl(change))


def _in_opengl(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """The change of poses as they stand in a transforms.json, whose cameras' axes were turned on reading."""
    return lambda pose: change(pose @ TURNED) @ TURNED


def _left_handed() -> Iterator[Convention]:
    """Poses of a program whose world is left-handed (Unity, Unreal): one axis of world and camera negated."""
    for world, first in _FLIPS.items():
        for camera, second in _FLIPS.items():
            yield Convention(
                "the poses are of a left-handed world (Unity, Unreal), the mesh is not; negate the "
                f"{world} row and the {camera} column of each camera-to-world matrix",
                lambda pose, first=first, second=second: first @ pose @ second,
            )

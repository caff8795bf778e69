"""Poses that are steps from frame to frame, as odometry gives them, and the cure."""

from collections.abc import Iterator
from itertools import product

import numpy as np

from ..scene.scene import Scene
from .finding import TRANSFORMS, layout
from .rotations import TURNED

_LEAST = 3  # frames; of two, a step and a pose are hardly told apart
_SAME = 1e-4  # of a matrix's numbers: rounding


def chained_poses(scene: Scene) -> Iterator[tuple[str, np.ndarray]]:
    """What is said of steps that are chained, and the poses (m, 4, 4) of all frames then.

    A step is taken in the axes of the camera before, as inv(T[i - 1]) @ T[i], or in those of the world, as
    T[i] @ inv(T[i - 1]); or either is inverted. The first is a pose, or the inverse of one.
    """
    if len(scene.frames) < _LEAST:
        return
    read = np.stack([frame.cam_to_world for frame in scene.frames])
    # The axes of cameras in a transforms.json are turned on reading, and so would be those of each step.
    opengl = layout(scene) == TRANSFORMS
    written = read @ TURNED if opengl else read
    for inverse, of_camera in product((False, True), (True, False)):
        steps = np.linalg.inv(written) if inverse else written
        for name, first in (("P[0]", written[0]), ("inv(P[0])", np.linalg.inv(written[0]))):
            says, poses = _cure(inverse, of_camera, name), _chained(first, steps[1:], of_camera)
            yield says, poses @ TURNED if opengl else poses
            if opengl:
                yield f"{says}; then negate the second and third column of each", poses
            if np.allclose(first @ first, np.eye(4), atol=_SAME):
                break  # it is its own inverse


def _chained(first: np.ndarray, steps: np.ndarray, of_camera: bool) -> np.ndarray:
    poses = [first]
    for step in steps:
        poses.append(poses[-1] @ step if of_camera else step @ poses[-1])
    return np.stack(poses)


def _cure(inverse: bool, of_camera: bool, first: str) -> str:
    step = "inv(P[i])" if inverse else "P[i]"
    chain = f"T[i - 1] @ {step}" if of_camera else f"{step} @ T[i - 1]"
    kind = "inverted steps" if inverse else "steps"
    return (
        f"the poses are {kind} from frame to frame; chain them: with P[i] the camera-to-world matrix that frame i has "
        f"now, T[i] = {chain} is its pose, T[0] = {first}"
    )


def starts_at_identity(scene: Scene) -> bool:
    """Whether the first camera is the origin: poses relative to it, while a mesh may be in any other frame."""
    first = scene.frames[0].cam_to_world
    return any(np.allclose(first, other, atol=_SAME) for other in (np.eye(4), TURNED))

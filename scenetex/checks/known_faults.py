"""What may be wrong with a scene whose photos do not agree, and the cure of each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import permutations, product

import numpy as np

from ..scene.scene import Scene
from .finding import TRANSFORMS, focal_names, intrinsics_place, layout
from .look import Look
from .orders import usual_orders, with_poses_of
from .plausibility import UNITS, is_room, longest_side, swapped_cure
from .relative_poses import chained_poses
from .rotations import Convention, conventions, miswritten

_SCALES = (*UNITS, *(1 / factor for factor in UNITS), 10.0, 0.1)
_SIZES = 0.5, 2.0, 0.25, 4.0
_DIFFER = 0.01  # two numbers that are swapped, of the larger one
# One axis negated, or two swapped: where coordinates go from left-handed to right-handed.
_MIRRORS = (
    *(((0, 1, 2), signs) for signs in ((-1, 1, 1), (1, -1, 1), (1, 1, -1))),
    *((order, (1, 1, 1)) for order in ((0, 2, 1), (1, 0, 2), (2, 1, 0))),
)


@dataclass(frozen=True, eq=False)
class Supposition:
    """How a scene may be meant.

    Attributes:
        cure: what is wrong and what to do, in a line.
        change: gives the scene's look as it would be then.
        scale: by which the mesh is too small then; 1 where it is something else.
        photos_only: it is about the photos, and leaves depth as it is.
    """

    cure: str
    change: Callable[[Look], Look]
    scale: float = 1.0
    photos_only: bool = False


def suppositions(scene: Scene, photos_alone: bool = False, depth: bool = False) -> Iterator[list[Supposition]]:
    """Everything that is known to go wrong and has a cure, what goes wrong most often first, a group at a time.

    Args:
        scene: the scene.
        photos_alone: mesh and poses are right.
        depth: there is sensor depth to tell by.
    """
    if not photos_alone:
        yield [_of_poses(convention) for convention in conventions(scene)]
        yield [Supposition(scale_cure(scene, f), partial(scaled, factor=f), f) for f in _SCALES]
        yield list(_turns(scene))
    yield list(_pictures(scene))
    yield [*swapped_intrinsics(scene), *_sizes(scene)]
    yield list(_orders(scene, depth))
    if not photos_alone:
        yield list(_steps(scene))
        yield [_of_poses(convention) for convention in miswritten(scene)]


def _of_poses(convention: Convention) -> Supposition:
    return Supposition(convention.cure, lambda look: look.with_cameras(convention.change(look.cam_to_world)))


def scaled(look: Look, factor: float) -> Look:
    """The look at the mesh `factor` times as large, in units of the mesh as it is."""
    poses = look.cam_to_world.copy()
    poses[:, :3, 3] /= factor
    return look.with_cameras(poses)


def moved(look: Look, motion: np.ndarray) -> Look:
    """The look at the mesh moved by a motion (4, 4), rigid or mirroring."""
    return look.with_cameras(np.linalg.inv(motion) @ look.cam_to_world)


def scale_cure(scene: Scene, factor: float) -> str:
    """What is wrong if the mesh has to be `factor` times as large for the photos to agree."""
    side = longest_side(scene.mesh)
    said = f"the mesh is {_times(1 / factor)} against the poses"
    if is_room(side) and not is_room(side * factor):
        unit = next((f", which look to be in {name}" for f, name in UNITS.items() if abs(f * factor - 1) < 0.02), "")
        return f"{said}{unit}; multiply the poses' translations by {1 / factor:.4g}"
    unit = next((f" (in {name})" for metres, name in UNITS.items() if abs(metres / factor - 1) < 0.02), "")
    return f"{said}{unit}; add --mesh-scale {factor:.4g}"


def _times(factor: float) -> str:
    return f"{factor:,.4g} times too large" if factor > 1 else f"{1 / factor:,.4g} times too small"


def _turns(scene: Scene) -> Iterator[Supposition]:
    alignment = scene.axis_alignment
    if not np.allclose(alignment, np.eye(4)):
        yield Supposition(
            "the mesh has its axis alignment already, the poses have not; use the unaligned mesh, or move this one by "
            "the inverse of axisAlignment",
            partial(moved, motion=np.linalg.inv(alignment)),
        )
        yield Supposition(
            "the poses have their axis alignment already, the mesh has not; move the mesh by axisAlignment and make "
            "that the identity, or use the unaligned poses",
            partial(moved, motion=alignment),
        )
    for order, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=3)):
        turn = np.zeros((4, 4))
        turn[range(3), order], turn[3, 3] = signs, 1
        if np.linalg.det(turn) < 0 or np.allclose(turn, np.eye(4)):
            continue
        axes = ", ".join(("-" if s < 0 else "") + "xyz"[o] for o, s in zip(order, signs, strict=True))
        yield Supposition(
            f"the mesh has other axes than the poses, such as y up for z up; turn it so that its x, y, z become {axes}",
            partial(moved, motion=turn),
        )
    for order, signs in _MIRRORS:
        mirror = np.zeros((4, 4))
        mirror[range(3), order], mirror[3, 3] = signs, 1
        axes = ", ".join(("-" if s < 0 else "") + "xyz"[o] for o, s in zip(order, signs, strict=True))
        says = f"the mesh is mirrored against the poses; mirror it back so that its x, y, z become {axes}"
        yield Supposition(says, partial(moved, motion=mirror))


def _pictures(scene: Scene) -> Iterator[Supposition]:
    """Photos that were turned or mirrored, which tells the same as cameras that are."""
    half = "turn the photos by 180 degrees, or negate the first and second column of each camera-to-world matrix"
    yield Supposition(
        f"the photos are turned by 180 degrees; {half}", partial(_mirrored, across=True, down=True), photos_only=True
    )
    for across, way in ((True, "left to right"), (False, "top to bottom")):
        says = f"the photos are mirrored, {way}; mirror them back"
        yield Supposition(says, partial(_mirrored, across=across, down=not across), photos_only=True)
    for way, angle in (("clockwise", 1), ("counter-clockwise", -1)):
        # In a transforms.json y points up.
        x, y = ("-y", "x") if (angle > 0) != (layout(scene) == TRANSFORMS) else ("y", "-x")
        says = (
            f"the photos are turned by 90 degrees {way} against the poses; turn the poses with them: the first and "
            f"second column of each camera-to-world matrix, x and y, become {x} and {y}"
        )
        yield Supposition(says, partial(_rolled, angle=angle), photos_only=True)


def _mirrored(look: Look, across: bool, down: bool) -> Look:
    k = look.intrinsics.copy()
    for row, mirrored in enumerate((across, down)):
        if mirrored:
            k[:, row] = (look.sizes[:, row, None] - 1) * [0.0, 0.0, 1.0] - k[:, row]
    return look.with_cameras(intrinsics=k)


def _rolled(look: Look, angle: int) -> Look:
    """Cameras rolled by a quarter turn, as photos turned clockwise (1) or counter-clockwise (-1) need it."""
    roll = np.eye(4)
    roll[:2, :2] = [[0, angle], [-angle, 0]]
    return look.with_cameras(look.cam_to_world @ roll)


def _steps(scene: Scene) -> Iterator[Supposition]:
    """Poses that tell how the camera moved from the frame before."""
    ids = [frame.id for frame in scene.frames]
    for says, poses in chained_poses(scene):
        yield Supposition(says, partial(_posed, poses=dict(zip(ids, poses, strict=True))))


def _posed(look: Look, poses: dict[int, np.ndarray]) -> Look:
    """The look with these poses, by the frames' ids."""
    return look.with_cameras(np.stack([poses[frame.id] for frame in look.frames]))


def swapped_intrinsics(scene: Scene) -> Iterator[Supposition]:
    """Numbers of the intrinsics that stand in each other's place: as where rows and columns were taken for x and y."""
    (fx, _, cx), (_, fy, cy) = scene.frames[0].camera.intrinsics[:2].tolist()
    focal, centre, place = (fx, fy), (cx, cy), intrinsics_place(scene)
    centres = swapped_cure(("cx", "cy"), centre)
    lengths = swapped_cure(focal_names(scene), focal)
    differ = [abs(a - b) > _DIFFER * max(a, b) for a, b in (focal, centre)]
    if differ[1]:
        yield Supposition(f"{centres}{place}", partial(_swapped, focal=False, centre=True), photos_only=True)
    if differ[0]:
        yield Supposition(f"{lengths}{place}", partial(_swapped, focal=True, centre=False), photos_only=True)
    if all(differ):
        yield Supposition(
            f"{centres}{place}; and {lengths}{place}", partial(_swapped, focal=True, centre=True), photos_only=True
        )


def _swapped(look: Look, focal: bool, centre: bool) -> Look:
    k = look.intrinsics.copy()
    if focal:
        k[:, [0, 1], [0, 1]] = k[:, [1, 0], [1, 0]]
    if centre:
        k[:, :2, 2] = k[:, 1::-1, 2]
    return look.with_cameras(intrinsics=k)


def _sizes(scene: Scene) -> Iterator[Supposition]:
    for factor in _SIZES:
        says = f"the intrinsics are for images of {1 / factor:g} times the photos' size; multiply them by {factor:g}"
        says += intrinsics_place(scene)
        yield Supposition(says, partial(_resized, factor=factor), photos_only=True)


def _resized(look: Look, factor: float) -> Look:
    k = look.intrinsics.copy()
    k[:, :2, :2] *= factor
    k[:, :2, 2] = (k[:, :2, 2] + 0.5) * factor - 0.5
    return look.with_cameras(intrinsics=k)


def _orders(scene: Scene, depth: bool) -> Iterator[Supposition]:
    """Photos in another order than the poses, and depth images with them or not."""
    for says, order in usual_orders(scene):
        change = with_poses_of(scene, order)
        yield Supposition(f"the photos are {says}; give each pose its own photo", change, photos_only=True)
        if depth:
            both = f"the photos, and the depth images with them, are {says}; give each pose its own"
            yield Supposition(f"{both}{_for_example(scene, order)}", change)


def _for_example(scene: Scene, order: list[int]) -> str:
    moved = next((i for i, other in enumerate(order) if i != other), None)
    if moved is None:
        return ""
    return f" (what frame {scene.frames[moved].id} has belongs to the pose of frame {scene.frames[order[moved]].id})"

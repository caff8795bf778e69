"""Photometric refinement of cameras against the mesh: poses, and the focal length and centre all photos share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..scene.camera import resize_intrinsics
from ..scene.mesh import Mesh
from ..views.viewset import ViewSet
from .camera_fit import ALL, TURNING, CameraFit
from .photo_reader import Pictures
from .projection import photos
from .scatter import scatter
from .twins import surface_faces
from .weld import usual
from .winding import turned_to_views, with_faces_turned
from .working_frame import WorkingFrame

_POINTS = 20_000  # to compare photos at
_FEW_POINTS = 6_000  # of these the first, which are anywhere: blurred photos say no more
_BLURS = 8.0, 4.0, 2.0, 1.0  # sigma in pixels of a 640-pixel image, coarse to fine
_COARSE = 2  # of these are for the few
_TURNING_BLURS = 2.0, 1.0, 0.6  # at the end, of cameras that only turn: mesh errors matter less
_TURNING_ROUNDS, _ROUNDS = 2, 3  # Gauss-Newton steps per blur
_SETTLINGS = 3  # times that what drift is left is taken out
# Of photos that agree this well, in working values, what is left is gloss and mesh error as a rule, and cameras that
# follow those lose the truth: they must gain much. The others have to gain something.
_GOOD_ENOUGH, _MUCH, _WORTHWHILE = 5.0, 0.75, 0.9
_BETTER = 0.95  # of the error that a rolling shutter leaves alone; poses that do not better it are left as given


@dataclass(frozen=True, eq=False)
class RefinedCameras:
    """Cameras after refinement.

    Attributes:
        intrinsics: (m, 3, 3) float64, pixels of images of `size`.
        size: (width, height) of the views it started from.
        cam_to_world: (m, 4, 4) float64, of the middle row's moment.
        turning: (m, 3) float64, radians by which points turn about the camera's axes from the first row to the last,
            see `rolling_shutter.py`.
        error_before: mean absolute difference between a photo and what the others give the surface, in grey levels of
            one exposure.
        error_after: the same with the refined cameras, at the same points.
        accepted: whether the error fell enough; otherwise the cameras are the given ones.
    """

    intrinsics: np.ndarray
    size: tuple[int, int]
    cam_to_world: np.ndarray
    turning: np.ndarray
    error_before: float
    error_after: float
    accepted: bool


def refine_cameras(
    mesh, views: ViewSet, images: Sequence[np.ndarray], done: Callable[[], None] = lambda: None
) -> RefinedCameras:
    """Moves cameras so that photos agree on the colour of surface points (Zhou and Koltun 2014).

    Brings the photos to one exposure, then alternates between the points' mean value over them and a Gauss-Newton step
    for all poses and one change of focal lengths and centre that photos of one size share, from blurred to sharp
    images. A prior keeps cameras near where tracking put them. At the end the drift is taken out that all photos of a
    point share, where it is more than chance: it says nothing of the surface. Before all this it is tried whether a
    rolling shutter explains the photos as well, with poses and lenses as they are.

    Args:
        mesh: the mesh the views were rendered from.
        views: m views; their depth decides what is visible, and may be coarse.
        images: m images (h, w, 3) uint8, of any sizes; large ones are compared at a smaller size.
        done: called after each step (`refinement_steps` of them), for progress bars.
    """
    mesh = Mesh.of(mesh)
    faces = usual(mesh, surface_faces(mesh, views))
    turned = with_faces_turned(mesh, turned_to_views(mesh, views))
    face, points = scatter(turned.triangles[faces], turned.face_areas[faces], _POINTS)
    frame = WorkingFrame.of(mesh, views)
    pictures = Pictures.of(images)
    shots = photos(views, pictures.small, frame)
    kinds = sorted(set(pictures.sizes))
    fit = CameraFit(
        frame.points(points), turned.face_normals[faces[face]], shots, [kinds.index(size) for size in pictures.sizes]
    )
    scale = max(shot.size[0] for shot in shots) / 640

    blurs = [blur * scale for blur in _BLURS]
    few = fit.of_first(_FEW_POINTS)
    before = fit.error(blurs[-1])
    few.fit(blurs[:-1], _TURNING_ROUNDS, TURNING, done)
    still = fit.cameras = few.cameras
    after = fit.error(blurs[-1])
    few.fit(blurs[:_COARSE], _ROUNDS, ALL, done)
    fit.cameras = few.cameras
    fit.fit(blurs[_COARSE:], _ROUNDS, ALL, done)
    for _ in range(_SETTLINGS):
        fit.settle()
    moved = fit.error(blurs[-1])
    if moved < _BETTER * after:
        cameras, after = fit.cameras, moved
    else:
        fit.cameras = still
        fit.fit([scale * blur for blur in _TURNING_BLURS], _ROUNDS, TURNING, lambda: None)
        cameras, after = fit.cameras, fit.error(blurs[-1])
    if not after < (_MUCH if before < _GOOD_ENOUGH else _WORTHWHILE) * before:
        still = np.zeros((len(views), 3))
        return RefinedCameras(views.intrinsics, views.size, views.cam_to_world, still, before, after, False)
    poses = np.stack([frame.world_pose(pose) for pose in np.linalg.inv(cameras.world_to_cam)])
    intrinsics = np.stack(
        [resize_intrinsics(k, shot.size, views.size) for k, shot in zip(cameras.intrinsics, shots, strict=True)]
    )
    return RefinedCameras(intrinsics, views.size, poses, cameras.turning, before, after, True)


def refinement_steps() -> int:
    """How often `refine_cameras` calls `done`."""
    return (len(_BLURS) - 1) * _TURNING_ROUNDS + len(_BLURS) * _ROUNDS

"""The sample room, sound, and broken in the ways that people's scans are."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from scenetex.scene.camera import Camera
from scenetex.scene.load import load_scene
from scenetex.scene.scene import Scene

SAMPLE = Path(__file__).resolve().parents[1] / "scenes" / "sample_room"
AXES = np.diag([1.0, -1.0, -1.0, 1.0])  # between OpenCV's and OpenGL's cameras
Z_UP_TO_Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


@cache
def sample() -> Scene:
    """Every second frame of the sample room, exact to the scan's noise."""
    scene = load_scene(SAMPLE)
    return replace(scene, frames=scene.frames[::2])


def with_poses(scene: Scene, change: Callable[[np.ndarray], np.ndarray]) -> Scene:
    """Other poses; without depth, which would not fit them."""
    none = {"depth": None, "depth_camera": None, "depth_cam_to_world": None}
    return replace(scene, frames=tuple(replace(f, cam_to_world=change(f.cam_to_world), **none) for f in scene.frames))


def with_vertices(scene: Scene, change: Callable[[np.ndarray], np.ndarray]) -> Scene:
    return replace(scene, mesh=replace(scene.mesh, vertices=change(scene.mesh.vertices)))


def with_faces(scene: Scene, turned: np.ndarray) -> Scene:
    """Faces `turned` (f,) bool the other way round."""
    faces = scene.mesh.faces.copy()
    faces[turned] = faces[turned][:, ::-1]
    return replace(scene, mesh=replace(scene.mesh, faces=faces))


def with_intrinsics(scene: Scene, change: Callable[[np.ndarray], np.ndarray]) -> Scene:
    def camera(old: Camera) -> Camera:
        return Camera(change(old.intrinsics.copy()), *old.size)

    return replace(scene, frames=tuple(replace(f, camera=camera(f.camera)) for f in scene.frames))


def with_photos(scene: Scene, order) -> Scene:
    """Each frame with the photo of another."""
    colors = [scene.frames[i].color for i in order]
    return replace(scene, frames=tuple(replace(f, color=c) for f, c in zip(scene.frames, colors, strict=True)))


def with_own_photos(scene: Scene, folder: Path, change: Callable[[np.ndarray, int], np.ndarray]) -> Scene:
    """The scene with photos (h, w, 3), sRGB, that are changed and written anew."""
    frames = []
    for frame in scene.frames:
        path = folder / f"{frame.id}.png"
        cv2.imwrite(str(path), np.ascontiguousarray(change(frame.read_color(), frame.id)[..., ::-1]))
        frames.append(replace(frame, color=replace(frame.color, path=path)))
    return replace(scene, frames=tuple(frames))


def with_cameras(scene: Scene, change: Callable[[np.ndarray], np.ndarray]) -> Scene:
    """Other poses (m, 4, 4) of photos, and of depth with them."""
    poses = change(np.stack([f.cam_to_world for f in scene.frames]))
    frames = []
    for frame, pose in zip(scene.frames, poses, strict=True):
        own = frame.cam_to_world if frame.depth_cam_to_world is None else frame.depth_cam_to_world
        depth = pose @ np.linalg.inv(frame.cam_to_world) @ own
        frames.append(replace(frame, cam_to_world=pose, depth_cam_to_world=depth))
    return replace(scene, frames=tuple(frames))


def with_poses_by_name(scene: Scene) -> Scene:
    """The poses handed out in the alphabetical order of the ids."""
    by_name = sorted(range(len(scene.frames)), key=lambda i: str(scene.frames[i].id))
    return with_cameras(scene, lambda poses: poses[np.argsort(by_name)])


def with_quaternions(scene: Scene, order: list[int], inverse: bool = False) -> Scene:
    """Poses without depth whose quaternions (x, y, z, w) are reordered; `inverse`: as world-to-camera, with t kept."""

    def change(pose: np.ndarray) -> np.ndarray:
        pose = np.linalg.inv(pose) if inverse else pose.copy()
        pose[:3, :3] = Rotation.from_quat(Rotation.from_matrix(pose[:3, :3]).as_quat()[order]).as_matrix()
        return np.linalg.inv(pose) if inverse else pose

    return with_poses(scene, change)


def _transposed(pose: np.ndarray) -> np.ndarray:
    out = pose.copy()
    out[:3, :3] = pose[:3, :3].T
    return out


def _with_translation_of_inverse(pose: np.ndarray) -> np.ndarray:
    return np.c_[pose[:, :3], np.linalg.inv(pose)[:, 3]]


def _left_handed(pose: np.ndarray) -> np.ndarray:
    flip = np.diag([1.0, -1.0, 1.0, 1.0])
    return flip @ pose @ flip


def _flat(k: np.ndarray) -> np.ndarray:
    """As where photos were cropped, and each focal length was scaled by its own side."""
    k[1, 1] *= 0.75
    return k


def _centre_too_low(k: np.ndarray) -> np.ndarray:
    k[1, 2] += 60
    return k


def _centre_swapped(k: np.ndarray) -> np.ndarray:
    k[:2, 2] = k[1::-1, 2]
    return k


def as_steps(poses: np.ndarray) -> np.ndarray:
    """Poses (m, 4, 4) as odometry has them: the motion since the frame before, in that camera's axes."""
    return np.concatenate([poses[:1], np.linalg.inv(poses[:-1]) @ poses[1:]])


def _as_steps_of_the_world(poses: np.ndarray) -> np.ndarray:
    return np.concatenate([poses[:1], poses[1:] @ np.linalg.inv(poses[:-1])])


def _as_inverted_steps(poses: np.ndarray) -> np.ndarray:
    return np.concatenate([poses[:1], np.linalg.inv(as_steps(poses)[1:])])


def in_another_frame(scene: Scene) -> Scene:
    """Poses that begin at the identity, as the sample room's do, and a mesh that was turned and moved."""
    turn = Rotation.from_rotvec([70, 40, -50], degrees=True).as_matrix()
    return with_vertices(scene, lambda v: v @ turn.T + [3.0, -2.0, 1.0])


def with_distortion(scene: Scene, k1: float) -> Scene:
    """Coefficients for photos that are straight already."""
    bent = (k1, 0.0, 0.0, 0.0)
    return replace(scene, frames=tuple(replace(f, color=replace(f.color, distortion=bent)) for f in scene.frames))


def half(scene: Scene) -> np.ndarray:
    """(f,) bool, every other face at random."""
    return np.random.default_rng(0).random(len(scene.mesh.faces)) < 0.5


def scaled_translation(factor: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(pose: np.ndarray) -> np.ndarray:
        out = pose.copy()
        out[:3, 3] *= factor
        return out

    return change


def resized(factor: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(k: np.ndarray) -> np.ndarray:
        k[:2, :2] *= factor
        k[:2, 2] = (k[:2, 2] + 0.5) * factor - 0.5
        return k

    return change


def _centre_outside(k: np.ndarray) -> np.ndarray:
    k[0, 2] = 800
    return k


def _longer(factor: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(k: np.ndarray) -> np.ndarray:
        k[[0, 1], [0, 1]] *= factor
        return k

    return change


def _depth_unit(scene: Scene) -> Scene:
    return replace(scene, frames=tuple(replace(f, depth=replace(f.depth, depth_unit=0.0002)) for f in scene.frames))


def _upside_down(scene: Scene) -> Scene:
    """Cameras by which the photos stand on their head."""

    def change(k: np.ndarray) -> np.ndarray:
        k[:2, 2] = np.array(scene.frames[0].camera.size) - 1 - k[:2, 2]
        return k

    return with_poses(with_intrinsics(scene, change), lambda p: p @ np.diag([-1.0, -1.0, 1.0, 1.0]))


def _quarter_turn(pose: np.ndarray) -> np.ndarray:
    """A camera that lies on its left side: its photos look turned clockwise."""
    return np.c_[pose[:, 1], -pose[:, 0], pose[:, 2:]]


def jumped(scene: Scene, start: int, stop: int, degrees: float = 7, metres: float = 0.3) -> Scene:
    """The poses of these frames, of photos and depth, rigidly off, as after a jump of tracking."""
    middle = np.mean([f.cam_to_world[:3, 3] for f in scene.frames], 0)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    motion = np.eye(4)
    motion[:2, :2] = [[c, -s], [s, c]]
    motion[:3, 3] = middle - motion[:3, :3] @ middle + [metres, 0, 0]
    frames = list(scene.frames)
    for i in range(start, stop):
        old, depth = frames[i], frames[i].depth_cam_to_world
        moved = None if depth is None else motion @ depth
        frames[i] = replace(old, cam_to_world=motion @ old.cam_to_world, depth_cam_to_world=moved)
    return replace(scene, frames=tuple(frames))


def without_depth(scene: Scene) -> Scene:
    return with_poses(scene, lambda pose: pose)


def _depth_of_others(scene: Scene, start: int, stop: int) -> Scene:
    """These frames have depth in another unit."""
    frames = list(scene.frames)
    for i in range(start, stop):
        frames[i] = replace(frames[i], depth=replace(frames[i].depth, depth_unit=0.002))
    return replace(scene, frames=tuple(frames))


def shifted(scene: Scene, start: int, stop: int, by: int) -> Scene:
    """Poses of these frames have the photos of frames further on."""
    order = list(range(len(scene.frames)))
    order[start:stop] = range(start + by, stop + by)
    return with_photos(scene, order)


# What is done to the sample room, the check that is to find it, and what it is to say.
BROKEN: dict[str, tuple[Callable[[Scene], Scene], str, str]] = {
    "mesh in millimetres": (
        lambda s: with_vertices(s, lambda v: v * 1000),
        "fit",
        r"in millimetres\); add --mesh-scale 0.001$",
    ),
    "mesh in centimetres": (
        lambda s: with_vertices(s, lambda v: v * 100),
        "fit",
        r"in centimetres\); add --mesh-scale 0.01$",
    ),
    "mesh in feet": (lambda s: with_vertices(s, lambda v: v / 0.3048), "fit", r"in feet\); add --mesh-scale 0.3048$"),
    "mesh of any scale": (lambda s: with_vertices(s, lambda v: v * 2.5), "fit", r"add --mesh-scale 0\.(39|40|4\b)"),
    "poses in millimetres": (lambda s: with_poses(s, scaled_translation(1000)), "fit", "poses' translations by 0.001"),
    "mesh moved": (
        lambda s: with_vertices(s, lambda v: v + np.array([0, 0.3, 0])),
        "fit",
        r"about 0\.(29|3|31) m beside its place",
    ),
    "mesh y up": (lambda s: with_vertices(s, lambda v: v @ Z_UP_TO_Y_UP.T), "fit", "x, y, z become x, -z, y"),
    "mesh aligned": (
        lambda s: with_vertices(s, lambda v: v @ s.axis_alignment[:3, :3].T + s.axis_alignment[:3, 3]),
        "fit",
        "use the unaligned mesh, or move this one by the inverse of axisAlignment$",
    ),
    "camera axes": (
        lambda s: with_poses(s, lambda p: p @ AXES),
        "fit",
        "are OpenGL's .*; negate the second and third column",
    ),
    "world to camera": (lambda s: with_poses(s, np.linalg.inv), "fit", "world-to-camera; invert each matrix$"),
    "photos shuffled": (
        lambda s: with_photos(s, np.random.default_rng(3).permutation(len(s.frames))),
        "fit",
        "the photos are at other poses than the numbers in their names say; give each pose its own photo$",
    ),
    "photos one late": (
        lambda s: with_photos(s, np.roll(np.arange(len(s.frames)), 1)),
        "fit",
        r"one frame too late \(pose i has the photo of frame i - 1\)",
    ),
    "photos two early": (
        lambda s: with_photos(s, np.roll(np.arange(len(s.frames)), -2)),
        "fit",
        r"the photos are 2 frames too early \(pose i has the photo of frame i \+ 2\); give each pose its own photo$",
    ),
    "photos upside down": (_upside_down, "fit", "the photos are turned by 180 degrees; turn the photos by 180 degrees"),
    "photos turned clockwise": (
        lambda s: with_poses(s, _quarter_turn),
        "fit",
        "turned by 90 degrees clockwise against the poses; .* x and y, become -y and x$",
    ),
    "tracking jumped": (
        lambda s: jumped(s, 9, 18),
        "fit",
        r"^frames 216 to 408 \(9 of 18\): photos .*disagree with the mesh there.*; the poses there are off: tracking "
        r"jumped or drifted; leave these frames out \(--keyframes 0,24,48,72,96,120,144,168,192\) or track anew$",
    ),
    "tracking jumped, no depth": (
        lambda s: without_depth(jumped(s, 5, 11)),
        "fit",
        r"^frames 120 to 240 \(6 of 18\): photos disagree .* poses there are off, as where tracking jumped or drifted",
    ),
    "photos of a stretch": (
        lambda s: shifted(s, 6, 12, 3),
        "fit",
        r"^frames 144 to (264|288) \([67] of 18\): .* sensor depth agrees there, too .*; the photos there are not",
    ),
    "depth of a stretch": (
        lambda s: _depth_of_others(s, 4, 9),
        "depth",
        r"^frames 96 to 192 \(5 of 18\): 100 % of the sensor depth misses the mesh there .* photos agree there, too; ",
    ),
    "photos by name": (
        lambda s: with_photos(s, [int(i) for i in sorted(map(str, range(len(s.frames))))]),
        "fit",
        "the photos are sorted by name",
    ),
    "poses by name": (
        with_poses_by_name,
        "fit",
        r"the photos, and the depth images with them, are sorted by name \(1, 10, 2\), the poses by number; give each "
        r"pose its own \(what frame 24 has belongs to the pose of frame 120\)$",
    ),
    "poses shuffled": (
        lambda s: with_cameras(s, lambda p: p[np.random.default_rng(3).permutation(len(p))]),
        "fit",
        r"the photos, and the depth images with them, are in another order than the poses: what frame \d+ has belongs ",
    ),
    "mesh mirrored, with depth": (
        lambda s: with_vertices(s, lambda v: v * [-1, 1, 1]),
        "fit",
        "mesh is mirrored .* its x, y, z become -x, y, z$",
    ),
    "quaternions x y z w": (
        lambda s: with_quaternions(s, [1, 2, 3, 0]),
        "fit",
        "quaternions x y z w that were taken for w x y z; .* move the last number to the front first$",
    ),
    "quaternions w x y z of world-to-camera": (
        lambda s: with_quaternions(s, [3, 0, 1, 2], inverse=True),
        "fit",
        "quaternions w x y z that were taken for x y z w; .* move the first number to the end first$",
    ),
    "rotations transposed": (
        lambda s: with_poses(s, _transposed),
        "fit",
        "rotations in the poses are transposed, their translations are right; transpose ",
    ),
    "translations of the inverse": (
        lambda s: with_poses(s, _with_translation_of_inverse),
        "fit",
        "the rotations in the poses are camera-to-world, the translations world-to-camera",
    ),
    "poses of a left-handed world": (
        lambda s: with_poses(s, _left_handed),
        "fit",
        "of a left-handed world .*; negate the y row and the y column",
    ),
    "pixels not square": (
        lambda s: with_intrinsics(s, _flat),
        "fit",
        r"fx 52\d and fy 39\d do not suit the photos: their pixels look square; give fx about 5[123]\d, fy about 5",
    ),
    "centre too low": (
        lambda s: with_intrinsics(s, _centre_too_low),
        "fit",
        r"principal point is off, as where photos were cropped; give cx about 3[12]\d and cy about 2[34]\d in",
    ),
    "photos undistorted already": (
        lambda s: with_distortion(s, -0.3),
        "fit",
        "the photos look bent the other way round once their distortion is undone",
    ),
    "cx and cy swapped": (
        lambda s: with_intrinsics(s, _centre_swapped),
        "fit",
        "cx and cy are swapped; give cx about 322 and cy about 237 in intrinsic/intrinsic_color.txt$",
    ),
    "poses are steps": (
        lambda s: with_cameras(s, as_steps),
        "fit",
        r"the poses are steps from frame to frame; chain them: .* T\[i\] = T\[i - 1\] @ P\[i\] is its pose",
    ),
    "poses are inverted steps": (
        lambda s: without_depth(with_cameras(s, _as_inverted_steps)),
        "fit",
        r"poses are inverted steps from frame to frame; .* T\[i\] = T\[i - 1\] @ inv\(P\[i\]\) is its pose",
    ),
    "poses are steps of the world": (
        lambda s: without_depth(with_cameras(s, _as_steps_of_the_world)),
        "fit",
        r"the poses are steps from frame to frame; .* T\[i\] = P\[i\] @ T\[i - 1\] is its pose",
    ),
    "poses of the first camera": (in_another_frame, "fit", "first pose is the identity: the poses look to be relative"),
    "focal length": (
        lambda s: with_intrinsics(s, _longer(1.3)),
        "fit",
        r"focal length is about 1\.(29|30|31)\d* times too large",
    ),
    "centre outside": (
        lambda s: with_intrinsics(s, _centre_outside),
        "cameras",
        "^the principal point 800, 237 lies outside its photo of 640",
    ),
    "intrinsics of large images": (
        lambda s: with_intrinsics(s, resized(2)),
        "cameras",
        "1277 x 958; give those of 640 x 480 in intrinsic/intrinsic_color.txt, or that size as colorWidth",
    ),
    "intrinsics of small images": (lambda s: with_intrinsics(s, resized(0.5)), "cameras", "images of about 319 x 240"),
    "focal length absurd": (
        lambda s: with_intrinsics(s, _longer(20)),
        "cameras",
        "are absurd for a photo of 640 x 480",
    ),
    "faces all turned": (lambda s: with_faces(s, np.ones(len(s.mesh.faces), bool)), "faces", "add --flip-faces"),
    "faces half turned": (lambda s: with_faces(s, half(s)), "faces", "make the mesh's normals consistent"),
    "all in millimetres": (
        lambda s: with_vertices(with_poses(s, scaled_translation(1000)), lambda v: v * 1000),
        "size",
        "mesh and poses look to be in millimetres",
    ),
    "depth in another unit": (
        _depth_unit,
        "depth",
        "0.2 times the mesh's depth, as if in millimetres; write them in 1/5000 m: multiply their values by 5",
    ),
    "photos deleted": (
        lambda s: replace(s, frames=s.frames[::2], without_photo=tuple(f"color/{f.id}.jpg" for f in s.frames[1::2])),
        "frames",
        "9 of 18 frames have a pose but no photo",
    ),
    "tracking lost": (
        lambda s: replace(s, frames=s.frames[::3], skipped=tuple(f.id for i, f in enumerate(s.frames) if i % 3)),
        "frames",
        "12 of 18 frames have no finite pose",
    ),
}

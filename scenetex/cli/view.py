"""``scenetex view``: a textured mesh, or a scan, in a local viewer with its cameras drawn in."""

import contextlib
import io
import json
import struct
import time
import warnings
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from ..errors import InputError, InputWarning, OutsideError, extra
from ..files.json_file import parse_json
from ..files.reading import MESH_BYTES, only_inside, read_bytes
from ..limits import MESH_SCALE, Between
from ..process.console import say
from ..scene.mesh import Mesh
from .gate import Gate, gated
from .guarded import guarded
from .parsing import parse

if TYPE_CHECKING:
    import viser

    from ..job.result_folder import ResultFolder
    from ..scene.scene import Scene

_THUMBNAIL = 200  # pixels of a thumbnail's longer side
_MOST = 200  # cameras of a scan; more are thinned out evenly
_LENGTH = 0.02  # size of a camera over that of the mesh
_Y_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # from a GLB's axes to z up


@dataclass(frozen=True)
class ViewOptions:
    """Opens a local viewer of a textured GLB, of a result with its cameras, or of a scan with its trajectory."""

    path: Annotated[Path, tyro.conf.Positional]
    """A .glb file, the result folder of a scene, or a scene."""
    allow_outside: bool = False
    """Read files outside the scene's folder where names or symlinks in it lead there; for a scene you trust."""
    mesh_scale: Annotated[float, MESH_SCALE] = 1.0
    """Of a scan: factor on the mesh's vertices, not on the poses: 0.001 for a mesh in millimetres."""
    flip_faces: bool = False
    """Of a scan: turn all faces of the mesh around, if they show the cameras their back."""
    port: Annotated[int, Between(1, 65535)] = 8080
    """Where the viewer is served, on this machine only; the next free one if it is taken."""
    open: bool = True
    """Open it in the browser."""


@dataclass(frozen=True, eq=False)
class CameraView:
    """A camera to draw in.

    Attributes:
        name: of its frame.
        cam_to_world: (4, 4) float64, OpenCV axes, gravity-aligned world (z up), metres.
        slopes: of the rays to the image's right and lower edge.
        image: (h, w, 3) uint8 sRGB thumbnail, or None.
    """

    name: str
    cam_to_world: np.ndarray
    slopes: tuple[float, float]
    image: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Exhibit:
    """What is shown.

    Attributes:
        glb: the mesh as the bytes of a GLB file, y up, faces to be seen from their front only: from outside, one looks
            past the near walls.
        box: (2, 3) lowest and highest corner of the mesh, metres, z up.
        start: eye and target of the first view, (3,) each, inside the mesh, metres, z up.
        cameras: those to draw in.
    """

    glb: bytes
    box: np.ndarray
    start: tuple[np.ndarray, np.ndarray]
    cameras: Sequence[CameraView] = ()


def main(arguments: list[str] | None = None, program: str = "scenetex view") -> int:
    """Runs the command until Ctrl-C; the exit code: 0, or 2 after bad input."""

    def work() -> int:
        options = parse(ViewOptions, program, arguments)
        _require_viser()
        gate = Gate()
        exhibit = collect(options.path, options.allow_outside, options.mesh_scale, options.flip_faces)
        server = serve(exhibit, options.port, gate)
        address = f"http://localhost:{server.get_port()}/{gate.word}/"
        say(f"{options.path}: {address} (Ctrl-C ends it)")
        if options.open:
            webbrowser.open(address)
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            return 0
        finally:
            with contextlib.redirect_stdout(io.StringIO()):
                server.stop()

    return guarded(program, work)


def collect(path: Path, allow_outside: bool = False, mesh_scale: float = 1.0, flip_faces: bool = False) -> Exhibit:
    """What is at a path.

    Args:
        path: a `.glb` file, a folder that `scenetex texture` wrote, or a scene for `load_scene`.
        allow_outside: as for `load_scene`; of results, too.
        mesh_scale, flip_faces: as for `load_scene`; of scans alone.

    Raises:
        InputError: a scale or turn for what is no scan, none of these, a result without GLB, or a file that is damaged.
    """
    from ..job.result_folder import ResultFolder
    from ..scene.load import load_scene
    from ..scene.mesh_file import read_mesh

    result = ResultFolder(path)
    file = result.glb if path.is_dir() else path
    if file.suffix.lower() == ".glb" and file.is_file():
        if mesh_scale != 1 or flip_faces:
            raise InputError(f"{path}: is shown as it is; --mesh-scale and --flip-faces are for scans")
        turn = np.eye(4)
        turn[:3, :3] = _Y_UP
        with only_inside(path if path.is_dir() and not allow_outside else None):
            mesh, cameras = read_mesh(file).transformed(turn), _result_cameras(result) if path.is_dir() else ()
            return Exhibit(_one_sided(_read(file)), _box(mesh), _start(mesh, cameras), cameras)
    if result.report_path.is_file():
        raise InputError(f"{path}: a result without {result.glb.name}; texture the scene again with --formats glb")
    return _scan(load_scene(path, True, allow_outside, mesh_scale, flip_faces))


def serve(exhibit: Exhibit, port: int, gate: Gate) -> "viser.ViserServer":
    """Starts the viewer, on this machine only, for who passes the gate; needs viser."""
    import viser
    from viser.transforms import SO3

    with gated(gate), contextlib.redirect_stdout(io.StringIO()):  # it prints an address without the word
        server = viser.ViserServer("localhost", port, verbose=False)
    # A click would hand the room to a server of viser's makers.
    server.gui.configure_theme(show_share_button=False)
    server.request_share_url = lambda *_, **__: None
    server.scene.set_up_direction("+z")
    server.scene.add_glb("/mesh", exhibit.glb, wxyz=SO3.from_matrix(_Y_UP).wxyz)
    frustums = []
    for camera in exhibit.cameras:
        pose, (right, below) = camera.cam_to_world, camera.slopes
        frustum = server.scene.add_camera_frustum(
            f"/cameras/{camera.name}",
            fov=2 * np.arctan(below),
            aspect=right / below,
            scale=_LENGTH * float(np.linalg.norm(np.ptp(exhibit.box, axis=0))),
            color=(255, 158, 51),
            image=camera.image,
            wxyz=SO3.from_matrix(pose[:3, :3]).wxyz,
            position=pose[:3, 3],
        )
        frustums.append(frustum)

        @frustum.on_click
        def _(event, pose=pose) -> None:
            _look(event.client, pose[:3, 3], pose[:3, 3] + pose[:3, 2])

    if frustums:
        box = server.gui.add_checkbox("Cameras", True)

        @box.on_update
        def _(_) -> None:
            for frustum in frustums:
                frustum.visible = box.value

    server.on_client_connect(lambda client: _look(client, *exhibit.start))
    return server


def _require_viser() -> None:
    try:
        import viser  # noqa: F401
    except ImportError:
        raise InputError(f"scenetex view needs viser, which is not installed; {extra('view')}") from None


def _look(client, eye: np.ndarray, target: np.ndarray) -> None:
    client.camera.position = eye
    client.camera.look_at = target


def _scan(scene: "Scene") -> Exhibit:
    cameras, count = [], len(scene.frames)
    for i in np.unique(np.linspace(0, count - 1, min(count, _MOST)).round().astype(int)):
        frame = scene.frames[i]
        k, (width, height) = frame.camera.intrinsics, frame.camera.size
        image = None if frame.color is None else _picture(frame.read_color)
        slopes = width / (2 * k[0, 0]), height / (2 * k[1, 1])
        cameras.append(CameraView(str(frame.id), frame.cam_to_world, slopes, image))
    return Exhibit(_encode_scan(scene.mesh), _box(scene.mesh), _start(scene.mesh, cameras), cameras)


def _start(mesh: Mesh, cameras: Sequence[CameraView]) -> tuple[np.ndarray, np.ndarray]:
    from ..views.vantage import inside_view

    return inside_view(mesh, [camera.cam_to_world[:3, 3] for camera in cameras])


def _encode_scan(mesh: Mesh) -> bytes:
    """A scan as GLB, y up; unlit where it has colours, as these have the light in them."""
    import trimesh
    from trimesh.exchange.gltf import export_glb

    colors = None
    if mesh.colors is not None:
        srgb = mesh.colors / 255
        # glTF's vertex colours are linear.
        linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
        colors = np.rint(255 * linear).astype(np.uint8)

    def unlit(tree: dict) -> None:
        if colors is None:
            return
        tree["extensionsUsed"] = ["KHR_materials_unlit"]
        tree["materials"] = [{"extensions": {"KHR_materials_unlit": {}}}]
        for part in (part for shape in tree["meshes"] for part in shape["primitives"]):
            part["material"] = 0

    faces = mesh.faces[np.isfinite(mesh.triangles).all((1, 2))]
    shape = trimesh.Trimesh(np.nan_to_num(mesh.vertices) @ _Y_UP, faces, vertex_colors=colors, process=False)
    return export_glb(trimesh.Scene(shape), tree_postprocessor=unlit)


def _one_sided(glb: bytes) -> bytes:
    """The same GLB with faces seen from their front only: one looks past the near walls into the room."""
    (length,) = struct.unpack_from("<I", glb, 12)
    tree, rest = parse_json(glb[20 : 20 + length]), glb[20 + length :]
    if isinstance(materials := tree.get("materials"), list):
        tree["materials"] = [m | {"doubleSided": False} if isinstance(m, dict) else m for m in materials]
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text) + len(rest), len(text), b"JSON")
    return head + text + rest


def _box(mesh: Mesh) -> np.ndarray:
    """(2, 3) lowest and highest corner of all faces, in the mesh's own frame."""
    corners = mesh.triangles.reshape(-1, 3)
    return np.stack([np.nanmin(corners, 0), np.nanmax(corners, 0)])


def _result_cameras(result: "ResultFolder") -> list[CameraView]:
    if not result.cameras_path.is_file():
        return []
    alignment, found = result.axis_alignment(), []
    for camera in result.read_cameras():
        picture = _thumbnail(result.read_image(camera)) if result.image_path(camera).is_file() else None
        slopes = camera.size[0] / (2 * camera.intrinsics[0, 0]), camera.size[1] / (2 * camera.intrinsics[1, 1])
        found.append(CameraView(str(camera.frame_id), alignment @ camera.cam_to_world, slopes, picture))
    return found


def _picture(read: Callable[[], np.ndarray]) -> np.ndarray | None:
    """A thumbnail of the photo that `read` gives; None, with a warning, where that fails: a scan can be looked at
    without."""
    try:
        return _thumbnail(read())
    except OutsideError:
        raise
    except InputError as error:
        warnings.warn(f"{error} (its camera is shown without it)", InputWarning, stacklevel=2)
        return None


def _thumbnail(image: np.ndarray) -> np.ndarray:
    import cv2

    scale = min(1.0, _THUMBNAIL / max(image.shape[:2]))
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _read(path: Path) -> bytes:
    try:
        return read_bytes(path, MESH_BYTES)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check the file") from None

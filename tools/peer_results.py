"""What another program made of a scan, a textured mesh as OBJ, PLY or GLB, read for `bench_peers.py` to score."""

import re
from pathlib import Path

import numpy as np

from scenetex.errors import InputError
from scenetex.files.reading import TEXT_BYTES, open_file, read_bytes
from scenetex.scene.image_source import ImageSource, decode_color, image_size
from scenetex.scene.mesh import Mesh
from scenetex.scene.mesh_file import read_mesh
from scenetex.texture.atlas import Atlas
from scenetex.texture.textured_mesh import TexturedMesh

_SUFFIXES = (".obj", ".ply", ".glb")
_HEADER = 1 << 16


def find_result(folder: Path) -> TexturedMesh:
    """The textured mesh that a program left in a folder. Raises `InputError` where there is none."""
    found = [path for suffix in _SUFFIXES for path in sorted(folder.rglob(f"*{suffix}")) if path.is_file()]
    if not found:
        raise InputError(f"{folder}: holds no {', '.join(_SUFFIXES)}; see the program's log there")
    return read_textured(found[0])


def read_textured(path: Path) -> TexturedMesh:
    """A mesh with its textures, in the frame that it is stored in.

    Faces without a texture, or whose coordinates are all one point, have none (`Atlas.page` -1).

    Raises:
        InputError: a file that cannot be read, or none of whose faces has a texture.
    """
    if path.suffix.lower() == ".glb":
        return _of_glb(path)
    mesh = read_mesh(path)
    if mesh.uv_map is None:
        raise InputError(f"{path}: has no texture coordinates; look whether the program painted it")
    names = _obj_images(path) if path.suffix.lower() == ".obj" else _ply_images(path)
    own = mesh.uv_map
    images = [names.get(name) or names.get("") for name in own.materials]
    used = sorted({image for image in images if image})
    page_of = np.array([used.index(image) if image else -1 for image in images])
    page = np.where(own.mapped, page_of[own.material], -1)
    corners = np.where(own.mapped[:, None, None], own.uv[own.corners], 0.0)
    return _textured(mesh, corners, page, [_read_image(image) for image in used], path)


def _textured(mesh: Mesh, corners: np.ndarray, page: np.ndarray, pages: list[np.ndarray], path: Path) -> TexturedMesh:
    """Of coordinates (f, 3, 2) and pages (f,) of the faces."""
    page = np.where((corners == corners[:, :1]).all((1, 2)), -1, page).astype(np.int32)
    if not (page >= 0).any():
        raise InputError(f"{path}: none of its faces has a texture; look whether the program painted it")
    # Whole numbers apart are the same place.
    corners = corners - np.floor(corners.min(1, keepdims=True) + 1e-4)
    faces = np.arange(3 * len(page), dtype=np.int32).reshape(-1, 3)
    atlas = Atlas(
        uv=corners.reshape(-1, 2).astype(np.float32),
        faces=np.where(page[:, None] >= 0, faces, -1),
        vertices=mesh.faces.reshape(-1).astype(np.int32),
        page=page,
        chart=np.minimum(page, 0),
        size=max(image.shape[0] for image in pages),
        pages=len(pages),
        texels_per_metre=1.0,
    )
    return TexturedMesh(mesh, atlas, tuple(pages), tuple(np.ones(image.shape[:2], bool) for image in pages))


def _obj_images(path: Path) -> dict[str, Path]:
    """The colour texture of each material of an OBJ, from the libraries that it names."""
    found, name = {}, None
    head = read_bytes(path, 1 << 33)
    for library in re.findall(rb"^\s*mtllib\s+(.+?)\s*$", head[:_HEADER], re.MULTILINE):
        text = read_bytes(_beside(path, library.decode("utf-8", "replace")), TEXT_BYTES).decode("utf-8", "replace")
        for line in text.splitlines():
            key, _, value = line.strip().partition(" ")
            if key == "newmtl":
                name = value.strip()
            elif key == "map_Kd" and name is not None:
                found[name] = _beside(path, value.split()[-1] if value.lstrip().startswith("-") else value.strip())
    return found


def _ply_images(path: Path) -> dict[str, Path]:
    """Textures that a PLY's comments name (`TextureFile`, as in MeshLab), by their number, and the first by none."""
    with open_file(path) as file:
        head = file.read(_HEADER).partition(b"end_header")[0]
    names = re.findall(rb"^comment TextureFile (.+?)\s*$", head, re.MULTILINE | re.IGNORECASE)
    paths = [_beside(path, name.decode("utf-8", "replace")) for name in names]
    return ({"": paths[0]} if paths else {}) | {f"material {i}": image for i, image in enumerate(paths)}


def _of_glb(path: Path) -> TexturedMesh:
    import trimesh

    try:
        scene = trimesh.load(path, process=False, force="scene")
        parts = [part for part in scene.dump() if getattr(part.visual, "uv", None) is not None]
    except Exception as error:  # what trimesh ends in over a damaged file
        raise InputError(f"{path}: cannot be read ({type(error).__name__}); look at it in a viewer") from None
    vertices, faces, corners, page, pages = [], [], [], [], []
    for part in parts:
        image = getattr(part.visual.material, "baseColorTexture", None)
        page += [np.full(len(part.faces), -1 if image is None else len(pages))]
        pages += [] if image is None else [np.asarray(image.convert("RGB"))]
        corners += [np.asarray(part.visual.uv, np.float64)[part.faces]]
        faces += [np.asarray(part.faces) + sum(map(len, vertices))]
        vertices += [np.asarray(part.vertices)]
    if not pages:
        raise InputError(f"{path}: none of its faces has a texture; look whether the program painted it")
    mesh = Mesh(np.concatenate(vertices), np.concatenate(faces).astype(np.int32))
    return _textured(mesh, np.concatenate(corners), np.concatenate(page), pages, path)


def _read_image(path: Path) -> np.ndarray:
    source = ImageSource(path)
    return decode_color(source, image_size(source, str(path)), str(path))


def _beside(path: Path, name: str) -> Path:
    """A file that another one names, in its folder."""
    found = path.parent / name.replace("\\", "/")
    if not found.resolve().is_relative_to(path.parent.resolve()) or not found.is_file():
        raise InputError(f"{path}: names {name[:100]}, which is not there in its folder")
    return found

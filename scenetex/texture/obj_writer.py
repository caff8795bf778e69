"""OBJ + MTL + PNG: a textured mesh in its own coordinates, faces in the input's order."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files.output import write_files
from ..process.threads import threads
from ..scene.mesh import Mesh
from .atlas import Atlas
from .glb_writer import encode_png
from .obj_repaint import repainted_obj
from .own_materials import NAMELESS, own_uvs, page_materials, single_line, unpainted


def write_obj(path: Path, mesh: Mesh, atlas: Atlas, textures: Sequence[np.ndarray]) -> None:
    """Writes `path` with its `.mtl` and one `.png` per page beside it.

    Vertices are the mesh's own, all of them, in order and to the last bit; faces without area are left out, the others
    keep their order. Of a mesh that keeps its texture coordinates (`Atlas.from_mesh`), all is as its file has it but
    what the materials show if that is an OBJ; if it is not, materials and objects keep their names at least. File names
    come from `path`'s stem, with characters that OBJ readers trip over replaced.

    Args:
        path: the `.obj` file.
        mesh, atlas: the mesh and its UV layout.
        textures: one (size, size, 3) uint8 sRGB image per page, row 0 at the top (v = 1).

    Raises:
        InputError: a mesh without a face to write, or a file that cannot be written.
    """
    path = Path(path)
    stem = re.sub(r"[^\w.-]", "_", path.stem, flags=re.ASCII).lstrip(".-") or "texture"
    names = atlas.page_names(stem)
    if not (atlas.page >= 0).any():
        raise InputError("the mesh has no face with area, so there is nothing to export; check the input mesh")
    with ThreadPoolExecutor(threads()) as pool:  # OpenCV encodes outside the GIL, while the text is made
        pages = pool.map(encode_png, textures)
        geometry = _geometry(mesh, atlas, f"{stem}.mtl")
    files = {path.with_name(name): data for name, data in zip(names, pages, strict=True)}
    files[path.with_name(f"{stem}.mtl")] = _materials(mesh, atlas, names).encode()
    files[path] = geometry
    write_files(files)


def _page_names(mesh: Mesh, atlas: Atlas) -> list[str]:
    """Of the pages' materials."""
    uvs = own_uvs(mesh, atlas)
    if uvs is None:
        return [f"page_{page}" for page in range(atlas.pages)]
    names: list[str] = []
    for name in map(single_line, page_materials(uvs, atlas)):
        # In other formats, materials need no names of their own.
        names.append(name if name not in names else f"{name}_{len(names)}")
    return names


def _materials(mesh: Mesh, atlas: Atlas, images: list[str]) -> str:
    uvs, names = own_uvs(mesh, atlas), _page_names(mesh, atlas)
    textured = [
        f"newmtl {name}\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {image}\n"
        for name, image in zip(names, images, strict=True)
    ]
    own = map(single_line, uvs.materials if uvs else ())
    others = dict.fromkeys(name for name in own if name and name not in names)
    return "\n".join([*textured, *(f"newmtl {name}\nKa 0 0 0\nKd 0.8 0.8 0.8\nKs 0 0 0\nillum 1\n" for name in others)])


def _geometry(mesh: Mesh, atlas: Atlas, library: str) -> bytes:
    uvs = own_uvs(mesh, atlas)
    if uvs is not None and uvs.kind == ".obj":
        return repainted_obj(uvs, atlas, _page_names(mesh, atlas), library)
    return _text(mesh, atlas, library).encode()


def _text(mesh: Mesh, atlas: Atlas, library: str) -> str:
    """The OBJ's text. One large % per block: 20 times quicker than np.savetxt."""
    finite = np.isfinite(mesh.vertices).all(1)
    # OBJ has no NaN. No face uses such a vertex; it stands on a real one so that indices and bounds stay.
    vertices = np.where(finite[:, None], mesh.vertices, mesh.vertices[np.argmax(finite)])
    faces = np.sort(np.concatenate([np.flatnonzero(atlas.page >= 0), *(k for _, k in unpainted(mesh, atlas))]))
    painted = atlas.page[faces] >= 0

    # A corner's "v/vt" depends on its uv row alone: each is rendered once and used by all its faces.
    numbers = np.stack([atlas.vertices + 1, np.arange(1, len(atlas.uv) + 1)], 1)
    corners = np.array(_format("%d/%d\n", numbers).splitlines(), dtype=object)
    if painted.all():
        rows = atlas.faces[faces]
    else:
        corners = np.concatenate([corners, np.arange(1, len(vertices) + 1).astype(str).astype(object)])
        rows = np.where(painted[:, None], atlas.faces[faces], len(atlas.uv) + mesh.faces[faces])
    lines = _heads(mesh, atlas, faces) + "f %s %s %s\n"
    return "".join(
        [
            f"mtllib {library}\n",
            _format("v %r %r %r\n", vertices),
            _format("vt %.9g %.9g\n", atlas.uv + atlas.offsets()),
            "".join(lines) % tuple(corners[rows.ravel()].tolist()),
        ]
    )


def _heads(mesh: Mesh, atlas: Atlas, faces: np.ndarray) -> np.ndarray:
    """(k,) str: the lines before those of the faces (k,) that say where another object or material begins."""
    uvs = own_uvs(mesh, atlas)
    heads, label, names = np.full(len(faces), "", dtype=object), atlas.page[faces], _page_names(mesh, atlas)
    if uvs is not None:
        for first in np.flatnonzero(np.diff(uvs.part[faces], prepend=-1)):
            heads[first] = _line("o", uvs.parts[uvs.part[faces[first]]])
        label = np.where(label < 0, len(names) + uvs.material[faces], label)
        names = [*names, *(name or NAMELESS for name in uvs.materials)]
    for first in np.flatnonzero(np.diff(label, prepend=-1)):
        heads[first] += _line("usemtl", names[label[first]])
    return heads


def _line(word: str, name: str) -> str:
    # What is behind a % is filled in later.
    return f"{word} {single_line(name)}\n".replace("%", "%%") if name else ""


def _format(line: str, rows: np.ndarray) -> str:
    return (line * len(rows)) % tuple(rows.ravel().tolist())

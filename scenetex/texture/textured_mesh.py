"""The result: a mesh, its atlas and the painted pages."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from ..errors import InputError
from ..limits import DENSITY, FACES, TEXTURE, check_value
from ..scene.mesh import Mesh, used_vertices
from .atlas import Atlas
from .glb_writer import write_glb
from .obj_writer import write_obj
from .ply_writer import write_ply
from .simplified import simplified
from .unwrap import Packer
from .usd_writer import write_usd

if TYPE_CHECKING:
    import trimesh


@dataclass(frozen=True, eq=False)
class TexturedMesh:
    """A mesh with painted texture pages.

    Attributes:
        mesh: the mesh as it was read.
        atlas: its UV layout.
        textures: one (size, size, 3) uint8 sRGB image per page, row 0 at the top (v = 1).
        coverage: one (size, size) bool image per page: texels that some view saw; the others are filled in.
        texels: number of texels whose centre lies on a chart, or None if nobody counted.
        generated: one (size, size) bool image per page: of the texels that some view saw, those whose colour was
            generated, not photographed; None = nobody told.
        normal_maps: one (size, size, 3) uint8 image per page, the normals of a finer mesh in tangent space (glTF's, +Y
            up); None = there are none.
        shown_clipped: share of the texels seen by photos that at least half of those show with a channel at 0 or 255;
            None = nobody counted.

    Example:
        >>> import numpy as np
        >>> import trimesh
        >>> import scenetex
        >>> box = scenetex.Mesh.of(trimesh.creation.box())
        >>> atlas = scenetex.unwrap(box, size=64)
        >>> red = np.full((64, 64, 3), (200, 30, 30), np.uint8)
        >>> painted = scenetex.TexturedMesh(box, atlas, (red,), (np.ones((64, 64), bool),))
        >>> painted.export("box.glb", texture_format="png")
        >>> painted.to_trimesh().visual.uv.shape[1]
        2
    """

    mesh: Mesh
    atlas: Atlas
    textures: tuple[np.ndarray, ...]
    coverage: tuple[np.ndarray, ...]
    texels: int | None = None
    generated: tuple[np.ndarray, ...] | None = None
    shown_clipped: float | None = None
    normal_maps: tuple[np.ndarray, ...] | None = None

    def __repr__(self) -> str:
        seen = sum(int(page.sum()) for page in self.coverage)
        part = f", {seen / self.texels:.1%} of the texels seen" if self.texels else ""
        return f"TexturedMesh({self.mesh!r}, {self.atlas!r}{part})"

    def export(self, path: str | Path, **options: Any) -> None:
        """Writes the mesh in the format that the file's suffix names; the file appears whole or not at all.

        Args:
            path: `.glb` (y up, textures inside; unlit, or lit where there are normal maps), `.obj` (the mesh's own
                coordinates; MTL and PNG beside it), `.ply` (the mesh's own coordinates, a colour for each vertex),
                `.usd` or `.usdz` (z up, metres, emissive; extra ``[usd]``). Normal maps are written into `.glb` alone.
            options: of `write_glb` (``texture_format``, ``quality``, ``compress``) and `write_usd` (``labels``,
                ``collision``); others have none.

        Raises:
            InputError: an unknown suffix, an option out of range, no face to write, or a file that cannot be written.
        """
        path = Path(path)
        writers = {".glb": write_glb, ".obj": write_obj, ".ply": write_ply, ".usd": write_usd, ".usdz": write_usd}
        if path.suffix.lower() not in writers:
            raise InputError(
                f"{path}: cannot export {path.suffix or 'a name without suffix'}; use .glb, .obj, .ply, .usd or .usdz"
            )
        if self.normal_maps is not None and path.suffix.lower() == ".glb":
            options["normal_maps"] = self.normal_maps
        writers[path.suffix.lower()](path, self.mesh, self.atlas, self.textures, **options)

    def simplified(
        self,
        faces: Annotated[int, FACES],
        texture_size: Annotated[int | None, TEXTURE] = None,
        *,
        texels_per_metre: Annotated[float | None, DENSITY] = None,
        packer: Packer = "uvunwrap",
        normal_maps: bool = False,
    ) -> "TexturedMesh":
        """The same surface in about as many faces, with an atlas of its own that shows what this one shows.

        Faces that carry texture are welded and simplified (quadric errors; extra ``[lods]``); open borders, frame and
        orientation stay, and vertices lose their order. Each texel has the mean of what it covers of this texture.
        A mesh that has no more faces comes back as it is, with other texels if these are asked for.

        Args:
            faces: how many to keep, 4 or more; up to a few per cent more or less come back.
            texture_size: side of a page, texels; None: as here.
            texels_per_metre, packer: as in `unwrap`.
            normal_maps: make normal maps, too, of what the full mesh has and the simplified one lacks.

        Raises:
            InputError: a value out of range, fast-simplification is not installed, or the mesh carries no texture.

        Example:
            >>> import numpy as np
            >>> import trimesh
            >>> import scenetex
            >>> ball = scenetex.Mesh.of(trimesh.creation.icosphere(3))
            >>> atlas = scenetex.unwrap(ball, size=256)
            >>> red = np.full((256, 256, 3), (200, 30, 30), np.uint8)
            >>> painted = scenetex.TexturedMesh(ball, atlas, (red,), (np.ones((256, 256), bool),))
            >>> coarse = painted.simplified(faces=100, texture_size=128)
            >>> len(ball.faces), len(coarse.mesh.faces), coarse.textures[0].shape
            (1280, 100, (128, 128, 3))
            >>> coarse.textures[0][0, 0].tolist()
            [200, 30, 30]
        """
        check_value(faces, Annotated[int, FACES], "faces")
        changed = simplified(self, faces, texture_size, texels_per_metre, packer, normal_maps)
        return replace(self, **changed) if changed else self

    def to_trimesh(self) -> "trimesh.Trimesh":
        """The mesh for trimesh, in its own coordinates, faces without area left out, vertices split at UV seams.

        Several pages come as one image, side by side.
        """
        import trimesh
        from PIL import Image

        exported = self.atlas.page >= 0
        rows, corners = used_vertices(self.atlas.faces[exported])
        page_of_row = np.empty(len(rows), np.int64)
        page_of_row[corners.ravel()] = np.repeat(self.atlas.page[exported], 3)
        uv = self.atlas.uv[rows].astype(np.float64)
        uv[:, 0] = (uv[:, 0] + page_of_row) / self.atlas.pages
        return trimesh.Trimesh(
            vertices=self.mesh.vertices[self.atlas.vertices[rows]],
            faces=corners,
            visual=trimesh.visual.TextureVisuals(uv=uv, image=Image.fromarray(np.concatenate(self.textures, 1))),
            process=False,
        )

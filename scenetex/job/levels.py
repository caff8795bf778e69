"""A textured mesh for those who need it smaller: fewer faces, levels of detail, a mesh to collide with."""

from dataclasses import dataclass, replace

from ..scene.mesh import Mesh
from ..texture.collision import collision_mesh
from ..texture.textured_mesh import TexturedMesh
from .options import TextureOptions
from .run import Result
from .stages import Done, Stages

_FIRST, _NEXT = 10, 4  # a level has that part of the faces of the full mesh, of the level before
_FEWEST = 20  # faces, below which no level shows a scene
_MORE = 1.2  # times as many faces as asked for, of which a note is made
_FEWER = 0.9  # of the level before, at the most: each piece of a mesh keeps a face or two
_LEAST_SIDE = 64  # texels


@dataclass(frozen=True, eq=False)
class Sizes:
    """A result in all the sizes that it was asked for in.

    Attributes:
        result: what is written as textured.*, simplified if that was asked for.
        lods: levels of detail below it, from the finest to the coarsest.
        collision: mesh to collide with, or None.
    """

    result: Result
    lods: tuple[TexturedMesh, ...] = ()
    collision: Mesh | None = None

    def meshes(self, stem: str) -> dict[str, TexturedMesh]:
        """All textured meshes by the names of their files without suffix."""
        return {stem: self.result.mesh} | {f"{stem}_lod{k}": mesh for k, mesh in enumerate(self.lods, 1)}

    def report(self) -> dict:
        """What the report says of them, ready for JSON."""
        levels = [
            {
                "faces": _painted(mesh),
                "vertices": len(mesh.mesh.vertices),
                "texture_pages": mesh.atlas.pages,
                "texture_size": mesh.atlas.size,
                "texels_per_metre": float(f"{mesh.atlas.texels_per_metre:.6g}"),
            }
            for mesh in self.lods
        ]
        return {"lods": levels, "collision_faces": None if self.collision is None else len(self.collision.faces)}


def size_stages(result: Result, options: TextureOptions, stages: Stages) -> Sizes:
    """The sizes that options ask for, each made of the full mesh; what cannot be is said in a note.

    Raises:
        InputError: fast-simplification is not installed.
    """
    full = result.mesh
    wanted = [name for name in ("faces", "lods", "collision") if getattr(options, name)]
    if not wanted:
        return Sizes(result)
    with stages.stage("simplify", options.lods + (options.faces is not None) + options.collision) as done:
        if options.faces is not None:
            result = replace(result, mesh=_with_faces(full, options, stages))
            done()
        lods = _levels(full, result.mesh, options, stages, done)
        collision = collision_mesh(full.mesh) if options.collision else None
    return Sizes(result, lods, collision)


def _with_faces(full: TexturedMesh, options: TextureOptions, stages: Stages) -> TexturedMesh:
    own = _painted(full)
    if options.faces >= own:
        stages.note(f"--faces {options.faces}: the mesh has no more than {own:,}, and stays as it is")
        return full
    simple = full.simplified(
        options.faces,
        texels_per_metre=options.texels_per_metre,
        packer=options.packer,
        normal_maps=options.normal_maps,
    )
    if _painted(simple) > _MORE * options.faces:
        stages.note(f"--faces {options.faces}: {_painted(simple):,} are left, as pieces of the mesh do not vanish")
    return simple


def _levels(
    full: TexturedMesh, top: TexturedMesh, options: TextureOptions, stages: Stages, done: Done
) -> tuple[TexturedMesh, ...]:
    """The levels below `top`, as many as have fewer faces each."""
    have, lods = _painted(top), []
    for k in range(options.lods):
        faces = _painted(top) // (_FIRST * _NEXT**k)
        level = None if faces < _FEWEST else _level(full, faces, k, options)
        if level is None or _painted(level) > _FEWER * have:
            stages.note(f"--lods: {k} of {options.lods} made; further ones would not have fewer faces than {have:,}")
            break
        have = _painted(level)
        lods.append(level)
        done()
    return tuple(lods)


def _level(full: TexturedMesh, faces: int, before: int, options: TextureOptions) -> TexturedMesh:
    """The level behind so many others."""
    density = options.texels_per_metre
    return full.simplified(
        faces,
        full.atlas.size if density else max(full.atlas.size >> before, _LEAST_SIDE),
        texels_per_metre=density and density / 2**before,
        packer=options.packer,
        normal_maps=options.normal_maps,
    )


def _painted(mesh: TexturedMesh) -> int:
    """How many faces carry texture."""
    return int((mesh.atlas.page >= 0).sum())

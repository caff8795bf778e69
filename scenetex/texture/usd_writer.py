"""USD: a textured mesh for simulators and film tools, z up, metres, with the light in its colours."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from ..errors import InputError, extra
from ..files.output import write_files
from ..files.reading import read_bytes
from ..scene.mesh import Mesh
from .atlas import Atlas
from .glb_writer import encode_png, far_offset
from .own_materials import own_uvs, page_materials, unpainted

_ROOT = "/Scene"
_MOST_BYTES = 1 << 34


def write_usd(
    path: Path,
    mesh: Mesh,
    atlas: Atlas,
    textures: Sequence[np.ndarray],
    labels: Mapping[str, np.ndarray] | None = None,
    collision: Mesh | None = None,
) -> None:
    """Writes a `.usdz` with all in it, or a `.usd` (binary) with one PNG per page beside it.

    Positions are ``axis_alignment @ vertex``, z up, in metres; those of a mesh far from the origin are stored about its
    middle, and a translation leads back. One mesh has all faces that have texture, in their order, and those of a mesh
    that keeps its own coordinates which have none; it collides as it is (`UsdPhysics`), unless there is a simpler mesh
    for that. UsdPreviewSurface knows no unlit material: the pages are on ``emissiveColor``, above black without
    specular.

    Args:
        path: the file.
        mesh, atlas: the mesh and its UV layout.
        textures: one (size, size, 3) uint8 sRGB image per page, row 0 at the top (v = 1).
        labels: (f,) bool per face of the mesh, by what they are called (`UsdSemantics`, taxonomy ``class``).
        collision: mesh in the same frame that collides in its place, and is not drawn (purpose ``guide``).

    Raises:
        InputError: usd-core is not installed, a mesh without a face to write, or a file that cannot be written.
    """
    path = Path(path)
    usd = _library()
    if not (atlas.page >= 0).any():
        raise InputError("the mesh has no face with area, so there is nothing to export; check the input mesh")
    names = atlas.page_names(path.stem)
    files = {name: encode_png(texture) for name, texture in zip(names, textures, strict=True)}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        inside = Path(folder) / "scene.usdc"
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        stage = usd.Usd.Stage.CreateNew(str(inside))
        prim = _fill(usd, stage, mesh, atlas, names, labels or {})
        _collide(usd, prim if collision is None else _collision(usd, stage, collision))
        stage.GetRootLayer().Save()
        if path.suffix.lower() == ".usdz":
            packed = Path(folder) / "scene.usdz"
            if not usd.UsdUtils.CreateNewUsdzPackage(str(inside), str(packed)):
                raise InputError(f"{path}: usd-core cannot make a package of it; write .usd instead")
            write_files({path: read_bytes(packed, _MOST_BYTES)})
            return
        written = {path.with_name(name): data for name, data in files.items()}
        write_files(written | {path: read_bytes(inside, _MOST_BYTES)})


def _library() -> ModuleType:
    try:
        import pxr
        from pxr import Gf, Kind, Sdf, Tf, Usd, UsdGeom, UsdPhysics, UsdSemantics, UsdShade, UsdUtils, Vt
    except ImportError:
        raise InputError(f"usd: usd-core is not installed; {extra('usd')}") from None
    assert all((Gf, Kind, Sdf, Tf, Usd, UsdGeom, UsdPhysics, UsdSemantics, UsdShade, UsdUtils, Vt))
    return pxr


def _fill(usd: ModuleType, stage, mesh: Mesh, atlas: Atlas, names: list[str], labels: Mapping[str, np.ndarray]):
    """The stage's content; the textured mesh's prim."""
    usd.UsdGeom.SetStageUpAxis(stage, usd.UsdGeom.Tokens.z)
    usd.UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    root = usd.UsdGeom.Xform.Define(stage, _ROOT)
    stage.SetDefaultPrim(root.GetPrim())
    usd.Usd.ModelAPI(root.GetPrim()).SetKind(usd.Kind.Tokens.component)
    faces = np.sort(np.concatenate([np.flatnonzero(atlas.page >= 0), *(bare for _, bare in unpainted(mesh, atlas))]))
    prim = _geometry(usd, stage, mesh, atlas, faces)
    page = atlas.page[faces]
    called = page_materials(mesh.uv_map, atlas) if own_uvs(mesh, atlas) else [f"page {k}" for k in range(atlas.pages)]
    taken: set[str] = set()
    for number, (name, image) in enumerate(zip(called, names, strict=True)):
        own = _identifier(usd, name, taken)
        material = _material(usd, stage, f"{_ROOT}/Materials/{own}", image, atlas, number)
        material.GetPrim().SetDisplayName(name)
        subset = _subset(usd, prim, f"faces_{own}", page == number, usd.UsdShade.Tokens.materialBind)
        usd.UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(material)
    usd.UsdGeom.Subset.SetFamilyType(prim, usd.UsdShade.Tokens.materialBind, usd.UsdGeom.Tokens.nonOverlapping)
    for label, mask in labels.items():
        if mask[faces].any():
            subset = _subset(usd, prim, _identifier(usd, f"label_{label}", taken), mask[faces], "semantics")
            usd.UsdSemantics.LabelsAPI.Apply(subset.GetPrim(), "class").CreateLabelsAttr([label])
    return prim


def _shape(usd: ModuleType, stage, path: str, mesh: Mesh, faces: np.ndarray):
    """A mesh of some faces, without anything on it."""
    used, corners = np.unique(mesh.faces[faces], return_inverse=True)
    points = mesh.vertices[used] @ mesh.axis_alignment[:3, :3].T + mesh.axis_alignment[:3, 3]
    offset = far_offset(points[corners.reshape(-1, 3)])
    points = points - offset
    prim = usd.UsdGeom.Mesh.Define(stage, path)
    if offset.any():
        prim.AddTranslateOp().Set(usd.Gf.Vec3d(*offset.tolist()))
    vt = usd.Vt
    prim.CreatePointsAttr(vt.Vec3fArray.FromNumpy(points.astype(np.float32)))
    prim.CreateFaceVertexCountsAttr(vt.IntArray.FromNumpy(np.full(len(faces), 3, np.int32)))
    prim.CreateFaceVertexIndicesAttr(vt.IntArray.FromNumpy(corners.reshape(-1).astype(np.int32)))
    prim.CreateExtentAttr(vt.Vec3fArray.FromNumpy(np.stack([points.min(0), points.max(0)]).astype(np.float32)))
    prim.CreateSubdivisionSchemeAttr(usd.UsdGeom.Tokens.none)
    prim.CreateDoubleSidedAttr(True)  # a scan is one-sided sheets seen from anywhere
    return prim


def _collision(usd: ModuleType, stage, mesh: Mesh):
    prim = _shape(usd, stage, f"{_ROOT}/Collision", mesh, np.arange(len(mesh.faces)))
    prim.CreatePurposeAttr(usd.UsdGeom.Tokens.guide)
    return prim


def _collide(usd: ModuleType, prim) -> None:
    usd.UsdPhysics.CollisionAPI.Apply(prim.GetPrim())
    usd.UsdPhysics.MeshCollisionAPI.Apply(prim.GetPrim()).CreateApproximationAttr(usd.UsdPhysics.Tokens.none)


def _geometry(usd: ModuleType, stage, mesh: Mesh, atlas: Atlas, faces: np.ndarray):
    prim = _shape(usd, stage, f"{_ROOT}/Mesh", mesh, faces)
    vt = usd.Vt
    rows = np.maximum(atlas.faces[faces], 0).reshape(-1)
    primvar = usd.UsdGeom.PrimvarsAPI(prim).CreatePrimvar(
        "st", usd.Sdf.ValueTypeNames.TexCoord2fArray, usd.UsdGeom.Tokens.faceVarying
    )
    primvar.Set(vt.Vec2fArray.FromNumpy((atlas.uv + atlas.offsets()).astype(np.float32)))
    primvar.SetIndices(vt.IntArray.FromNumpy(rows.astype(np.int32)))
    return prim


def _material(usd: ModuleType, stage, path: str, image: str, atlas: Atlas, page: int):
    types = usd.Sdf.ValueTypeNames
    material = usd.UsdShade.Material.Define(stage, path)
    reader = usd.UsdShade.Shader.Define(stage, f"{path}/Coordinates")
    reader.CreateIdAttr("UsdPrimvarReader_float2")
    reader.CreateInput("varname", types.String).Set("st")
    texture = usd.UsdShade.Shader.Define(stage, f"{path}/Texture")
    texture.CreateIdAttr("UsdUVTexture")
    texture.CreateInput("file", types.Asset).Set(usd.Sdf.AssetPath(f"./{image}"))
    texture.CreateInput("st", types.Float2).ConnectToSource(reader.CreateOutput("result", types.Float2))
    texture.CreateInput("sourceColorSpace", types.Token).Set("sRGB")
    for axis in ("wrapS", "wrapT"):
        # Tiles lie one width apart: there, textures have to repeat.
        tiled = atlas.is_own and atlas.tiles[page, 1:].any()
        texture.CreateInput(axis, types.Token).Set("repeat" if tiled else "clamp")
    surface = usd.UsdShade.Shader.Define(stage, f"{path}/Surface")
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("emissiveColor", types.Color3f).ConnectToSource(texture.CreateOutput("rgb", types.Float3))
    surface.CreateInput("diffuseColor", types.Color3f).Set(usd.Gf.Vec3f(0))
    surface.CreateInput("useSpecularWorkflow", types.Int).Set(1)
    surface.CreateInput("specularColor", types.Color3f).Set(usd.Gf.Vec3f(0))
    surface.CreateInput("roughness", types.Float).Set(1.0)
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", types.Token))
    return material


def _subset(usd: ModuleType, prim, name: str, mask: np.ndarray, family: str):
    indices = usd.Vt.IntArray.FromNumpy(np.flatnonzero(mask).astype(np.int32))
    return usd.UsdGeom.Subset.CreateGeomSubset(prim, name, usd.UsdGeom.Tokens.face, indices, family)


def _identifier(usd: ModuleType, name: str, taken: set[str]) -> str:
    """A name as USD has them, once."""
    own = usd.Tf.MakeValidIdentifier(name)
    while own in taken:
        own += "_"
    taken.add(own)
    return own

"""Textures that take a few lines, each a process of its own for `bench_peers.py` to time: the mean colour of each
vertex, and Open3D's blend of all photos.

    python tools/peer_baselines.py mean SCENE OUTPUT 2048
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scenetex.scene.load import load_scene
from scenetex.scene.mesh import Mesh
from scenetex.scene.scene import Scene
from scenetex.texture.atlas import Atlas
from scenetex.texture.fill import diffuse, pad
from scenetex.texture.projection import Surface, aspect, photos, sample, sight
from scenetex.texture.texels import rasterize
from scenetex.texture.textured_mesh import TexturedMesh
from scenetex.texture.unwrap import unwrap
from scenetex.texture.working_frame import WorkingFrame
from scenetex.views.viewset import render_views

_KINDS = ("mean", "open3d")
_DEPTH_SHARE = 2  # photos over the depth maps that tell what they see


def main() -> None:
    """`peer_baselines.py KIND SCENE OUTPUT SIZE` writes `OUTPUT/textured.obj`."""
    if len(sys.argv) != 5 or sys.argv[1] not in _KINDS or not sys.argv[4].isdecimal():
        sys.exit("peer_baselines.py: needs a kind (mean or open3d), a scene, a folder and a size")
    kind, scene, output, size = sys.argv[1:]
    scene = load_scene(scene)
    atlas = unwrap(scene.mesh, int(size))
    paint = mean_of_vertices if kind == "mean" else blend_of_open3d
    pages = paint(scene, atlas)
    seen = tuple(np.ones(page.shape[:2], bool) for page in pages)
    TexturedMesh(scene.mesh, atlas, tuple(pages), seen).export(Path(output) / "textured.obj")


def mean_of_vertices(scene: Scene, atlas: Atlas) -> list[np.ndarray]:
    """Every vertex has the mean colour that the photos show of it, every face is a gradient between its corners."""
    ids = [frame.id for frame in scene.frames]
    pictures = [scene.frame(i).read_color() for i in ids]
    width, height = (side // _DEPTH_SHARE for side in (pictures[0].shape[1], pictures[0].shape[0]))
    views = render_views(scene, ids, (width, height))
    frame = WorkingFrame.of(scene.mesh, views)
    surface = Surface.of(frame.mesh(Mesh(scene.mesh.vertices, scene.mesh.faces)))
    total, count = np.zeros((len(scene.mesh.vertices), 3)), np.zeros(len(scene.mesh.vertices))
    for photo in photos(views, pictures, frame):
        at = aspect(surface, photo)
        seen = sight(photo, at.pixel, at.slack)
        total[seen.index] += sample(photo.image.astype(np.float32), seen.u, seen.v)
        count[seen.index] += 1
    mean = (total / np.maximum(count, 1)[:, None]).astype(np.float32)
    color = diffuse(scene.mesh.vertices, scene.mesh.faces, mean, count > 0).astype(np.float32)
    texels = rasterize(atlas)
    painted = texels.spread(np.rint(texels.interpolate(color[scene.mesh.faces])).clip(0, 255).astype(np.uint8), atlas)
    return [pad(page, mask) for page, mask in zip(painted, texels.charted(atlas), strict=True)]


def blend_of_open3d(scene: Scene, atlas: Atlas) -> list[np.ndarray]:
    """`project_images_to_albedo` in the layout of `unwrap`; Open3D paints one page."""
    import open3d

    faces = np.flatnonzero(atlas.page >= 0)
    mesh = open3d.t.geometry.TriangleMesh(
        open3d.core.Tensor(scene.mesh.vertices.astype(np.float32)),
        open3d.core.Tensor(scene.mesh.faces[faces].astype(np.int64)),
    )
    mesh.triangle["texture_uvs"] = open3d.core.Tensor(atlas.uv[atlas.faces[faces]].astype(np.float32))
    images = [open3d.t.geometry.Image(np.ascontiguousarray(frame.read_color())) for frame in scene.frames]
    intrinsics = [open3d.core.Tensor(frame.camera.intrinsics) for frame in scene.frames]
    poses = [open3d.core.Tensor(np.linalg.inv(frame.cam_to_world)) for frame in scene.frames]
    albedo = mesh.project_images_to_albedo(images, intrinsics, poses, atlas.size)
    return [np.asarray(albedo.as_tensor().numpy())[..., :3].astype(np.uint8)]


if __name__ == "__main__":
    main()

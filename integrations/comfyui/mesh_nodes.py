"""Nodes that paint the mesh, show it, and write it."""

import re
from pathlib import Path

import numpy as np

import scenetex
from scenetex.texture.render import render_many

from .image_nodes import PROMPT, SEED, STEPS, sampling
from .images import to_arrays, to_tensor
from .progress import bar

_FORMATS = ["glb", "obj", "ply", "usdz"]
_MOST_VIEWS = 40


class Bake:
    """Paints the views' images onto the mesh."""

    CATEGORY = "scenetex"
    FUNCTION = "bake"
    RETURN_TYPES = ("SCENETEX_MESH",)
    RETURN_NAMES = ("mesh",)

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        refine = {"default": False, "tooltip": "Refine cameras against photos, where that lowers the error"}
        return {
            "required": {
                "scene": ("SCENETEX_SCENE",),
                "views": ("SCENETEX_VIEWS",),
                "images": ("IMAGE",),
                "texture_size": ("INT", {"default": 2048, "min": 64, "max": 16384, "step": 64}),
                "uvs": (["new", "keep"], {"tooltip": "New texture coordinates, or those that the mesh brings"}),
                "refine_poses": ("BOOLEAN", refine),
            }
        }

    def bake(self, scene, views, images, texture_size: int, uvs: str, refine_poses: bool) -> tuple:
        layout = scenetex.Atlas.from_mesh if uvs == "keep" else scenetex.unwrap
        atlas = layout(scene.mesh, size=texture_size)
        pictures = to_arrays(images)
        return (scenetex.bake(scene.mesh, atlas, views, pictures, refine_poses=refine_poses, done=bar(len(pictures))),)


class Complete:
    """Has the model paint what no view saw; what was seen stays as it is."""

    CATEGORY = "scenetex"
    FUNCTION = "complete"
    RETURN_TYPES = ("SCENETEX_MESH", "IMAGE")
    RETURN_NAMES = ("mesh", "images")

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        most = {"default": _MOST_VIEWS, "min": 1, "max": 200, "tooltip": "Most further views"}
        return {
            "required": {
                "scene": ("SCENETEX_SCENE",),
                "mesh": ("SCENETEX_MESH",),
                "model": ("SCENETEX_MODEL",),
                "prompt": ("STRING", PROMPT | {"default": "", "tooltip": "Empty: what is painted speaks alone"}),
                "seed": ("INT", SEED),
                "steps": ("INT", STEPS),
                "width": ("INT", {"default": 256, "min": 16, "max": 4096, "step": 16}),
                "height": ("INT", {"default": 192, "min": 16, "max": 4096, "step": 16}),
                "most": ("INT", most),
            }
        }

    def complete(self, scene, mesh, model, prompt, seed, steps, width, height, most) -> tuple:
        done = scenetex.complete(
            scene, mesh, model, prompt, sampling(seed, steps), (width, height), most, done=bar(most)
        )
        nothing = [np.zeros((height, width, 3), np.uint8)]  # an IMAGE has at least one
        return done.mesh, to_tensor(done.images or nothing)


class Render:
    """Shows the textured mesh from views."""

    CATEGORY = "scenetex"
    FUNCTION = "render"
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("images",)

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {"mesh": ("SCENETEX_MESH",), "views": ("SCENETEX_VIEWS",)}}

    def render(self, mesh, views) -> tuple:
        return (to_tensor(list(render_many(mesh, views.intrinsics, views.cam_to_world, views.size))),)


class Export:
    """Writes the textured mesh into ComfyUI's output folder, under a number of its own. The name that comes out is what
    Preview 3D takes."""

    CATEGORY = "scenetex"
    FUNCTION = "export"
    RETURN_TYPES = ("STRING",)
    RETURN_NAMES = ("model_file",)
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        prefix = {"default": "scenetex/room", "tooltip": "Folder and name in ComfyUI's output folder"}
        return {
            "required": {
                "mesh": ("SCENETEX_MESH",),
                "filename_prefix": ("STRING", prefix),
                "format": (_FORMATS,),
            }
        }

    def export(self, mesh, filename_prefix: str, format: str) -> dict:
        root = _output_folder()
        path = _free_path(root, filename_prefix, format)
        path.parent.mkdir(parents=True, exist_ok=True)
        mesh.export(path)
        name = path.relative_to(root)
        shown = {"filename": name.name, "subfolder": name.parent.as_posix().strip("."), "type": "output"}
        return {"ui": {"3d": [shown]}, "result": (name.as_posix(),)}


def _output_folder() -> Path:
    """ComfyUI's; outside it, `output` in the working folder."""
    try:
        from folder_paths import get_output_directory
    except ImportError:
        return Path("output").absolute()
    return Path(get_output_directory()).absolute()


def _free_path(root: Path, prefix: str, suffix: str) -> Path:
    """The file with the next number, of all formats.

    Raises:
        InputError: a name that is none, or leads out of the folder.
    """
    parts = prefix.strip().replace("\\", "/").split("/")
    if any(part in ("", ".", "..") or re.search(r'[<>:"|?*\x00-\x1f]', part) for part in parts):
        raise scenetex.InputError(f"filename_prefix '{prefix}' is no name within the output folder; give one like room")
    folder, stem = root.joinpath(*parts[:-1]), parts[-1]
    found = re.compile(rf"{re.escape(stem)}_(\d{{5}})\.\w+")
    numbers = [int(match[1]) for file in folder.glob("*") if (match := found.fullmatch(file.name))]
    return folder / f"{stem}_{max(numbers, default=0) + 1:05d}.{suffix}"

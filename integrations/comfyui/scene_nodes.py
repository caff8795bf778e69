"""Nodes that read a scan and choose where to look at it from."""

import hashlib
import os
import warnings
from pathlib import Path

import scenetex

from .images import depth_image, to_tensor
from .progress import bar


class LoadScene:
    """Reads a scan: its mesh, cameras and photos. What does not fit is a warning in the log."""

    CATEGORY = "scenetex"
    FUNCTION = "load"
    RETURN_TYPES = ("SCENETEX_SCENE",)
    RETURN_NAMES = ("scene",)

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        path = {"default": "", "tooltip": "Folder of the scan: ScanNet, nerfstudio, COLMAP, Polycam, ..."}
        mesh = {"default": "", "tooltip": "Mesh file to paint in place of the scan's own; empty: the scan's own"}
        return {"required": {"path": ("STRING", path)}, "optional": {"mesh": ("STRING", mesh)}}

    @classmethod
    def VALIDATE_INPUTS(cls, path: str, mesh: str = "") -> bool | str:
        """True, or what is wrong in one line."""
        if not path.strip():
            return "path is empty; give the folder of a scan"
        gone = [name for name in (path.strip(), mesh.strip()) if name and ":" not in name and not Path(name).exists()]
        return f"{gone[0]}: no such file or folder; ComfyUI runs in {os.getcwd()}" if gone else True

    @classmethod
    def IS_CHANGED(cls, path: str, mesh: str = "") -> str:
        """Changes whenever a file of the scan does."""
        found = hashlib.sha256()
        for root in (Path(path.strip()), *([Path(mesh.strip())] if mesh.strip() else [])):
            files = sorted(root.rglob("*")) if root.is_dir() else [root]
            for file in (file for file in files if file.is_file()):
                about = file.stat()
                found.update(f"{file} {about.st_size} {about.st_mtime_ns}\n".encode(errors="surrogateescape"))
        return found.hexdigest()

    def load(self, path: str, mesh: str = "") -> tuple:
        scene = scenetex.load_scene(path.strip(), mesh=mesh.strip() or None)
        checks = scenetex.check_scene(scene)
        for finding in checks.findings:
            warnings.warn(f"{scene.name}: {finding.message}", scenetex.InputWarning, stacklevel=2)
        return (checks.scene,)


class Keyframes:
    """Chooses frames that see the scene together, and renders what they see. The depth images suit depth ControlNets:
    images of any of ComfyUI's models can be baked."""

    CATEGORY = "scenetex"
    FUNCTION = "choose"
    RETURN_TYPES = ("SCENETEX_VIEWS", "IMAGE")
    RETURN_NAMES = ("views", "depth")

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        count = {"default": 0, "min": 0, "max": 600, "tooltip": "How many; 0: as many as see the scene with overlap"}
        side = {"min": 16, "max": 4096, "step": 16}
        return {
            "required": {
                "scene": ("SCENETEX_SCENE",),
                "count": ("INT", count),
                "width": ("INT", side | {"default": 256}),
                "height": ("INT", side | {"default": 192}),
            }
        }

    def choose(self, scene, count: int, width: int, height: int) -> tuple:
        frames = scenetex.select_keyframes(scene, count or None)
        views = scenetex.render_views(scene, frames, (width, height), bar(len(frames)))
        return views, to_tensor([depth_image(depth) for depth in views.depth])

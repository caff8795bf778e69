"""scenetex in ComfyUI: nodes from a scan to a textured model. Put or link this folder into ``custom_nodes``."""

from .image_nodes import Generate, LoadModel, Photos
from .mesh_nodes import Bake, Complete, Export, Render
from .scene_nodes import Keyframes, LoadScene

NODE_CLASS_MAPPINGS = {
    "ScenetexLoadScene": LoadScene,
    "ScenetexKeyframes": Keyframes,
    "ScenetexLoadModel": LoadModel,
    "ScenetexGenerate": Generate,
    "ScenetexPhotos": Photos,
    "ScenetexBake": Bake,
    "ScenetexComplete": Complete,
    "ScenetexRender": Render,
    "ScenetexExport": Export,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "ScenetexLoadScene": "Load Scene (scenetex)",
    "ScenetexKeyframes": "Keyframes (scenetex)",
    "ScenetexLoadModel": "Load Model (scenetex)",
    "ScenetexGenerate": "Generate (scenetex)",
    "ScenetexPhotos": "Photos (scenetex)",
    "ScenetexBake": "Bake (scenetex)",
    "ScenetexComplete": "Complete (scenetex)",
    "ScenetexRender": "Render (scenetex)",
    "ScenetexExport": "Export (scenetex)",
}

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]

"""scenetex in Blender: a panel that runs the installed `scenetex` and shows what it makes."""

import bpy

from .operators import SCENETEX_OT_cancel, SCENETEX_OT_texture, stop
from .panel import SCENETEX_PT_texture
from .properties import Preferences, Settings

_CLASSES = (Settings, Preferences, SCENETEX_OT_texture, SCENETEX_OT_cancel, SCENETEX_PT_texture)


def register() -> None:
    """Called by Blender when the add-on is enabled."""
    for kind in _CLASSES:
        bpy.utils.register_class(kind)
    bpy.types.Scene.scenetex = bpy.props.PointerProperty(type=Settings)


def unregister() -> None:
    """Called by Blender when the add-on is disabled; a run at work is ended."""
    stop()
    del bpy.types.Scene.scenetex
    for kind in reversed(_CLASSES):
        bpy.utils.unregister_class(kind)

"""The panel in the sidebar of the 3D view (N), tab scenetex."""

import bpy

from .operators import current_job


class SCENETEX_PT_texture(bpy.types.Panel):
    """Options above, the button and its progress below."""

    bl_label = "scenetex"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "scenetex"

    def draw(self, context) -> None:
        layout, settings = self.layout, context.scene.scenetex
        layout.use_property_split = True
        layout.use_property_decorate = False
        _what(layout.column(), settings)
        _how(layout.column(), settings)
        job = current_job()
        if job is None:
            layout.operator("scenetex.texture", icon="BRUSH_DATA")
            return
        done = job.run.fraction
        layout.progress(factor=done, text=f"{job.run.stage} {done:.0%}" if done else job.run.stage)
        layout.operator("scenetex.cancel", icon="X")


def _what(column, settings) -> None:
    """Which surface, seen from where, painted with what."""
    column.row().prop(settings, "source", expand=True)
    if settings.source == "SCAN":
        column.prop(settings, "scan_folder")
    else:
        column.row().prop(settings, "cameras", expand=True)
        if settings.cameras == "PATH":
            column.prop(settings, "frame_step")
    column.row().prop(settings, "images", expand=True)
    column.prop(settings, "prompt")


def _how(column, settings) -> None:
    if settings.source == "SCENE":
        column.prop(settings, "keep_uvs")
    for name in ("complete", "only", "paint", "texture_size", "model", "seed", "steps", "image_size", "keyframes"):
        column.prop(settings, name)
    column.prop(settings, "device")
    column.prop(settings, "output")

"""Tasks of `blender_session` about cameras."""

import math
from importlib import import_module
from pathlib import Path

import bpy  # before the modules below, which come with it

# isort: split
import numpy as np
from blender_scene import ADDON, add_camera, box_room, setting
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Matrix, Vector


def cameras(options: dict) -> dict:
    """Cameras of all kinds in a scan, and where Blender says that they see some points."""
    scene, random = bpy.context.scene, np.random.default_rng(5)
    box_room()
    bpy.data.objects.remove(bpy.data.objects["Camera"])
    scene.unit_settings.scale_length = options["unit"]
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = options["resolution"]
    render.pixel_aspect_x, render.pixel_aspect_y = options["aspect"]
    scaled = bpy.data.objects.new("Scaled parent", None)
    bpy.context.collection.objects.link(scaled)
    scaled.scale, scaled.rotation_euler, scaled.location = (2.5, 2.5, 2.5), (0.3, 0.2, 1), (0.2, 0, 0.1)
    for i, fit in enumerate(("AUTO", "HORIZONTAL", "VERTICAL", "AUTO")):
        camera = add_camera(f"camera {i} é")
        data = camera.data
        data.sensor_fit, data.sensor_width, data.sensor_height = fit, 30 + i, 20 + 2 * i
        data.shift_x, data.shift_y, data.lens = 0.1 * i, -0.07 * i, 20 + 5 * i
        camera.location, camera.rotation_euler = random.uniform(-0.5, 0.5, 3), random.uniform(-3, 3, 3)
        camera.parent = scaled if i > 1 else None
    bpy.context.view_layer.update()
    found = []
    for camera in sorted((o for o in bpy.data.objects if o.type == "CAMERA"), key=lambda o: o.name):
        pose = Matrix(camera.matrix_world.normalized())
        for local in random.uniform((-1, -1, -6), (1, 1, -2), (20, 3)):
            point = pose @ Vector(local)
            at = world_to_camera_view(scene, camera, point)
            found.append([*(c * options["unit"] for c in point), at.x, at.y])
    setting(source="SCENE", cameras="ALL", images="PROMPT")
    parts = {name: import_module(f"{ADDON}.{name}") for name in ("cameras", "surface", "scan")}
    views = parts["cameras"].views_of(bpy.context, scene.scenetex)
    pieces = parts["surface"].pieces_of(bpy.context, True)
    parts["scan"].write_scan(Path(options["folder"]), pieces, views)
    return {"seen": np.array(found).reshape(len(views), 20, 5).tolist(), "size": views[0].size}


def silhouettes(options: dict) -> dict:
    """Which pixels of renders by Cycles show an object: the resolution is odd, and halved."""
    scene = bpy.context.scene
    bpy.ops.mesh.primitive_monkey_add(size=1)
    render, cycles = scene.render, scene.cycles
    render.engine, render.film_transparent, render.use_file_extension = "CYCLES", True, False
    render.resolution_x, render.resolution_y, render.resolution_percentage = 203, 151, 50
    render.pixel_aspect_x, render.pixel_aspect_y = 1, 1.4
    cycles.samples, cycles.pixel_filter_type, cycles.filter_width = 1, "BLACKMAN_HARRIS", 0.01
    cycles.use_denoising, cycles.max_bounces, render.threads_mode, render.threads = False, 0, "FIXED", 1
    files = []
    for i, fit in enumerate(("AUTO", "VERTICAL")):
        camera = add_camera(f"camera {i}")
        camera.data.sensor_fit, camera.data.lens, camera.data.shift_x, camera.data.shift_y = fit, 40, 0.1, -0.05
        camera.location = Matrix.Rotation(1.5 * i, 3, "Z") @ Vector((0, -2.5, 0.4))
        camera.rotation_euler = (math.radians(82), 0, 1.5 * i)
        scene.camera = camera
        render.filepath = f"{options['folder']}/{i}.png"
        bpy.ops.render.render(write_still=True)
        files.append(render.filepath)
    setting(source="SCENE", cameras="ALL", images="PROMPT")
    parts = {name: import_module(f"{ADDON}.{name}") for name in ("cameras", "surface", "scan")}
    pieces = parts["surface"].pieces_of(bpy.context, False)
    views = parts["cameras"].views_of(bpy.context, scene.scenetex)
    parts["scan"].write_scan(Path(options["folder"]) / "scan", pieces, views)
    return {"files": files}

"""What Blender does in tests of the add-on: run by a Python that has `bpy`, not by pytest's.

    python blender_session.py ZIP TASK OPTIONS

installs the add-on from its ZIP as Blender's users do, does a TASK (a function below) and prints what came of it as one
line of JSON, the last. OPTIONS are JSON.
"""

import json
import math
import os
import sys
import threading
import time
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path

import bpy  # before the modules below, which come with it

# isort: split
import addon_utils
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Matrix, Vector

ADDON = "bl_ext.user_default.scenetex"
TINY = {"seed": 3, "steps": 1, "image_size": "64x48", "keyframes": "2", "texture_size": 256}


def install(zip_file: str) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    addon_utils.enable("bl_pkg")
    bpy.ops.extensions.package_install_files(filepath=zip_file, repo="user_default", enable_on_install=True)


def box_room() -> None:
    """A box of two materials with its faces inwards, a table in it, and a camera that turns around."""
    bpy.ops.mesh.primitive_cube_add(size=1, location=(0, 0, 1.25))
    room = bpy.context.object
    room.name, room.scale = "Großer Raum", (4, 3, 2.5)
    room.data.flip_normals()
    for name in ("walls", "floor: oak"):
        room.data.materials.append(bpy.data.materials.new(name))
    room.data.polygons[4].material_index = 1
    bpy.ops.mesh.primitive_cube_add(size=0.6, location=(1, 0.5, 0.3))
    bpy.context.object.name = "Table"
    bpy.ops.object.select_all(action="DESELECT")
    camera = add_camera("Camera")
    camera.data.lens = 18
    bpy.context.scene.camera = camera
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 1, 61
    for frame, angle in ((1, 0), (61, 180)):
        camera.location, camera.rotation_euler = (-1, -0.4, 1.4), (math.radians(75), 0, math.radians(angle))
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_euler", frame=frame)


def add_camera(name: str) -> bpy.types.Object:
    camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    bpy.context.collection.objects.link(camera)
    return camera


def setting(**values) -> None:
    for name, value in values.items():
        setattr(bpy.context.scene.scenetex, name, value)


def program(path: str) -> None:
    bpy.context.preferences.addons[ADDON].preferences.program = path


def texture() -> str:
    """Runs the operator; "" or the line that it reports as an error."""
    try:
        return "" if bpy.ops.scenetex.texture() == {"FINISHED"} else "cancelled"
    except RuntimeError as error:
        return str(error).removeprefix("Error: ").strip()


def geometry(thing: bpy.types.Object) -> dict:
    mesh = thing.data
    return {
        "vertices": [list(v.co) for v in mesh.vertices],
        "faces": [list(p.vertices) for p in mesh.polygons],
        "uv": [list(e.vector) for e in mesh.uv_layers.active.uv],
        "materials": [m.name for m in mesh.materials if m],  # an empty slot may have come
    }


def images_of(thing: bpy.types.Object) -> list[dict]:
    found = []
    for slot in thing.material_slots:
        for node in slot.material.node_tree.nodes if slot.material and slot.material.node_tree else ():
            if node.type == "TEX_IMAGE":
                pixels = np.empty(math.prod((*node.image.size, 4)), np.float32)
                node.image.pixels.foreach_get(pixels)
                spread = float(pixels.reshape(-1, 4)[:, :3].std(0).mean())
                about = {"size": list(node.image.size), "spread": spread, "packed": bool(node.image.packed_file)}
                found.append(about | {"material": slot.material.name})
    return found


def operator(options: dict) -> dict:
    """The operator on a box room, from end to end."""
    box_room()
    program(options.pop("program"))
    bpy.context.scene.unit_settings.scale_length = options.pop("unit", 1.0)
    setting(source="SCENE", cameras="PATH", frame_step=10, prompt="a room with red brick walls", **TINY | options)
    before = {thing.name: geometry(thing) for thing in bpy.data.objects if thing.type == "MESH"}
    bounds = {thing.name: corners(thing) for thing in bpy.data.objects if thing.type == "MESH"}
    error = texture()
    after = {name: geometry(bpy.data.objects[name]) for name in before}
    new = [thing for thing in bpy.data.objects if thing.type == "MESH" and thing.name not in before]
    return {
        "error": error,
        "unchanged": before == after,
        "images": {thing.name: images_of(thing) for thing in bpy.data.objects if thing.type == "MESH"},
        "new": {thing.name: corners(thing) for thing in new},
        "bounds": bounds,
        "hidden": [name for name in before if bpy.data.objects[name].hide_get()],
        "frame": bpy.context.scene.frame_current,
    }


def corners(thing: bpy.types.Object) -> list[list[float]]:
    world = np.array([list(thing.matrix_world @ v.co) for v in thing.data.vertices])
    return [world.min(0).tolist(), world.max(0).tolist()]


def scan_folder(options: dict) -> dict:
    """The operator on a folder that lies somewhere, into which photos are painted."""
    program(options["program"])
    setting(source="SCAN", scan_folder=options["scan"], images="PHOTOS", **TINY | {"output": options["output"]})
    error = texture()
    return {"error": error, "images": {t.name: images_of(t) for t in bpy.data.objects if t.type == "MESH"}}


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


def photos(options: dict) -> dict:
    """Photos are the cameras' background images."""
    box_room()
    bpy.data.objects.remove(bpy.data.objects["Camera"])
    render = bpy.context.scene.render
    render.resolution_x, render.resolution_y = 64, 48
    for i, angle in enumerate((0, 90)):
        camera = add_camera(f"photo {i}")
        camera.data.lens, camera.location = 18, (-1, -0.4, 1.4)
        camera.rotation_euler = (math.radians(75), 0, math.radians(angle))
        image = bpy.data.images.new(f"photo {i}", 640, 480)
        image.generated_color = (0.9, 0.1 + 0.5 * i, 0.1, 1)
        image.filepath_raw, image.file_format = f"{options['output']}/{i}.png", "PNG"
        image.save()
        image.source = "FILE"
        background = camera.data.background_images.new()
        background.image, camera.data.show_background_images = image, True
    program(options["program"])
    setting(cameras="ALL", images="PHOTOS", keep_uvs=True, output=options["output"], **TINY | {"keyframes": "auto"})
    return {"error": texture(), "images": images_of(bpy.data.objects["Großer Raum"])}


def refusals(options: dict) -> dict:
    """What is said of what cannot work, by the case; nothing is loaded."""
    said = {}
    path = options["program"]
    setting(output=options["output"], **TINY)
    said["nothing in the scene"] = texture()
    program("/nowhere/scenetex")
    said["no such program"] = texture()
    program(__file__)
    said["no program"] = texture()
    program("")
    os.environ["PATH"] = ""
    said["none on the path"] = texture()
    program(path)
    said["no mesh"] = texture()
    bpy.ops.mesh.primitive_plane_add()
    plane = bpy.context.object
    said["no prompt"], setting_of = (texture(), bpy.context.scene.scenetex)
    setting_of.prompt = "a room"
    said["no camera"] = texture()
    setting(cameras="PATH")
    said["no active camera"] = texture()
    setting(cameras="SELECTED")
    said["none selected"] = texture()
    setting(cameras="ALL")
    camera = add_camera("my camera")
    camera.data.type = "ORTHO"
    said["orthographic"] = texture()
    camera.data.type, camera.scale = "PERSP", (-1, 1, 1)
    said["mirrored"] = texture()
    camera.scale, camera.location = (1, 1, 1), (0, 0, 3)
    setting(images="PHOTOS")
    said["no photos"] = texture()
    setting(images="PROMPT", keep_uvs=True)
    plane.data.uv_layers.remove(plane.data.uv_layers[0])
    plane.data.update_tag()
    said["no UVs"] = texture()
    plane.data.clear_geometry()
    said["no faces"] = texture()
    setting(source="SCAN")
    said["no folder"] = texture()
    setting(scan_folder="/nowhere/at all")
    said["folder not there"] = texture()
    setting(scan_folder=options["scan"], model="/nowhere/model")
    said["bad model"] = texture()
    setting(output=f"{__file__}/below")
    said["output in a file"] = texture()
    return {"said": said, "objects": [thing.name for thing in bpy.data.objects]}


def cancelled(options: dict) -> dict:
    """A run that is cancelled while it works; then another one is possible."""
    box_room()
    program(options["program"])
    setting(cameras="PATH", prompt="a room", output=options["output"], **TINY | {"steps": 1000})
    operators = import_module(f"{ADDON}.operators")
    seen = {}

    def cancel() -> None:
        while operators.current_job() is None:
            time.sleep(0.01)
        seen["twice"] = texture_elsewhere(operators)
        time.sleep(options["seconds"])
        operators.current_job().run.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    seen["error"] = texture()
    thread.join()
    return seen | {"job": operators.current_job() is not None, "objects": sorted(o.name for o in bpy.data.objects)}


def texture_elsewhere(operators) -> str:
    """What a second run, asked for while one is at work, says."""
    try:
        operators._start(bpy.context)
    except Exception as error:
        return str(error)
    return ""


def reload(options: dict) -> dict:
    """Disabled and enabled again: nothing is left behind, nothing is missing."""
    names = ("SCENETEX_OT_texture", "SCENETEX_OT_cancel", "SCENETEX_PT_texture")
    there = [[hasattr(bpy.types, name) for name in names] + [hasattr(bpy.types.Scene, "scenetex")]]
    for _ in range(2):
        addon_utils.disable(ADDON)
        there.append([hasattr(bpy.types, name) for name in names] + [hasattr(bpy.types.Scene, "scenetex")])
        addon_utils.enable(ADDON)
        there.append([hasattr(bpy.types, name) for name in names] + [hasattr(bpy.types.Scene, "scenetex")])
    return {"there": there}


if __name__ == "__main__":
    with redirect_stdout(sys.stderr):
        install(sys.argv[1])
        came = globals()[sys.argv[2]](json.loads(sys.argv[3]))
    print("\n" + json.dumps(came))

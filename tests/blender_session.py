"""What Blender does in tests of the add-on: run by a Python that has `bpy`, not by pytest's.

    python blender_session.py ZIP TASK OPTIONS

installs the add-on from its ZIP as Blender's users do, does a TASK (a function below, of `blender_cameras` or of
`blender_interface`) and prints what came of it as one line of JSON, the last. OPTIONS are JSON.
"""

import json
import math
import os
import subprocess
import sys
import threading
import time
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path

import bpy  # before the modules below, which come with it

# isort: split
import addon_utils
import blender_cameras
import blender_interface
from blender_scene import (
    ADDON,
    TINY,
    add_camera,
    box_room,
    corners,
    geometry,
    images_of,
    install,
    program,
    setting,
    texture,
)


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


def scan_folder(options: dict) -> dict:
    """The operator on a folder that lies somewhere, into which photos are painted."""
    program(options["program"])
    setting(source="SCAN", scan_folder=options["scan"], images="PHOTOS", **TINY | {"output": options["output"]})
    error = texture()
    return {"error": error, "images": {t.name: images_of(t) for t in bpy.data.objects if t.type == "MESH"}}


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
    import bl_pkg  # it comes with being enabled

    checker = Path(bl_pkg.__file__).parent / "cli" / "blender_ext.py"
    checked = subprocess.run([sys.executable, str(checker), "validate", sys.argv[1]], capture_output=True, text=True)
    return {"there": there, "checked": checked.stdout + checked.stderr}


TASKS = vars(blender_cameras) | vars(blender_interface) | globals()

if __name__ == "__main__":
    with redirect_stdout(sys.stderr):
        install(sys.argv[1])
        came = TASKS[sys.argv[2]](json.loads(sys.argv[3]))
    print("\n" + json.dumps(came))

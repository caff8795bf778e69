"""What tasks of `blender_session` share: the add-on installed, a room, settings, and what there is afterwards."""

import math

import bpy  # before the modules below, which come with it

# isort: split
import addon_utils
import numpy as np

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


def corners(thing: bpy.types.Object) -> list[list[float]]:
    world = np.array([list(thing.matrix_world @ v.co) for v in thing.data.vertices])
    return [world.min(0).tolist(), world.max(0).tolist()]

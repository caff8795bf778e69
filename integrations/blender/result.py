"""What scenetex made, brought into Blender."""

import re
from pathlib import Path

import bpy
import numpy as np

from .errors import AddonError
from .surface import Piece

_TILE = re.compile(r"(.*)\.(1\d\d\d)")


def result_folder(output: Path, said: list[str]) -> Path:
    """Where the result lies, as the last line that scenetex printed says.

    Raises:
        AddonError: it does not, or there is none.
    """
    for line in reversed(said):
        if line.startswith(str(output)):
            folder = output / line[len(str(output)) + 1 :].partition(": ")[0]
            if folder.is_dir():
                return folder
    raise AddonError(f"{output}: scenetex ended without a result here; look at its output in the console")


def import_model(context, folder: Path, hidden: list[str]) -> list[str]:
    """Imports the textured model, selected, in place of the objects `hidden`, which stay in the file; new names."""
    before = set(bpy.data.objects)
    if "FINISHED" not in bpy.ops.import_scene.gltf(filepath=str(folder / "textured.glb")):
        raise AddonError(f"{folder / 'textured.glb'}: Blender's glTF importer could not read it")
    for name in hidden:
        if thing := bpy.data.objects.get(name):
            thing.select_set(False)
            thing.hide_set(True)
            thing.hide_render = True
    return sorted(thing.name for thing in set(bpy.data.objects) - before)


def paint_objects(folder: Path, pieces: list[Piece]) -> list[str]:
    """Shows the painted pages on the objects that they were painted for, through their own UVs.

    The materials are the objects' own (slots linked to the object): those of the mesh stay as they are.

    Returns:
        The names of the materials.

    Raises:
        AddonError: an object is gone, or its slots are others than before.
    """
    pages = _pages(folder / "textured.mtl")
    made = []
    for piece in pieces:
        thing = bpy.data.objects.get(piece.object)
        slots = np.unique(piece.slot).tolist()
        if thing is None or (len(thing.material_slots) <= slots[-1] and slots != [0]):
            raise AddonError(f"'{piece.object}' is not what it was when scenetex began; its texture is in {folder}")
        if not thing.material_slots:
            thing.data.materials.append(None)
        for number in slots:
            tiles = pages.get(piece.material(number))
            if tiles is None:  # faces without area, or UVs, alone
                continue
            slot = thing.material_slots[number]
            name = slot.material.name if slot.material else piece.object
            material = _material(f"{name.removeprefix('scenetex ')}", _image(tiles), piece.uv_layer)
            slot.link = "OBJECT"
            slot.material = material
            made.append(material.name)
    return made


def _pages(library: Path) -> dict[str, dict[int, Path]]:
    """Images by the material and, of UDIM tiles, by their number; 1001 where there is but one."""
    pages: dict[str, dict[int, Path]] = {}
    name = ""
    for line in library.read_text(encoding="utf-8").splitlines():
        word, _, rest = line.partition(" ")
        if word == "newmtl":
            name = rest
        elif word == "map_Kd":
            tile = _TILE.fullmatch(name)
            pages.setdefault(tile[1] if tile else name, {})[int(tile[2]) if tile else 1001] = library.parent / rest
    return pages


def _image(tiles: dict[int, Path]) -> bpy.types.Image:
    """One image, kept in the .blend file: the folder may be that of another result soon."""
    first = min(tiles)
    if list(tiles) == [1001]:
        image = bpy.data.images.load(str(tiles[first]))
    else:
        image = _tiled(tiles)
    image.pack()
    return image


def _tiled(tiles: dict[int, Path]) -> bpy.types.Image:
    """UDIM tiles: Blender finds them by their numbers in one name."""
    pattern = tiles[min(tiles)].with_name("tile.<UDIM>.png")
    for number, path in tiles.items():
        pattern.with_name(f"tile.{number}.png").write_bytes(path.read_bytes())
    image = bpy.data.images.load(str(pattern.with_name(f"tile.{min(tiles)}.png")))
    image.source, image.filepath = "TILED", str(pattern)
    image.tiles[0].number = min(tiles)
    for number in sorted(tiles)[1:]:
        image.tiles.new(number)
    image.reload()
    return image


def _material(name: str, image: bpy.types.Image, uv_layer: str | None) -> bpy.types.Material:
    """A material that shows the image as it is: light and shade are painted already. It gives no light to others."""
    material = bpy.data.materials.new(f"scenetex {name}")
    material.use_nodes = True
    nodes, link = material.node_tree.nodes, material.node_tree.links.new
    nodes.clear()
    kinds = ("UVMap", "TexImage", "Emission", "BsdfTransparent", "LightPath", "MixShader", "OutputMaterial")
    uv, texture, emission, clear, path, mix, output = (nodes.new(f"ShaderNode{kind}") for kind in kinds)
    for i, node in enumerate((uv, texture, emission, mix, output)):
        node.location = (260 * i, 0)
    clear.location, path.location = (520, 150), (520, 520)
    uv.uv_map = uv_layer or ""
    texture.image = image
    link(uv.outputs["UV"], texture.inputs["Vector"])
    link(texture.outputs["Color"], emission.inputs["Color"])
    link(path.outputs["Is Camera Ray"], mix.inputs[0])
    link(clear.outputs[0], mix.inputs[1])
    link(emission.outputs[0], mix.inputs[2])
    link(mix.outputs[0], output.inputs["Surface"])
    nodes.active = texture
    return material

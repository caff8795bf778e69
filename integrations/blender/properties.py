"""What the panel asks for, kept in the .blend file; and where scenetex is, kept in the preferences."""

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty


class Settings(bpy.types.PropertyGroup):
    """Options of a run; those of ``scenetex texture`` have the same names."""

    source: EnumProperty(
        name="Paint",
        items=[
            ("SCENE", "This scene", "The selected meshes (all visible ones if none is), seen by the scene's cameras"),
            ("SCAN", "Scan folder", "A folder that scenetex reads: ScanNet, nerfstudio, COLMAP, Polycam, ..."),
        ],
    )
    scan_folder: StringProperty(name="Scan", subtype="DIR_PATH", description="Folder of the scan")
    cameras: EnumProperty(
        name="Cameras",
        items=[
            ("ALL", "All", "All cameras of the scene, where they are now"),
            ("SELECTED", "Selected", "The selected cameras, where they are now"),
            ("PATH", "Path", "The active camera, along the timeline"),
        ],
    )
    frame_step: IntProperty(name="Every", default=10, min=1, description="Take every so manieth frame of the timeline")
    images: EnumProperty(
        name="From",
        items=[
            ("PROMPT", "Prompt", "Images generated from a sentence"),
            ("PHOTOS", "Photos", "The scan's photos, or the background images of the scene's cameras"),
        ],
    )
    prompt: StringProperty(name="Prompt", description="What the room is to look like")
    model: StringProperty(name="Model", default="mini", description="mini, a model's folder, or its name on the Hub")
    device: StringProperty(name="Device", default="auto", description="auto, cpu, cuda, or cuda:N")
    seed: IntProperty(name="Seed", default=0, min=0, description="The same seed gives the same images")
    steps: IntProperty(name="Steps", default=0, min=0, description="Denoising steps; 0: the model's own number")
    image_size: StringProperty(
        name="Image size", default="auto", description="WIDTHxHEIGHT of generated images; auto: the camera's shape"
    )
    keyframes: StringProperty(
        name="Keyframes", default="auto", description="auto, all, a number, every:N, or numbers of frames like 0,3,6"
    )
    texture_size: IntProperty(name="Texture size", default=2048, min=64, max=16384, subtype="PIXEL")
    keep_uvs: BoolProperty(
        name="Keep UVs", description="Paint into the objects' own UV maps, and show the result on these objects"
    )
    complete: BoolProperty(name="Complete", description="Have the model paint what no image saw, too")
    only: StringProperty(
        name="Only",
        description="Paint these regions of the last result anew: floor; walls; ceiling; label:OBJECT",
    )
    paint: StringProperty(
        name="Regions", description="Prompts of single regions: floor: oak planks; label:Sofa: red leather"
    )
    output: StringProperty(
        name="Output",
        subtype="DIR_PATH",
        default="//scenetex",
        description="Folder for scans and results; beside a file not saved yet, Blender's temporary one",
    )


class Preferences(bpy.types.AddonPreferences):
    """Of the add-on."""

    bl_idname = __package__

    program: StringProperty(
        name="scenetex",
        subtype="FILE_PATH",
        description="The program scenetex, or the Python of its environment; empty: the one on the path",
    )

    def draw(self, context) -> None:
        self.layout.prop(self, "program")
        self.layout.label(text="Empty: the scenetex on the path. It has an environment of its own, not Blender's.")

"""What one texturing job is asked for: the options of ``scenetex texture``, which workers, Ray and digests consume."""

from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ..adapters import ADAPTER
from ..bundled import locate_model
from ..errors import InputError, extra
from ..limits import (
    BETWEEN,
    CLOSE_HOLES,
    DENSITY,
    DEVICE,
    FACES,
    GUIDANCE,
    IMAGE_SIZE,
    JOINT,
    KEYFRAMES,
    LODS,
    MESH_SCALE,
    NAME,
    PAINT,
    PROMPT,
    REGION,
    SEED,
    SEEDS,
    STEPS,
    TEXTURE,
    THREADS,
    TILE,
    UPSCALE,
    WORDS,
    Between,
    PathOrName,
    read_image_size,
    read_paint,
)
from ..sampling import SchedulerName
from ..texture.glb_compression import check_compression
from ..texture.ktx import check_ktx
from ..texture.unwrap import Packer
from .bake_stages import Uvs
from .generation import Generation
from .repainting import Repainting

FORMATS = ("glb", "obj", "ply", "usd", "usdz")
# Options that mean nothing to photos: whoever gives one wants generated images.
_GENERATING = ("prompt", "negative_prompt", "mvdiffusion_checkpoint", "controlnet", "lora", "reference")
_GENERATING += ("ip_adapter", "upscale", "upscale_tile")
# Options that say how and where to work, not what comes out.
_WORK = (
    "scenes",
    "list",
    "root",
    "allow_outside",
    "strict",
    "shard",
    "output",
    "name",
    "workers",
    "threads",
    "ray",
    "time_limit",
    "quiet",
    "seeds",
)


@dataclass(frozen=True)
class TextureOptions:
    """Textures scanned scenes from text or photos: mesh and camera trajectory in; GLB and OBJ with a UV atlas out."""

    output: Path
    """Folder for the results; each scene gets a folder of its name in it."""
    name: Annotated[str | None, NAME] = None
    """What to call this result: its folder is <scene>-<name>, beside those of other names and prompts."""
    scenes: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SCENE ...")] = ()
    """Scenes: ScanNet folders (extracted, or with .sens), or folders with transforms.json."""
    list: Path | None = None
    """Text file with one scene per line; names in the folder --root, if that is given."""
    root: Path | None = None
    """Folder of scenes: every folder in it is one, unless --list says which."""
    allow_outside: bool = False
    """Read files outside a scene's folder where names or symlinks in it lead there; for scenes you trust."""
    mesh: Path | None = None
    """Mesh file to paint in place of the scan's own, in the same frame: a retopologised one, say, with UVs."""
    mesh_scale: Annotated[float, MESH_SCALE] = 1.0
    """Factor on the mesh's vertices, not on the poses: 0.001 for a mesh in millimetres."""
    flip_faces: bool = False
    """Turn all faces of the mesh around, if they show the cameras their back."""
    close_holes: Annotated[float | None, CLOSE_HOLES] = None
    """Give holes of the mesh up to this size faces of their own: the largest distance across, in metres."""
    strict: bool = False
    """Take warnings of what does not fit (scenetex check) for errors, before anything is baked."""
    shard: str | None = None
    """I/N: only every Nth scene from the Ith on, I from 0 to N-1; for arrays of cluster jobs."""
    workers: Annotated[int, Between(0, 1024)] = 0
    """Processes that work on scenes side by side; 0: one scene after another, on all cores."""
    threads: Annotated[int | None, THREADS] = None
    """Most threads to compute with, in each process; default: all cores, with --workers one."""
    ray: str | None = None
    """Ray cluster to work on: its address, or local for one on this machine (extra [batch])."""
    time_limit: Annotated[float | None, Between(0, 1e9, ("least",))] = None
    """Seconds that a scene may take, loading a model not counted; a scene that takes longer has failed."""
    images: Literal["auto", "photos", "generated", "panorama"] = "auto"
    """What to paint with: the trajectory's own photos, or images generated from a prompt, for views along the
    trajectory or all around one point of it (panorama). Auto: generated if there is a prompt, else photos."""
    prompt: Annotated[str | None, PROMPT] = None
    """What the room is to look like."""
    negative_prompt: Annotated[str | None, WORDS] = None
    """What it is not to look like."""
    model: Annotated[str, PathOrName] = "mini"
    """Model that generates: a folder in diffusers layout or a Hub id."""
    mvdiffusion_checkpoint: Path | None = None
    """Released MVDiffusion weights (.ckpt or .safetensors) to use as the model's UNet."""
    controlnet: Annotated[str | None, PathOrName] = None
    """Depth ControlNet, folder or Hub id, for models that do not take depth."""
    lora: Annotated[tuple[str, ...], ADAPTER, tyro.conf.UseAppendAction] = ()
    """LoRA to add to the model: a folder, a .safetensors file or a Hub id, with a weight behind a colon if it is not 1:
    loras/oak:0.8. May be given several times (extra [lora])."""
    scheduler: SchedulerName = "default"
    """How noise is taken away: what a model or LoRA for few steps was made for (lcm, tcd, euler-trailing), or
    another. Default: the model's own."""
    reference: Path | None = None
    """Image that says what the whole scene is to look like; with --ip-adapter."""
    ip_adapter: Annotated[str | None, ADAPTER] = None
    """Weights that let the model look at that image: a folder, a file or a Hub id (h94/IP-Adapter), with a weight as
    for --lora; for Stable Diffusion 1.5 and XL."""
    keyframes: Annotated[str, KEYFRAMES] = "auto"
    """Frames to use: auto (photos: all, or of more than 120 as many as it takes to see each place eight times from
    nearby), all, a number, every:N, or ids like 0,16,32."""
    between: Annotated[int, BETWEEN] = 1
    """Views to generate between any two consecutive keyframes."""
    seed: Annotated[int, SEED] = 0
    """The same seed gives the same images, on as many threads."""
    seeds: Annotated[int | None, SEEDS] = None
    """Only compare: keyframes of so many seeds, from --seed on, in few --steps, on one sheet, seeds.png in the folder
    <scene>.seeds; --seed then textures with the one you choose."""
    device: Annotated[str, DEVICE] = "auto"
    """Where to generate: auto, cpu, cuda, or cuda:N for one of several GPUs."""
    steps: Annotated[int | None, STEPS] = None
    """Denoising steps; default: the model's own number."""
    guidance_scale: Annotated[float | None, GUIDANCE] = None
    """How closely to follow the prompt; 1 = no guidance; default: the model's own."""
    image_size: Annotated[str, IMAGE_SIZE] = "256x192"
    """Size of generated images, WIDTHxHEIGHT, pixels; the views of a panorama are square, as wide as that."""
    joint_views: Annotated[int, JOINT] = 16
    """Most views to generate at once; fewer need less memory."""
    correspondence: bool = True
    """Let the views attend to each other where they show the same surface."""
    shared_noise: bool = True
    """Start places that show the same surface from the same noise."""
    fusion: bool = True
    """Let views agree on their shared surface at each step; below two thirds of the noise, not on fine detail.
    Let larger images agree in everything."""
    upscale: Annotated[int, UPSCALE] = 1
    """Make the generated images this many times larger: what the model was trained for (4, say), or 1."""
    upscale_tile: Annotated[int | None, TILE] = None
    """Side of tiles to do that in, pixels; bounds the memory. Default: whole images."""
    complete: bool = False
    """Paint what no image saw, too, from further views: behind photos (--images photos if there is a --prompt), or
    behind generated images."""
    only: Annotated[tuple[str, ...], REGION, tyro.conf.UseAppendAction] = ()
    """Paint only this region anew: floor, walls, ceiling, label:NAME, instance:N, box:X0,Y0,Z0,X1,Y1,Z1, or a .npy file
    with a bool per face. All else stays, to the bit, as it is in the result that is there, or else in the photos. May
    be given several times."""
    keep: Annotated[tuple[str, ...], REGION, tyro.conf.UseAppendAction] = ()
    """Paint all but this region anew; may be given several times."""
    paint: Annotated[tuple[str, ...], PAINT, tyro.conf.UseAppendAction] = ()
    """A prompt for one region, 'floor: dark walnut planks'; without --prompt, only such regions are painted anew. May
    be given several times; where regions overlap, the last counts."""
    base: Path | None = None
    """Folder of the result that --only, --keep and --paint go on from; default: the one that is to be replaced."""
    refine_poses: bool = True
    """Refine camera poses, focal length and centre against the mesh where that lowers the error."""
    texture_size: Annotated[int | Literal["auto"], TEXTURE] = 2048
    """Side of a texture page, texels. Auto: what the images resolve on the surface, a power of two from 512 to 8192."""
    texels_per_metre: Annotated[float | None, DENSITY] = None
    """Texel density to keep, on as many pages as it takes; default: the highest that one page holds."""
    packer: Packer = "uvunwrap"
    """What cuts and packs the charts."""
    uvs: Uvs = "new"
    """Whose texture coordinates to paint into: new ones, or those that the mesh brings, and its materials, names and
    seams with them (keep). Auto: keep those that are sound, lay others out anew."""
    faces: Annotated[int | None, FACES] = None
    """Simplify the textured mesh to about so many faces (extra [lods]); its texture shows what the full one does."""
    lods: Annotated[int, LODS] = 0
    """Levels of detail below the full one, textured_lod1 and so on (extra [lods]): a tenth of the faces, then a quarter
    of those before with half the texels a side."""
    normal_maps: bool = False
    """Normal maps of what --faces and --lods take away; their GLBs are lit, then."""
    collision: bool = False
    """Write a mesh to collide with, collision.glb, and put it into USD (extra [lods])."""
    formats: str = "glb,obj"
    """What to write, comma-separated: glb, obj, ply (a colour for each vertex), usd, usdz (extra [usd])."""
    texture_format: Literal["jpeg", "png", "webp", "ktx2"] = "jpeg"
    """Texture inside the GLB; what shows webp has to know EXT_texture_webp, and ktx2 KHR_texture_basisu. ktx2 needs
    Khronos's program ktx."""
    compress: Literal["none", "draco", "meshopt"] = "none"
    """Compress the GLB's geometry (extra [compress]); what shows it has to know KHR_draco_mesh_compression (draco) or
    EXT_meshopt_compression (meshopt)."""
    preview: bool = True
    """Write preview.png, a contact sheet."""
    report: bool = False
    """Write report.html, the result in a viewer with its keyframes, and an index of all scenes."""
    align: bool = False
    """Apply the scene's axisAlignment to mesh and poses, so that the OBJ is gravity-aligned too."""
    quiet: bool = False
    """No progress bars."""

    def suffixes(self) -> tuple[str, ...]:
        """What `formats` lists. Raises InputError for what is not in `FORMATS`."""
        parts = tuple(part.strip().lower() for part in self.formats.split(",") if part.strip())
        for part in parts:
            if part not in FORMATS:
                raise InputError(f"--formats: '{part}' is not a format; choose from {','.join(FORMATS)}")
        if {"usd", "usdz"} & set(parts) and find_spec("pxr") is None:
            raise InputError(f"--formats: usd and usdz need usd-core; {extra('usd')}")
        if not parts:
            raise InputError(f"--formats is empty; choose from {','.join(FORMATS)}")
        return parts

    @property
    def source(self) -> str:
        """What to paint with first: "photos", "generated" or "panorama"."""
        if self.images == "auto":
            return "photos" if self.prompt is None or self.only or self.keep else "generated"
        return self.images

    def repainting(self) -> Repainting | None:
        """Which parts to paint anew; None where it is the whole scene, or nothing."""
        only, whole = self.only, self.images == "auto" and self.prompt is not None
        if not only and not whole and self.source == "photos":
            only = tuple(dict.fromkeys(read_paint(text, "--paint")[0] for text in self.paint))
        return Repainting(only, self.keep) if only or self.keep else None

    @property
    def panorama(self) -> bool:
        """Whether to generate the views of a panorama."""
        return self.source == "panorama"

    def generation(self) -> Generation | None:
        """How to generate, from the options of the same names; None where nothing is generated.

        Raises:
            InputError: options that do not go together, or are out of range.
        """
        repainting = self.repainting()
        if repainting and self.source != "photos":
            raise InputError(f"--only and --keep paint parts of a result anew; leave --images {self.images} out")
        if self.base is not None and repainting is None:
            raise InputError("--base: nothing is painted anew; name a region with --only, --keep or --paint")
        if self.source == "photos" and not self.complete and not repainting:
            for name in _GENERATING:
                if getattr(self, name) not in (None, 1, ()):
                    flag = f"--{name.replace('_', '-')}"
                    raise InputError(f"{flag} is for generated images; add --images generated, or panorama")
            return None
        if self.source == "photos" and self.upscale > 1:
            raise InputError("--upscale is for generated images of a whole scene; leave it out")
        if self.prompt is None and self.source != "photos":
            raise InputError(f"--images {self.images} needs a text; add --prompt '...'")
        read = {"image_size": read_image_size(self.image_size, "--image-size"), "panorama": self.panorama}
        # Where there are photos, what they show says enough.
        return Generation.of(vars(self) | read | {"prompt": self.prompt or ""})

    def settings(self) -> dict:
        """What decides on the result, ready for JSON."""
        given = {name: value for name, value in asdict(self).items() if name not in _WORK} | {"images": self.source}
        return {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}

    def result_name(self, scene: str) -> str:
        """The folder in `output` of a scene's result: the scene's name, and the result's own behind it."""
        return scene if self.name is None else f"{scene}-{self.name}"

    def inputs(self) -> tuple[Path, ...]:
        """Files and folders that are read beside the scenes; Hub ids look like such, but nothing lies there."""
        generation, files = self.generation(), (self.mvdiffusion_checkpoint, self.list, self.mesh)
        models = () if generation is None else (locate_model(self.model), self.controlnet, *generation.added_files)
        return tuple(Path(path) for path in (*models, *files) if path is not None)

    def check(self) -> None:
        """Raises InputError for options that do not go together."""
        self._check_glb("glb" in self.suffixes())
        self.generation()
        self._check_kept()
        self._check_size()
        self._check_seeds()

    def _check_glb(self, there: bool) -> None:
        """Raises InputError for what only a GLB can be, where none is asked for, and for what is not installed."""
        for flag, value in {"--compress": self.compress, "--texture-format": self.texture_format}.items():
            if value not in ("none", "jpeg") and not there:
                raise InputError(f"{flag} {value} is for GLB alone; add glb to --formats, or leave {flag} out")
        check_compression(self.compress, "--compress")
        if self.texture_format == "ktx2":
            check_ktx(None if self.texture_size == "auto" else self.texture_size, "--texture-format ktx2")

    def _check_kept(self) -> None:
        """Raises InputError for what changes a mesh that is to be kept as it is."""
        changing = {"close_holes": None, "texels_per_metre": None, "align": False, "faces": None}
        for name, usual in changing.items():
            if self.uvs != "new" and getattr(self, name) != usual:
                flag = f"--{name.replace('_', '-')}"
                raise InputError(f"--uvs {self.uvs} keeps the mesh as it is; leave {flag} out, or --uvs")
        if self.mesh is not None and (len(self.scenes) != 1 or self.list or self.root):
            raise InputError("--mesh is one scene's mesh; give that scene alone")

    def _check_size(self) -> None:
        """Raises InputError for sizes that do not go together, and for what is not installed."""
        if self.texture_size == "auto" and self.texels_per_metre is not None:
            raise InputError("--texture-size auto chooses the texel density; leave --texels-per-metre out, or auto")
        if self.faces is not None and self.repainting():
            raise InputError("--faces makes another mesh, of which no part can be painted anew; leave it out")
        simpler = {"--faces": self.faces, "--lods": self.lods, "--collision": self.collision}
        given = [flag for flag, value in simpler.items() if value]
        if self.normal_maps and not {"--faces", "--lods"} & {*given}:
            raise InputError("--normal-maps are of what --faces and --lods take away; add one of them")
        if given and find_spec("fast_simplification") is None:
            raise InputError(f"{given[0]} needs fast-simplification; {extra('lods')}")

    def _check_seeds(self) -> None:
        """Raises InputError where no seeds can be compared."""
        if self.seeds is None:
            return
        if self.prompt is None and self.source != "panorama":
            raise InputError("--seeds compares what a sentence makes of the scene; add --prompt '...'")
        if self.source != "generated":
            what = f"--images {self.images}" if self.images != "auto" else "--only and --keep"
            raise InputError(f"--seeds compares generated views along the trajectory; leave {what} out")
        if self.is_batch():
            raise InputError(
                "--seeds compares seeds for one scene; give that scene alone, without --workers and the like"
            )
        SEED.check(self.seed + self.seeds - 1, f"--seeds {self.seeds}: the last seed", whole=True)

    def is_batch(self) -> bool:
        """Whether a failure is recorded and the other scenes go on, or ends the command."""
        return (
            len(self.scenes) != 1
            or bool(self.workers)
            or any((self.list, self.root, self.shard, self.ray, self.time_limit))
        )

"""All stages in a row: a scene goes in, a textured mesh comes out."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from ..checks import Checks, check_scene, refuse, refuse_unseen
from ..errors import InputError, InputWarning
from ..limits import CLOSE_HOLES, DENSITY, KEYFRAMES, TEXTURE, check_prompt, checked
from ..process.threads import threads
from ..sampling import SchedulerName
from ..scene.holes import with_holes_closed
from ..scene.regions import find_regions
from ..scene.scene import Scene
from ..texture.refine import RefinedCameras
from ..texture.textured_mesh import TexturedMesh
from ..texture.unwrap import Packer
from ..views.viewset import ViewSet
from .bake_stages import Layout, Uvs, bake_stages, lay_out
from .completion import Completed
from .completion_stage import completion_stage
from .generation import Generation, generate_images
from .load_model import load_model
from .photo_stages import Made, frames_stage, photo_stages
from .repainting import Base, Region, Repainting, asked_for
from .stages import Stages, bars, silent
from .texture_size import TextureSize, chosen_size

if TYPE_CHECKING:
    from ..pipelines import ConsistentViews, MVDiffusionPanoramaPipeline, MVDiffusionPipeline

    Pipeline = MVDiffusionPipeline | MVDiffusionPanoramaPipeline | ConsistentViews


@dataclass(frozen=True, eq=False)
class Result:
    """What texturing a scene gives.

    Attributes:
        mesh: the textured mesh.
        views: the views that were baked, with refined cameras if refinement was worth it; coarser than the images.
        images: one (h, w, 3) uint8 image per view; photos, of one or several sizes, are read from their files when one
            is asked for (`Pictures`).
        keyframe: per view, whether it is a keyframe; generated views between keyframes are none.
        refinement: what refinement found, or None if it was not asked for.
        seconds: time spent per stage; unwrapping runs beside the stages before the bake.
        checks: what `check_scene` said of the scene.
        repainted: how parts were painted anew; None = none were.
        completed: how what no view saw was painted; None = it was filled in.

    Example:
        >>> import scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room")
        >>> result = scenetex.run_stages(scene, keyframes="2", texture_size=512, refine_poses=False)
        >>> len(result.images), result.keyframe, "paint" in result.seconds
        (2, (True, True), True)
    """

    mesh: TexturedMesh
    views: ViewSet
    images: Sequence[np.ndarray]
    keyframe: tuple[bool, ...]
    refinement: RefinedCameras | None
    seconds: dict[str, float] = field(default_factory=dict)
    checks: Checks | None = None
    repainted: Completed | None = None
    completed: Completed | None = None

    def __repr__(self) -> str:
        return f"Result({self.mesh!r}, {self.views!r})"


def texture_scene(
    scene: Scene,
    *,
    prompt: str | None = None,
    images: Literal["auto", "photos", "generated"] = "auto",
    complete: bool = False,
    only: Region = (),
    keep: Region = (),
    paint: Mapping[str, str] | None = None,
    base: TexturedMesh | None = None,
    negative_prompt: str | None = None,
    model: str = "mini",
    mvdiffusion_checkpoint: Path | None = None,
    controlnet: str | None = None,
    lora: Sequence[str] = (),
    scheduler: SchedulerName = "default",
    ip_adapter: str | None = None,
    reference: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    steps: int | None = None,
    guidance_scale: float | None = None,
    image_size: tuple[int, int] = (256, 192),
    correspondence: bool = True,
    shared_noise: bool = True,
    fusion: bool = True,
    between: int = 1,
    joint_views: int = 16,
    panorama: bool = False,
    upscale: int = 1,
    upscale_tile: int | None = None,
    keyframes: str = "auto",
    refine_poses: bool = True,
    texture_size: TextureSize = 2048,
    texels_per_metre: float | None = None,
    packer: Packer = "uvunwrap",
    uvs: Uvs = "new",
    close_holes: float | None = None,
    strict: bool = False,
    progress: bool = False,
    checks: Checks | None = None,
) -> TexturedMesh:
    """Textures a scene's mesh from its photos, or where there is a `prompt`, from generated images; or paints parts of
    it anew.

    What does not fit about the scene (`check_scene`) is an `InputWarning` each. Faces that turn their back to the
    cameras are turned around in the result. `run_stages` does the same and tells more of it.

    Args:
        scene: from `load_scene`.
        prompt: what the room is to look like; None = paint with the trajectory's own photos.
        images: what to paint with first: "photos", "generated", or "auto": generated images if there is a prompt, and
            nothing is painted anew, else photos.
        complete: paint what no image saw, too, from further views (`scenetex.complete`).
        only: paint these regions anew and leave all else as it is, to the bit: a name or several (see
            `scenetex.regions`; ``box:X0,Y0,Z0,X1,Y1,Z1`` or the path of a ``.npy`` file will do, too), or a mask (f,)
            bool per face of the mesh.
        keep: paint all but these anew.
        paint: prompts by region, on which the `prompt` does not act; without a prompt, only these regions are painted
            anew. Where they overlap, the last counts.
        base: what is painted anew in parts; None = what the photos give.
        negative_prompt: what it is not to look like.
        model: folder in diffusers layout or Hub id: Stable Diffusion with depth, or one with multi-view weights.
        mvdiffusion_checkpoint: released MVDiffusion weights to use as the model's UNet.
        controlnet: folder or Hub id of a depth ControlNet, for models that do not take depth.
        lora: LoRAs to add to the model, ``FOLDER-OR-HUB-ID[:WEIGHT]`` each (extra ``[lora]``).
        scheduler: "lcm", "tcd", "euler-trailing" and others in place of the model's own, which is the "default".
        ip_adapter: weights for image prompts, ``FOLDER-OR-HUB-ID[:WEIGHT]``, for Stable Diffusion 1.5 and XL.
        reference: image file that says what the whole scene is to look like; with `ip_adapter`.
        seed: 0 or more; the same seed gives the same images on as many threads of the same machine.
        device: where to generate: "auto", "cpu", "cuda", or "cuda:N" for one of several GPUs.
        steps: of the denoising; None = the model's own number.
        guidance_scale: how closely to follow the prompt, 1 = no guidance; None = the model's own.
        image_size: (width, height) of the generated images, pixels.
        correspondence: let the views attend to each other where they show the same surface.
        shared_noise: start places that show the same surface from the same noise.
        fusion: let views agree on their shared surface at each step.
        between: views to generate between any two consecutive keyframes.
        joint_views: most views to generate at once; fewer need less memory.
        panorama: generate the views of a panorama (square, as wide as `image_size`) from a point inside the scene,
            instead of views along its trajectory.
        upscale: how many times larger to make the generated images; 1 = leave them.
        upscale_tile: side of the tiles that this works on, pixels of the large images; None = whole images.
        keyframes: which frames: "auto" (photos: all, or of more than 120 as many as it takes to see each place eight
            times from nearby; generated: as many as see the scene with overlap), "all", a number, "every:N", or ids
            "0,16,32".
        refine_poses: refine cameras photometrically where that lowers the error enough; generated images need none.
        texture_size: side of a texture page, texels; "auto": what the images resolve, a power of two, 512 to 8192.
        texels_per_metre: density to keep, on as many pages as that takes; None = the highest that one page holds.
        packer: what cuts and packs the charts: "uvunwrap", or "xatlas" (extra ``[xatlas]``).
        uvs: "new" unwraps the mesh; "keep" paints into the texture coordinates that it brings (`Atlas.from_mesh`);
            "auto" keeps them if they are sound, and unwraps the mesh if they are not.
        close_holes: size, metres, of the largest holes that get faces of their own, as in `load_scene`; None = none do.
        strict: raise what does not look right about the scene as an `InputError`, before anything is generated.
        progress: show progress bars on stderr.
        checks: what `check_scene` said of the scene; None = it is asked.

    Raises:
        InputError: as in `run_stages`; options of generation where nothing is generated.

    Example:
        >>> import scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room")
        >>> room = scenetex.texture_scene(scene, keyframes="2", texture_size=512, refine_poses=False)
        >>> room.textures[0].shape
        (512, 512, 3)

        From a sentence, by the small model that comes with the package (one step is far too few, but quick):

        >>> room = scenetex.texture_scene(
        ...     scene, prompt="a bedroom with sage green walls", steps=1, image_size=(64, 48), keyframes="2", between=0,
        ...     texture_size=512, device="cpu",
        ... )
        >>> room.textures[0].shape
        (512, 512, 3)

        And then another floor:

        >>> other = scenetex.texture_scene(
        ...     scene, base=room, paint={"floor": "dark walnut planks"}, steps=1, image_size=(64, 48),
        ... )
        >>> floor = scenetex.regions(scene)["floor"]
        >>> bool((other.textures[0] != room.textures[0]).any())
        True
    """
    generating: dict[str, Any] = {
        "negative_prompt": negative_prompt,
        "model": model,
        "mvdiffusion_checkpoint": mvdiffusion_checkpoint,
        "controlnet": controlnet,
        "lora": lora if isinstance(lora, str) else tuple(lora),
        "scheduler": scheduler,
        "ip_adapter": ip_adapter,
        "reference": reference,
        "seed": seed,
        "device": device,
        "steps": steps,
        "guidance_scale": guidance_scale,
        "image_size": image_size,
        "correspondence": correspondence,
        "shared_noise": shared_noise,
        "fusion": fusion,
        "between": between,
        "joint_views": joint_views,
        "panorama": panorama,
        "upscale": upscale,
        "upscale_tile": upscale_tile,
    }
    paint = paint or {}
    whole = images == "generated" or (images == "auto" and prompt is not None)
    repainting, masks = asked_for(scene, only, keep, paint, whole)
    if images == "auto":
        images = "generated" if whole and not repainting else "photos"
    if images == "photos" and not complete and not repainting:
        usual = signature(texture_scene).parameters
        given = [name for name, value in sorted(generating.items()) if value != usual[name].default]
        if given or prompt is not None:
            said = f"{', '.join(given) or 'prompt'} given, but nothing is generated"
            raise InputError(f"texture_scene: {said}; add prompt='...', complete=True or only='...'")
        generation = None
    else:
        texts = tuple(f"{region}: {words}" for region, words in paint.items())
        generation = Generation.of({"prompt": prompt or "", "paint": texts, **generating})
    result = run_stages(
        scene,
        generation=generation,
        images=images,
        complete=complete,
        repainting=repainting,
        base=None if base is None else Base.of(base),
        regions=masks,
        keyframes=keyframes,
        refine_poses=refine_poses,
        texture_size=texture_size,
        texels_per_metre=texels_per_metre,
        packer=packer,
        uvs=uvs,
        close_holes=close_holes,
        strict=strict,
        progress=progress,
        checks=checks,
    )
    for finding in result.checks.findings if result.checks else ():
        warnings.warn(f"{scene.name}: {finding.message}", InputWarning, stacklevel=2)
    return result.mesh


@checked
def run_stages(
    scene: Scene,
    *,
    generation: Generation | None = None,
    images: Literal["photos", "generated"] | None = None,
    complete: bool = False,
    repainting: Repainting | None = None,
    base: Base | None = None,
    regions: Mapping[str, np.ndarray] | None = None,
    keyframes: Annotated[str, KEYFRAMES] = "auto",
    refine_poses: bool = True,
    texture_size: Annotated[TextureSize, TEXTURE] = 2048,
    texels_per_metre: Annotated[float | None, DENSITY] = None,
    packer: Packer = "uvunwrap",
    uvs: Uvs = "new",
    close_holes: Annotated[float | None, CLOSE_HOLES] = None,
    strict: bool = False,
    progress: bool = False,
    checks: Checks | None = None,
    stages: Stages | None = None,
    model: "Callable[[Generation], Pipeline]" = load_model,
) -> Result:
    """Runs scene -> keyframes -> views -> images -> atlas -> texture.

    Args:
        scene: from `load_scene`.
        generation: how to generate images; None = nothing is generated.
        images: what to paint with first, the trajectory's own photos or generated images; None = generated ones, if
            `generation` says how.
        complete: paint what none of these images saw from further views, by `generation`.
        repainting: what to paint anew, by `generation`.
        base: what is painted anew in parts; None = what `images` say.
        regions: (f,) bool per face of the mesh, the regions that `generation` and `repainting` name; those that are
            not there are looked up.
        keyframes: which frames: "auto" (photos: all, or of more than 120 as many as it takes to see each place eight
            times from nearby; generated: as many as see the scene with overlap), "all", a number, "every:N", or ids
            "0,16,32".
        refine_poses: refine cameras photometrically where that lowers the error enough; generated images need none.
        texture_size: as in `texture_scene`.
        texels_per_metre, packer: as in `unwrap`.
        uvs: as in `texture_scene`.
        close_holes: size, metres, of the largest holes that get faces of their own, as in `load_scene`; None = none do.
        strict: raise what does not look right about the scene as an `InputError`, before anything is generated.
        progress: show progress bars on stderr.
        checks: what `check_scene` says of the scene; default: it is asked.
        stages: shows and times the stages, and finds or keeps on disk what takes long; default: keeps nothing.
        model: loads the pipeline that generates; called only where images have to be generated.

    Raises:
        InputError: an option out of range, UVs that cannot be kept, a scene without photos, a photo that cannot be
            read, a trajectory that sees nothing of the mesh, a model that cannot be loaded; with
            `strict`, a scene that does not look right.

    Example:
        >>> import scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room")
        >>> result = scenetex.run_stages(scene, keyframes="0,12", texture_size=512, refine_poses=False)
        >>> result.views.frame_ids
        (0, 12)
    """
    stages = stages or Stages(bars if progress else silent)
    generated = images == "generated" or (images is None and generation is not None)
    _check_request(generation, generated, complete, repainting)
    checks = checks or run_checks(scene, stages, "auto" if generated else keyframes)
    if strict:
        refuse(checks)
    scene = checks.scene if close_holes is None else with_holes_closed(checks.scene, close_holes)
    regions = with_named(regions or {}, scene, generation, repainting)
    if repainting is not None:
        repainting.faces(regions)
    size = chosen_size(scene, texture_size, texels_per_metre, keyframes, generation if generated else None, uvs, stages)
    unwrapping = partial(lay_out, scene, stages, size, texels_per_metre, packer, uvs)
    wanted = [name for name, asked in (("repaint", repainting), ("complete", complete)) if asked]
    further: dict[str, Completed] = {}
    with _beside() as beside, stages.stage("total"):
        pipe = prepare_model(generation, stages, model, ["images"] if generated else wanted)
        if base is None:
            # uvunwrap works outside Python's lock: it has a core of its own while images are made and cameras refined.
            # What is to be kept is checked before the work.
            now = uvs == "keep"
            layout: Layout = unwrapping() if now else unwrapping if threads() == 1 else beside.submit(unwrapping)
            if generated and generation is not None:
                made: Made = make_images(scene, generation, keyframes, stages, pipe, progress, regions)
            else:
                made = photo_stages(scene, keyframes, refine_poses, stages)
            mesh = bake_stages(scene, layout, made, stages, generated)
        else:
            mesh, made = base.mesh, (base.views, base.images, base.keyframe, None)
        if wanted and generation is not None:
            along = replace(generation, panorama=False)
            pipe = pipe if along == generation else prepare_model(along, stages, model, wanted)
            for name in wanted:
                anew = repainting if name == "repaint" else None
                further[name] = completion_stage(scene, mesh, along, regions, stages, pipe, progress, anew)
                mesh = further[name].mesh
    return Result(mesh, *made, stages.seconds, checks, further.get("repaint"), further.get("complete"))


def _check_request(
    generation: Generation | None, generated: bool, complete: bool, repainting: Repainting | None
) -> None:
    """Raises InputError for what does not go together."""
    if generation is None:
        if generated or complete or repainting:
            raise InputError("run_stages: something is to be generated; say how with generation=Generation('...')")
    elif generated:
        check_prompt(generation.prompt, "prompt")
    elif not complete and not repainting:
        raise InputError("run_stages: photos are to be painted with, and nothing is generated; leave generation out")


def with_named(
    regions: Mapping[str, np.ndarray], scene: Scene, generation: Generation | None, repainting: Repainting | None
) -> dict[str, np.ndarray]:
    """Regions by name, and with them those that the request names; see `find_regions`."""
    named = [*(generation.named_regions if generation else ())]
    named += [*repainting.only, *repainting.keep] if repainting else []
    # Faces that close holes come last, and no mask that was given knows them.
    faces = len(scene.mesh.faces)
    regions = {name: np.pad(mask, (0, max(0, faces - len(mask)))) for name, mask in regions.items()}
    return {**regions, **find_regions(scene, dict.fromkeys(name for name in named if name not in regions))}


def run_checks(scene: Scene, stages: Stages, keyframes: str = "auto") -> Checks:
    """`check_scene` as a stage; what it finds is among the warnings of the run.

    Raises:
        InputError: no frame sees anything of the mesh: there is nothing to go on with.
    """
    with stages.stage("check"):
        checks = check_scene(scene, keyframes)
        refuse_unseen(checks)
    stages.warnings += [finding.message for finding in checks.findings]
    return checks


@contextmanager
def _beside() -> Iterator[ThreadPoolExecutor]:
    """A thread beside this one, which is waited for at the end, but not after Ctrl-C: unwrapping cannot be stopped."""
    pool = ThreadPoolExecutor(1)
    try:
        yield pool
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    except BaseException:
        pool.shutdown()
        raise
    pool.shutdown()


def prepare_model(
    generation: Generation | None,
    stages: Stages,
    model: "Callable[[Generation], Pipeline]",
    needed_for: Iterable[str] = ("images",),
) -> "Callable[[], Pipeline]":
    """What gives the pipeline; it is loaded right away, so that its errors come first, unless all outputs of the stages
    that need it are there."""

    @cache
    def pipe() -> "Pipeline":
        if generation is None:
            raise InputError("nothing is generated: there is no model")
        with stages.stage("model"):
            return model(generation)

    if generation is not None and not all(map(stages.has, needed_for)):
        pipe()
    return pipe


def make_images(
    scene: Scene,
    generation: Generation,
    keyframes: str,
    stages: Stages,
    pipe: "Callable[[], Pipeline]",
    progress: bool = False,
    regions: Mapping[str, np.ndarray] | None = None,
) -> Made:
    """Keyframes and what `generate_images` makes of them; `pipe` from `prepare_model`."""
    frame_ids = [] if generation.panorama else frames_stage(scene, keyframes, stages, photos=False)
    return *generate_images(pipe, scene, frame_ids, generation, stages, progress, regions), None

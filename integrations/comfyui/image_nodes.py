"""Nodes that give each view an image: its photo, or one that a model makes."""

import scenetex
from scenetex.job.generation import frames_between
from scenetex.job.load_model import load_model

from .images import to_tensor
from .progress import bar

PROMPT = {"multiline": True, "default": "a living room with yellow walls and a walnut plank floor"}
SEED = {"default": 0, "min": 0, "max": 0xFFFFFFFF}
STEPS = {"default": 0, "min": 0, "max": 1000, "tooltip": "Denoising steps; 0: the model's own number"}
GUIDANCE = {"default": 0.0, "min": 0.0, "max": 30.0, "step": 0.1, "tooltip": "1: none; 0: the model's own"}
JOINT = {"default": 16, "min": 4, "max": 256, "tooltip": "Most views to denoise at once; fewer need less memory"}


class LoadModel:
    """Loads a model that makes images of several views agree."""

    CATEGORY = "scenetex"
    FUNCTION = "load"
    RETURN_TYPES = ("SCENETEX_MODEL",)
    RETURN_NAMES = ("model",)

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        model = {"default": "mini", "tooltip": "mini, a folder in diffusers layout, or a name on the Hub"}
        controlnet = {"default": "", "tooltip": "Depth ControlNet for models that do not take depth"}
        return {
            "required": {"model": ("STRING", model), "device": (["auto", "cpu", "cuda"],)},
            "optional": {"controlnet": ("STRING", controlnet)},
        }

    def load(self, model: str, device: str, controlnet: str = "") -> tuple:
        wanted = {"model": model.strip(), "device": device, "controlnet": controlnet.strip() or None}
        pipe = load_model(scenetex.Generation("", **wanted))
        pipe.set_progress_bar_config(disable=True)
        return (pipe,)


class Generate:
    """Makes images of views from a prompt, and of views between them. They go with the views that come out."""

    CATEGORY = "scenetex"
    FUNCTION = "generate"
    RETURN_TYPES = ("SCENETEX_VIEWS", "IMAGE")
    RETURN_NAMES = ("views", "images")

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        between = {"default": 1, "min": 0, "max": 16, "tooltip": "Views between any two consecutive keyframes"}
        return {
            "required": {
                "scene": ("SCENETEX_SCENE",),
                "views": ("SCENETEX_VIEWS",),
                "model": ("SCENETEX_MODEL",),
                "prompt": ("STRING", PROMPT),
                "seed": ("INT", SEED),
                "steps": ("INT", STEPS),
                "guidance": ("FLOAT", GUIDANCE),
                "between": ("INT", between),
                "joint_views": ("INT", JOINT),
            },
            "optional": {"negative_prompt": ("STRING", {"multiline": True, "default": ""})},
        }

    def generate(
        self, scene, views, model, prompt, seed, steps, guidance, between, joint_views, negative_prompt=""
    ) -> tuple:
        if not prompt.strip():
            raise scenetex.InputError("prompt is empty; say what the room is to look like")
        told = {"prompt": prompt, "negative_prompt": negative_prompt or None, "joint_views": joint_views}
        chosen = sampling(seed, steps, guidance)
        images = _run(model, model, views, told, chosen)
        keys = views.frame_ids
        every = frames_between(scene, list(keys), between)
        if len(every) > len(keys):
            views = scenetex.render_views(scene, every, views.size)
            made = dict(zip(keys, images, strict=True))
            anchors = {"images": [made.get(frame) for frame in every]}
            images = _run(model, model.interpolate, views, told | anchors, chosen)
        return views, to_tensor(images)


def sampling(seed: int, steps: int, guidance: float = 0.0) -> scenetex.Sampling:
    """As the nodes have it: 0 is the model's own."""
    return scenetex.Sampling(seed=seed, steps=steps or None, guidance_scale=guidance or None)


def _run(model, call, views, told: dict, chosen: scenetex.Sampling):
    """(m, h, w, 3) float32 images of the views."""
    told = told | chosen.keywords()
    if isinstance(model, scenetex.MVDiffusionPipeline):
        windows = -(-len(views) // told["joint_views"])
        done = bar(windows * (chosen.steps or model.config.get("default_steps") or 20))

        def after_step(pipe, step, timestep, tensors) -> dict:
            done()
            return tensors

        told["callback_on_step_end"] = after_step
    return call(views=views, **told).images


class Photos:
    """The photos of views, as large as they are; views without lens distortion, as those are, too."""

    CATEGORY = "scenetex"
    FUNCTION = "read"
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("images",)

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {"scene": ("SCENETEX_SCENE",), "views": ("SCENETEX_VIEWS",)}}

    def read(self, scene, views) -> tuple:
        return (to_tensor([scene.frame(frame).read_color() for frame in views.frame_ids]),)

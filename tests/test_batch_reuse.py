"""A rerun comes to the same as a first run, whatever was changed in between: every option and every field of the input.

Options and fields are found by themselves. One that is added later is changed, too; a type that nobody has said how to
change makes the test fail.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import cv2
import numpy as np
import pytest
import tiny_pipeline
import tiny_scan

from scenetex import InputError, load_scene
from scenetex.batch import one_scene
from scenetex.files.manifest import MANIFEST
from scenetex.job.generation import Generation
from scenetex.job.options import TextureOptions
from scenetex.job.stages import Stages
from scenetex.sampling import Sampling
from scenetex.scene.holes import with_holes_closed
from scenetex.scene.scene import ClosedHoles, Scene
from scenetex.scene.uv_map import UvMap

COMMON = dict(texture_size=64, texels_per_metre=4.0, preview=False, formats="obj", quiet=True, device="cpu")
PHOTOS = TextureOptions(Path("out"), images="photos", keyframes="2,10", **COMMON)
GENERATED = dict(prompt="a red room", negative_prompt="blue", steps=1, guidance_scale=2.0, image_size="64x48", seed=1)
# Text that means something, by the option; other text gets a letter more.
TEXTS = {
    "keyframes": "2,100",
    "image_size": "64x64",
    "formats": "glb",
    "prompt": "a blue room",
    "negative_prompt": "red",
    "device": "nowhere",
}
GENERATING = {field.name for kind in (Generation, Sampling) for field in fields(kind)} | {"images", "keyframes"}
# They go on from the result that is there: a rerun is no first run. See test_job_repainting.
GOING_ON = ("only", "keep", "paint", "base")
PANORAMA = ("frames.id", "frames.cam_to_world", "frames.color.path")
RUNS = ("seconds", "reused", "notes", "peak_memory_mb", "key")  # of a report, what is of the run


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tiny_pipeline.make_pipeline(folder / "tokens").save_pretrained(folder / "tiny")
    return folder / "tiny"


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Scene:
    """A scene in which every field has a value."""
    poses = {i: tiny_scan.look(0.2 * k, (0.1 * k, 0, 0)) for k, i in enumerate((2, 10, 100))}
    folder = tiny_scan.write_extracted(tmp_path_factory.mktemp("scan") / "room", poses, info="sceneType = Kitchen\n")
    rng = np.random.default_rng(0)
    for photo in (folder / "color").iterdir():
        cv2.imwrite(str(photo), rng.integers(0, 256, (48, 64, 3), np.uint8))
        mask = np.full((48, 64), 255, np.uint8)
        mask[:20, : rng.integers(20, 50)] = 0
        (folder / "mask").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / "mask" / f"{photo.stem}.png"), mask)
    tiny_scan.write_ply(folder / "room_vh_clean_2.ply", faces=tiny_scan.ROOM_FACES[:, ::-1])
    found = load_scene(folder)
    frames = tuple(
        replace(f, color=_filled(f.color), depth=_filled(f.depth), mask=_filled(f.mask)) for f in found.frames
    )
    uv_map = UvMap.of(rng.random((len(found.mesh.vertices), 2)), found.mesh.faces)
    uv_map = replace(uv_map, kind=".obj", source=np.arange(3, dtype=np.uint8))
    mesh = replace(found.mesh, colors=np.full((len(found.mesh.vertices), 3), 90, np.uint8), uv_map=uv_map)
    closed = ClosedHoles(1, 2, 0, 0.5)
    return replace(
        found, mesh=mesh, frames=frames, skipped=(7,), without_photo=("color/8.jpg",), closed=closed, scan=mesh
    )


def _filled(image):
    size = image.path.stat().st_size
    return replace(image, length=size, size=(64, 48), distortion=(0.01, 0.0, 0.0, 0.0))


def other_option(options: TextureOptions, name: str, kind: object):
    """Another value of an option."""
    value = getattr(options, name)
    if get_origin(kind) is Literal:
        return next(choice for choice in get_args(kind) if choice not in (value, "auto"))
    if isinstance(value, str) and name == "model":
        return "mini"
    if isinstance(value, str):
        return TEXTS.get(name, value + "x")
    if value is None:
        (plain,) = [part for part in get_args(kind) if part is not type(None)]
        return {str: "nowhere", Path: Path("nowhere"), int: 64, float: 30.0}[plain]
    return other(value)


def other(value):
    """Another value of the same type. Raises TypeError for a type that nobody has thought of."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * 1.25 + 0.01
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, Path):
        return _another_file(value) if value.is_file() else value / "x"
    if isinstance(value, tuple):
        return tuple(other(part) for part in value) if value and not is_dataclass(value[0]) else (Path("x"),)
    if isinstance(value, np.ndarray):
        return _another_array(value)
    raise TypeError(f"{type(value).__name__}: say how to change it")


def _another_file(path: Path) -> Path:
    """An image with other pixels, as large in bytes: only what is in it differs."""
    copy = path.with_name(f"other{path.name}")
    data = path.read_bytes()
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    encoded = cv2.imencode(path.suffix, image[::-1])[1].tobytes()
    copy.write_bytes(encoded[: len(data)].ljust(len(data), b"\0"))
    return copy


def _another_array(value: np.ndarray) -> np.ndarray:
    if value.shape == (4, 4):  # a pose: a turn about x, and a step
        turn = np.eye(4)
        turn[1:3, 1:3] = [[0.96, -0.28], [0.28, 0.96]]
        turn[0, 3] = 0.1
        return value @ turn
    if np.issubdtype(value.dtype, np.floating):
        return value * 1.05
    return value[::-1].copy() if np.ptp(value) else value + 7


def changes(value, change: Callable = lambda changed: changed, path: str = "") -> Iterator[tuple[str, Callable]]:
    """For each field within a dataclass, its name and what makes the whole with another value of it; of tuples of
    dataclasses, for those of the second."""
    for field in fields(value):
        held = getattr(value, field.name)

        def put(changed, value=value, name=field.name, change=change):
            return change(replace(value, **{name: changed}))

        where = f"{path}{field.name}"
        if is_dataclass(held):
            yield from changes(held, put, f"{where}.")
        elif isinstance(held, tuple) and held and is_dataclass(held[0]):
            yield from changes(held[1], partial(_put_second, held, put), f"{where}.")
        elif held is None:
            pytest.fail(f"{where}: give it a value in the scene of this test, so that it can be changed")
        else:
            yield where, lambda held=held, put=put: put(other(held))


def _put_second(held: tuple, put: Callable, changed):
    return put((held[0], changed, *held[2:]))


def outcome(
    scene: Scene, options: TextureOptions, output: Path, monkeypatch, stages: Stages | None = None
) -> dict[str, bytes] | str:
    """All files of the result, without what tells of the run; or what was said instead of one."""

    def load(
        path: Path,
        align: bool,
        outside: bool,
        mesh: Path | None,
        mesh_scale: float,
        flip_faces: bool,
        close_holes: float | None,
    ) -> Scene:
        if mesh is not None:
            raise InputError(f"{mesh}: is not there")
        faces = scene.mesh.faces[:, ::-1] if flip_faces else scene.mesh.faces
        meant = replace(scene, mesh=replace(scene.mesh, vertices=scene.mesh.vertices * mesh_scale, faces=faces))
        meant = meant if close_holes is None else with_holes_closed(meant, close_holes)
        return meant.aligned() if align else meant

    monkeypatch.setattr(one_scene, "load_scene", load)
    monkeypatch.setattr("os.fsync", lambda handle: None)  # nobody cuts the power
    try:
        one_scene.process(Path("room"), replace(options, output=output), stages or Stages())
    except InputError as error:
        return str(error)
    folder = output / options.result_name(scene.name)
    found = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    report = json.loads(found.pop("report.json"))
    for name in (MANIFEST, "report.html"):  # the page tells seconds
        found.pop(name, None)
    return found | {"report": {name: report[name] for name in report if name not in RUNS}}


@pytest.fixture(scope="module", params=["photos", "generated", "panorama"])
def mode(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def options(mode, model) -> TextureOptions:
    small = {name: GENERATED[name] for name in ("steps", "image_size")}  # for what photos lack
    given = small if mode == "photos" else {"images": mode, **GENERATED}
    return replace(PHOTOS, model=str(model), **given)


@pytest.fixture
def same(scene, options, tmp_path, monkeypatch):
    """Asserts that a changed run comes to the same after one of the unchanged, and by itself."""
    first = outcome(scene, options, tmp_path / "first", monkeypatch)
    assert not isinstance(first, str), first
    differs = set()

    def check(name: str, scene: Scene, changed: TextureOptions) -> None:
        shutil.copytree(tmp_path / "first", tmp_path / "warm")
        stages = Stages()
        warm = cold = outcome(scene, changed, tmp_path / "warm", monkeypatch, stages)
        # A run that took nothing from the disk is a first run.
        if stages.reused or stages.cache is None:
            cold = outcome(scene, changed, tmp_path / "cold", monkeypatch)
        assert warm == cold, f"{name}: a rerun after the change comes to something else than a first run"
        if cold != first:
            differs.add(name)
        for run in ("warm", "cold"):
            shutil.rmtree(tmp_path / run, ignore_errors=True)

    check.differs = differs
    return check


def test_every_field_of_the_input_counts(scene, options, mode, same):
    found = dict(changes(scene))
    assert {
        "mesh.axis_alignment",
        "mesh.vertices",
        "mesh.faces",
        "mesh.colors",
        "frames.color.path",
        "frames.mask.path",
    } <= set(found)
    for name, change in found.items():
        # Keys do not tell views along the trajectory from those of a panorama: what it takes of frames is looked at.
        if mode != "panorama" or not name.startswith("frames.") or name in PANORAMA:
            same(name, change(), options)
    seen = {"mesh.vertices", "mesh.axis_alignment", "frames.cam_to_world"} - (
        {"frames.cam_to_world"} if mode == "panorama" else set()
    )
    seen |= {"frames.mask.path"} if mode == "photos" else set()
    assert seen <= same.differs, "the changes are large enough to be seen"


def test_every_option_counts(scene, options, mode, same):
    if mode == "panorama":
        pytest.skip("as for generated views")
    kinds = get_type_hints(TextureOptions)
    for field in fields(options):
        # Of an option that does not concern generation it suffices to look at photos.
        if field.name not in ("output", *GOING_ON) and (mode == "photos" or field.name in GENERATING):
            changed = replace(options, **{field.name: other_option(options, field.name, kinds[field.name])})
            same(field.name, scene, changed)
    assert ({"texture_size", "formats", "keyframes"} if mode == "photos" else {"prompt", "seed"}) <= same.differs

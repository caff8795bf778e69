"""One scene: what is found on disk is not made again, and what comes out is the same."""

import json

import numpy as np
import pytest
from batch_runs import left, partial, report, rooms, texture

from scenetex import InputError
from scenetex.batch import one_scene
from scenetex.job import bake_stages as pipeline
from scenetex.job.options import TextureOptions
from scenetex.job.stages import Stages
from scenetex.process.threads import threads

GENERATED = ("--images", "generated", "--image-size", "64x48", "--device", "cpu", "--keyframes", "2,100")


class PaintPot:
    """Stands for the pipeline: images of one colour that depends on the prompt; counts its calls."""

    unet = None

    def __init__(self):
        self.calls = []

    def set_progress_bar_config(self, **options): ...

    def save_memory(self, megabytes): ...

    def __call__(self, prompt, views, **options):
        self.calls.append((prompt, len(views), options["joint_views"]))
        height, width = views.depth.shape[1:]
        return type("Output", (), {"images": np.full((len(views), height, width, 3), len(prompt) / 256, np.float32)})

    def interpolate(self, prompt, views, images, **options):
        output = self(prompt, views, **options)
        for made, given in zip(output.images, images, strict=True):
            made[:] = made if given is None else given
        return output


@pytest.fixture
def pot(monkeypatch):
    """The model that every run of the test loads."""
    pot = PaintPot()
    pot.loaded = 0

    def load(generation):
        pot.loaded += 1
        return pot

    monkeypatch.setattr(one_scene, "_model", load)
    return pot


def test_another_prompt_does_not_unwrap_again(tmp_path, pot, monkeypatch):
    (scan,) = rooms(tmp_path / "scans", "room")
    out = tmp_path / "out"
    assert texture([scan], out, *GENERATED, "--prompt", "red") == 0
    assert report(out, "room")["reused"] == [] and pot.calls == [("red", 2, 16), ("red", 3, 16)]
    first = left(out)
    monkeypatch.setattr(pipeline, "unwrap", lambda *args, **kwargs: pytest.fail("unwrapped again"))
    assert texture([scan], out, *GENERATED, "--prompt", "a green room") == 0
    assert report(out, "room")["reused"] == ["keyframes", "unwrap"] and pot.loaded == 2
    assert left(out)["room/textured.png"] != first["room/textured.png"]
    monkeypatch.undo()


def test_what_is_there_needs_no_model(tmp_path, pot, capsys):
    (scan,) = rooms(tmp_path / "scans", "room")
    for _ in range(2):
        assert texture([scan], tmp_path / "out", *GENERATED, "--prompt", "red") == 0
    assert "already there" in capsys.readouterr().out and pot.loaded == 1
    # Other textures of the same images.
    assert texture([scan], tmp_path / "out", *GENERATED, "--prompt", "red", "--texture-size", "128") == 0
    assert report(tmp_path / "out", "room")["reused"] == ["images", "keyframes"] and pot.loaded == 1
    stages = {path.name.split("-")[0] for path in (tmp_path / "out" / ".stages" / "room").glob("*.npz")}
    assert stages == {"unwrap", "keyframes", "images"}, "the others are of no more use"


def test_keyframes_are_not_generated_twice(tmp_path, pot, monkeypatch):
    (scan,) = rooms(tmp_path / "scans", "room")

    def fails(*args, **kwargs):
        raise RuntimeError("the driver crashed")

    monkeypatch.setattr(PaintPot, "interpolate", fails)
    with pytest.raises(RuntimeError, match="driver"):
        texture([scan], tmp_path / "out", *GENERATED, "--prompt", "red")
    monkeypatch.undo()
    monkeypatch.setattr(one_scene, "_model", lambda generation: pot)
    assert texture([scan], tmp_path / "out", *GENERATED, "--prompt", "red") == 0
    assert [count for _, count, _ in pot.calls] == [2, 3], "two keyframes, then all three views"


def test_a_stage_that_is_damaged_is_made_again(tmp_path, pot):
    (scan,) = rooms(tmp_path / "scans", "room")
    options = (*GENERATED, "--prompt", "red", "--texture-size")
    assert texture([scan], tmp_path / "out", *options, "64") == 0
    for kept in (tmp_path / "out" / ".stages" / "room").glob("*.npz"):
        kept.write_bytes(kept.read_bytes()[:100])
    assert texture([scan], tmp_path / "out", *options, "128") == 0
    assert report(tmp_path / "out", "room")["reused"] == [] and pot.loaded == 2


def test_parts_leave_what_the_whole_finds(tmp_path, pot):
    (scan,) = rooms(tmp_path / "scans", "room")
    options = TextureOptions(
        output=tmp_path / "out", images="generated", prompt="red", image_size="64x48", texture_size=64, quiet=True
    )
    for part in ("layout", "images"):
        assert one_scene.process(scan, options, Stages(), part).state == "partly"
        assert not (tmp_path / "out" / "room").exists()
    assert one_scene.process(scan, options, Stages()).state == "done" and pot.loaded == 1
    assert {"unwrap", "images"} <= set(report(tmp_path / "out", "room")["reused"])
    assert one_scene.process(scan, options, Stages(), "layout").state == "kept"


def test_a_result_that_lacks_a_file_is_made_again(tmp_path):
    (scan,) = rooms(tmp_path / "scans", "room")
    assert texture([scan], tmp_path / "out") == 0
    first = left(tmp_path / "out")
    for damage in (lambda f: (f / "textured.png").unlink(), lambda f: (f / "report.json").write_text("[]")):
        damage(tmp_path / "out" / "room")
        assert texture([scan], tmp_path / "out") == 0
        assert left(tmp_path / "out") == first


def test_out_of_memory_is_tried_again_with_less_at_a_time(tmp_path, monkeypatch):
    limits = []
    monkeypatch.setattr("scenetex.process.threads._Limit.threads", 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def hungry(*args, **options):
        limits.append(threads())
        if len(limits) < 3:
            raise MemoryError
        return survey(*args, **options)

    survey = pipeline.survey
    monkeypatch.setattr(pipeline, "survey", hungry)
    (scan,) = rooms(tmp_path / "scans", "room")
    assert texture([scan], tmp_path / "out") == 0
    assert limits == [4, 2, 1]
    notes = report(tmp_path / "out", "room")["notes"]
    assert notes == ["out of memory in stage survey; tried again with half the threads"] * 2


def test_memory_that_never_suffices_is_one_line(tmp_path, monkeypatch, capsys):
    def hungry(*args, **options):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr("scenetex.process.threads._Limit.threads", 2)
    monkeypatch.setattr(pipeline, "paint", hungry)
    (scan,) = rooms(tmp_path / "scans", "room")
    assert texture([scan], tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "out of memory in stage paint; use fewer --workers" in said


def test_a_failure_that_cannot_be_recorded_is_still_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        one_scene, "output_folder", lambda *args, **kwargs: (_ for _ in ()).throw(InputError("no place"))
    )
    a, b = rooms(tmp_path / "scans", "a", "b")
    assert texture([a, b], tmp_path / "out") == 1
    assert "2 failed" in capsys.readouterr().out and not partial(tmp_path)


def test_somebody_elses_folder_of_failures_stays(tmp_path, capsys):
    a, b = rooms(tmp_path / "scans", "a", "b")
    mine = tmp_path / "out" / "a.failed"
    mine.mkdir(parents=True)
    (mine / "thesis.txt").write_text("years of work")
    assert texture([a, b], tmp_path / "out") == 0
    (a / "a_vh_clean_2.ply").write_bytes(b"")
    assert texture([a, b], tmp_path / "out") == 1
    assert [p.name for p in mine.iterdir()] == ["thesis.txt"]


def test_the_report_tells_what_came_from_disk(tmp_path):
    (scan,) = rooms(tmp_path / "scans", "room")
    assert texture([scan], tmp_path / "out") == 0
    first = json.loads((tmp_path / "out" / "room" / "report.json").read_text())
    assert texture([scan], tmp_path / "out", "--formats", "obj,ply") == 0
    second = report(tmp_path / "out", "room")
    assert second["reused"] == ["keyframes", "refine", "unwrap"] and second["key"] != first["key"]
    assert first["files"] == sorted([*first["files"]]) and "textured.obj" in first["files"]

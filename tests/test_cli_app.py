"""`scenetex app`: options and errors, what the page offers, and what its fields become; all of it without gradio."""

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_scan

from scenetex import InputError
from scenetex.app import offered
from scenetex.app.offered import SAMPLE, Offered
from scenetex.app.visit import Visit
from scenetex.app.wish import PHOTOS, Setup, Wish
from scenetex.batch.one_scene import process
from scenetex.cli import app
from scenetex.cli.app import AppOptions, main
from scenetex.job.options import TextureOptions
from scenetex.job.stages import Stages
from scenetex.process.environment import environment

ROOT = Path(__file__).resolve().parents[1]
REGIONS = ("floor", "walls", "label:sofa")


@pytest.fixture
def hidden(monkeypatch):
    """As where gradio is not installed."""
    monkeypatch.setattr(app, "find_spec", lambda name: None)


@pytest.fixture
def known(monkeypatch):
    """As where it is; it must not be needed to see what is wrong."""
    monkeypatch.setattr(app, "find_spec", lambda name: True)
    monkeypatch.setitem(sys.modules, "gradio", None)


def test_without_the_extra_it_says_how_to_get_it(hidden, capsys):
    assert main([]) == 2
    said = capsys.readouterr().err
    assert said.startswith("scenetex app: scenetex app needs gradio, which is not installed; pip install -c")
    assert '".[app]"' in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--port", "0"], "--port 0 is out of range"),
        (["--port", "http"], "--port 'http' is not understood"),
        (["--root", "nowhere"], "--root nowhere: cannot be read"),
        (["--root", "empty"], None),
        (["--device", "tpu"], "--device"),
        (["--threads", "0"], "--threads 0 is out of range"),
        (["--sheer"], "--sheer"),
    ],
)
def test_bad_options_are_a_line(options, says, known, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    if says is None:  # the sample room is offered all the same
        assert Offered(Path("empty")).names() == [SAMPLE]
        return
    assert main(options) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1


def test_ports_and_hosts():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert app._free_port("127.0.0.1", port) > port, "the next free one"
    with pytest.raises(InputError, match="--host no such host: is no address"):
        app._free_port("no such host", 7860)
    with pytest.raises(InputError, match=r"--host 203\.0\.113\.7: no port from 7860 on can be used"):
        app._free_port("203.0.113.7", 7860)


def test_it_is_for_this_machine_alone_unless_somebody_says_otherwise():
    options = AppOptions()
    assert (options.host, options.share, options.model, options.root) == ("127.0.0.1", False, "mini", None)


def test_what_gradio_is_told_is_taken_back(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "True")
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    with environment(app._told_to_gradio(tmp_path)):
        assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
        assert os.environ["GRADIO_TEMP_DIR"].startswith(str(tmp_path))
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "True" and "GRADIO_TEMP_DIR" not in os.environ


def test_the_command_loads_neither_gradio_nor_torch_for_its_help():
    said = "import sys; from scenetex.cli.app import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    said += "assert not {'gradio', 'torch'} & {*sys.modules}"
    there = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    subprocess.run([sys.executable, "-c", said], check=True, env=there, capture_output=True)


class TestOffered:
    @pytest.fixture
    def offered(self, tmp_path) -> Offered:
        (tmp_path / "elsewhere" / "secret").mkdir(parents=True)
        for name in ("kitchen", "flat/bedroom", ".hidden"):
            (tmp_path / "scans" / name).mkdir(parents=True)
        (tmp_path / "scans" / "link").symlink_to(tmp_path / "elsewhere")
        return Offered(tmp_path / "scans")

    def test_folders_are_offered_by_name(self, offered):
        assert offered.names() == [SAMPLE, "flat", "kitchen", "link"]
        assert offered.path("flat/bedroom") == offered.root / "flat" / "bedroom"
        assert offered.path(SAMPLE) == ROOT / "scenes" / "sample_room"

    @pytest.mark.parametrize(
        "name", ["..", "../elsewhere", "link", "link/secret", "/etc", "kitchen/../../elsewhere", "a\0b", "~", "none"]
    )
    def test_nothing_else_is(self, offered, name):
        with pytest.raises(InputError, match="offered here"):
            offered.path(name)

    @pytest.mark.parametrize("name", ["kitchen", "/etc", ".", ""])
    def test_without_a_root_only_the_sample_room_is(self, name):
        assert Offered().names() == [SAMPLE]
        with pytest.raises(InputError, match="is not offered here"):
            Offered().path(name)


class TestSampleRoomElsewhere:
    """Where the package is installed, there is no copy of the repository."""

    @pytest.fixture
    def made(self, monkeypatch) -> list[Path]:
        """The folders that it is made in; what is made is small."""
        folders: list[Path] = []

        def make(folder: Path) -> None:
            folders.append(folder)
            tiny_scan.write_extracted(folder)

        monkeypatch.setattr(offered, "find_sample_room", lambda: None)
        monkeypatch.setattr(offered, "make_sample_room", make)
        return folders

    def test_it_is_made_once_and_only_when_somebody_looks_at_it(self, tmp_path, made):
        here = Offered(home=tmp_path)
        assert here.names() == [SAMPLE] and made == []
        visit = Visit.of(tmp_path / "visits", "a", here)
        assert visit.look(SAMPLE)[0] == "10 faces, 3 frames, 3 photos"
        assert here.path(SAMPLE) == tmp_path / "sample_room" and made == [tmp_path / "sample_room"]
        visit.end()
        assert here.path(SAMPLE).is_dir(), "it is nobody's own"

    def test_without_a_folder_it_is_not_offered(self, made):
        assert Offered().names() == []
        with pytest.raises(InputError, match="is not offered here"):
            Offered().path(SAMPLE)


class TestWish:
    def options(self, **wish) -> TextureOptions:
        return Wish(**wish).options(Path("out"), Setup(), REGIONS)

    def test_a_sentence_generates_and_photos_do_not(self):
        options = self.options(prompt=" a red room ", views=3, steps=4, seed=5, texture_size=512, image_size="64x48")
        assert options.source == "generated" and options.prompt == "a red room" and options.keyframes == "3"
        assert options.generation().sampling.steps == 4 and options.generation().sampling.seed == 5
        assert self.options(source=PHOTOS).generation() is None
        assert self.options(source=PHOTOS, complete=True).source == "photos"
        assert self.options(prompt="red").keyframes == "auto" and self.options(prompt="red").steps is None
        assert self.options(prompt="red", texture_size=" 512 ").texture_size == 512
        assert self.options(prompt="red", texture_size="auto").texture_size == "auto"

    def test_regions_go_on_from_what_is_there(self):
        options = self.options(paint="floor: oak planks\n\n label:sofa: red \n")
        assert options.paint == ("floor: oak planks", "label:sofa: red")
        assert options.repainting().only == ("floor", "label:sofa") and options.source == "photos"
        assert self.options(only=("floor",), prompt="oak").repainting().only == ("floor",)
        assert self.options(prompt="a room", paint="floor: oak").repainting() is None, "the whole is generated"
        assert self.options(only=("box:0,0,0,1,1,1",)).repainting()

    @pytest.mark.parametrize(
        ("wish", "says"),
        [
            ({}, "no sentence"),
            ({"prompt": "  "}, "no sentence"),
            ({"source": PHOTOS, "prompt": "red"}, "a sentence, but 'its photos' are chosen"),
            ({"paint": "floor"}, "region 'floor' is not understood"),
            ({"paint": "sky: blue"}, "region 'sky' is not in this scan; it has floor, label:sofa, walls"),
            ({"only": ("/etc/mask.npy",)}, "is not in this scan"),
            ({"paint": "/etc/mask.npy: red"}, "is not in this scan"),
            ({"prompt": "red", "steps": 5000}, "--steps 5000 is out of range"),
            ({"prompt": "red", "seed": -1}, "--seed -1 is out of range"),
            ({"prompt": "red", "texture_size": 10**6}, "--texture-size 1000000 is out of range"),
            ({"prompt": "red", "texture_size": "large"}, "--texture-size"),
            ({"prompt": "red", "texture_size": ""}, "--texture-size"),
            ({"prompt": "red", "image_size": "huge"}, "--image-size 'huge'"),
            ({"prompt": "red", "views": -1}, "--keyframes"),
        ],
    )
    def test_what_does_not_go_together_is_a_line(self, wish, says):
        with pytest.raises(InputError, match=says) as error:
            self.options(**wish)
        assert "\n" not in str(error.value)


class TestVisit:
    @pytest.mark.parametrize("session", ["../../up", "/etc", "", "a\0b", "x" * 9999, "\ud800"])
    def test_browsers_do_not_choose_folders(self, tmp_path, session):
        assert Visit.of(tmp_path, session, Offered()).home.parent == tmp_path

    def test_two_visitors_share_nothing_and_scans_of_one_name_neither(self, tmp_path):
        one, two = (Visit.of(tmp_path, session, Offered()) for session in "ab")
        assert one.home != two.home
        one.dropped.update({"room (dropped)": tmp_path / "a" / "room", "room (dropped, 2)": tmp_path / "b" / "room"})
        assert one.output("room (dropped)") != one.output("room (dropped, 2)")
        with pytest.raises(InputError):
            two.path("room (dropped)")

    def test_a_result_is_shown_and_handed_out(self, tmp_path):
        (tmp_path / "home").mkdir()
        scan = tiny_scan.write_extracted(tmp_path / "home" / "scans" / "room")
        tiny_scan.write_ply(next(scan.glob("*.ply")), faces=tiny_scan.ROOM_FACES[:, ::-1])
        visit = Visit(tmp_path / "home", Offered(), {"mine": scan})
        assert visit.look("mine")[0] == "10 faces, 3 frames, 3 photos"
        options = Wish(source=PHOTOS, texture_size=64, views=2).options(visit.output("mine"), Setup(), ())
        shown = visit.show("mine", process(scan, options, Stages()))
        assert shown.glb.read_bytes()[:4] == b"glTF" and shown.obj.stat().st_size > 100
        assert "<canvas" in shown.page and "</html>" in shown.page
        assert len(shown.images) == 2 and all(Path(path).is_file() for path, _ in shown.images)
        assert shown.said.startswith("room: 10 faces, 2 photos") and str(tmp_path) not in shown.said
        assert visit.plain(InputError(f"{scan}/x.ply: is\nbroken")) == "scans/room/x.ply: is broken"
        visit.end()
        assert not visit.home.exists()


@pytest.mark.skipif(importlib.util.find_spec("gradio") is not None, reason="gradio is here")
def test_the_command_without_gradio_is_one_line(capsys):
    assert main(["--no-open"]) == 2 and capsys.readouterr().err.count("\n") == 1

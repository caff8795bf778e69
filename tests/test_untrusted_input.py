"""What others name does not lead out of the folders it belongs in, and models and checkpoints run no code."""

import json
import os
import pickle
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tiny_scan
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scenetex import InputError, MVDiffusionPipeline, load_scene
from scenetex.batch.scenes import find_scenes
from scenetex.cli.texture import main as texture
from scenetex.job.stage_cache import StageCache
from scenetex.scene.load import scene_name
from scenetex.scene.mesh_file import read_mesh

OPENED: list[str] | None = None


PATHS = {"open": 1, "os.mkdir": 1, "os.remove": 1, "os.rmdir": 1, "os.rename": 2, "os.symlink": 2}  # of each event


def _watch(event: str, arguments: tuple) -> None:
    if OPENED is not None and event in PATHS:
        OPENED.extend(str(a) for a in arguments[: PATHS[event]] if isinstance(a, str | os.PathLike))


sys.addaudithook(_watch)  # it stays for good, and does nothing while `OPENED` is None


@pytest.fixture
def opened():
    """Paths that are opened, made or moved by anyone in this process while the test runs."""
    global OPENED
    OPENED = []
    yield OPENED
    OPENED = None


def outside(paths: list[str], *folders: Path) -> list[str]:
    """Those that lie in none of the folders; what Python and its libraries read of themselves does not count."""
    own = (sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parents[1]), "/dev/", "/proc/", "/sys/", "/usr/")
    roots = tuple(str(folder.resolve()) + "/" for folder in folders)
    full = {os.path.realpath(path) for path in paths}
    return sorted(path for path in full if not (path + "/").startswith((*roots, *own)))


OBJ = "mtllib {0}\nusemtl {0}\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


@pytest.mark.parametrize("name", ["../secret.mtl", "/etc/passwd", "secret.mtl", "http://localhost/x.mtl"])
def test_materials_are_never_opened(tmp_path, opened, name):
    folder = tmp_path / "scan"
    folder.mkdir()
    for place in (tmp_path, folder):
        (place / "secret.mtl").write_text("newmtl a\nmap_Kd /etc/hostname\n")
    (folder / "mesh.obj").write_text(OBJ.format(name))
    opened.clear()
    assert len(read_mesh(folder / "mesh.obj").faces) == 1
    assert opened == [str(folder / "mesh.obj")]


@pytest.mark.parametrize("uri", ["../secret.bin", "/etc/passwd", "secret.bin", "data:application/octet-stream,"])
def test_glb_refers_to_nothing(tmp_path, opened, uri):
    import trimesh

    data = trimesh.Scene(trimesh.creation.box()).export(file_type="glb")
    length = int.from_bytes(data[12:16], "little")
    tree = json.loads(data[20 : 20 + length])
    images = tree | {"images": [{"uri": uri}], "textures": [{"source": 0}], "materials": [{"emissiveTexture": 0}]}
    buffers = tree | {"buffers": [tree["buffers"][0] | {"uri": uri}]}
    for changed, refused in ((images, False), (buffers, True)):
        text = json.dumps(changed).encode()
        text += b" " * (-len(text) % 4)
        rest = text + data[20 + length :]
        head = b"glTF" + b"".join(n.to_bytes(4, "little") for n in (2, 20 + len(rest), len(text))) + b"JSON"
        (tmp_path / "mesh.glb").write_bytes(head + rest)
        opened.clear()
        if refused:
            with pytest.raises(InputError, match="refers to other files"):
                read_mesh(tmp_path / "mesh.glb")
        else:
            assert len(read_mesh(tmp_path / "mesh.glb").faces) == 12
        assert not outside(opened, tmp_path) and not [path for path in opened if "secret" in path]


@pytest.mark.parametrize("name", ["..", ".", "../..", "a/..", "../b/.", "x/../..", "/", "room/", "a.sens", "x.json/.."])
def test_a_scenes_name_is_one_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    found = scene_name(name)
    assert found not in ("", ".", "..") and "/" not in found and "\0" not in found


@settings(max_examples=300)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_scenes_name_is_one_name(text):
    try:
        (scene,) = find_scenes((Path(text),), None, None, None, Path("out"))
    except InputError:
        return
    final = os.path.normpath(Path("out") / scene_name(scene))
    assert os.path.dirname(final) == "out"


@pytest.mark.parametrize("line", ["../room", "/etc", "a/../../b", "..", "a/.."])
def test_names_in_a_list_stay_below_the_root(tmp_path, line):
    (tmp_path / "list.txt").write_text(line)
    with pytest.raises(InputError, match=r"list\.txt: .* is not in the folder --root"):
        find_scenes((), tmp_path / "list.txt", tmp_path / "scans", None, tmp_path / "out")
    assert find_scenes((), tmp_path / "list.txt", None, None, tmp_path / "out") == [Path(line)]


@pytest.mark.parametrize("line", ["a\0b", "a\x1b[31mb", "a\x7f"])
def test_lists_that_hold_no_paths_are_refused(tmp_path, line):
    (tmp_path / "list.txt").write_text(f"good\n{line}\n")
    with pytest.raises(InputError, match="is no path") as caught:
        find_scenes((), tmp_path / "list.txt", None, None, tmp_path / "out")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("path", ["a" * 300, "a/" * 3000, "a\0b", "a\0.json", "\0.sens"])
def test_paths_that_cannot_be_are_refused(path):
    with pytest.raises(InputError) as caught:
        load_scene(path)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1000


def test_all_that_a_run_writes_is_in_its_folder(tmp_path, opened, capsys):
    """Odd names of scene and photos, and a mesh that names other files."""
    scans, output = tmp_path / "scans", tmp_path / "out"
    folder = tiny_scan.write_extracted(scans / "..room; $(touch x) `y` #1")
    mesh = next(folder.glob("*.ply"))
    tiny_scan.write_ply(mesh, faces=tiny_scan.ROOM_FACES[:, ::-1])
    shape = read_mesh(mesh)
    mesh.unlink()
    rows = [f"v {x} {y} {z}" for x, y, z in shape.vertices] + [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in shape.faces]
    (folder / "mesh.obj").write_text("mtllib ../../../x.mtl\nusemtl ../../evil\n" + "\n".join(rows))
    before = {path for path in tmp_path.rglob("*") if output not in path.parents}
    opened.clear()
    options = ["--output", str(output), "--texture-size", "64", "--no-preview", "--quiet"]
    assert texture([str(folder), *options]) == 0
    capsys.readouterr()
    assert outside(opened, folder, output) == []
    assert {path for path in tmp_path.rglob("*") if output not in path.parents} - {output} == before
    assert {path.name for path in output.iterdir()} == {".stages", folder.name}
    inside = output / folder.name
    for path in (*inside.glob("*.mtl"), *inside.glob("*.obj")):
        assert ".." not in path.read_text() and "evil" not in path.read_text()


def test_failures_of_scenes_whose_names_are_no_text_are_recorded(tmp_path, capsys):
    scene = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe"))
    try:
        scene.mkdir()
    except OSError:
        pytest.skip("this disk takes only names that are text")
    assert texture([str(scene), str(tmp_path / "none"), "--output", str(tmp_path / "out"), "--quiet"]) == 1
    assert "2 failed" in capsys.readouterr().out
    assert len(list((tmp_path / "out").glob("*.failed/failed.json"))) == 2


def test_pipes_and_folders_among_the_files_are_passed_over(tmp_path):
    """Opening a pipe waits for someone to write; who put it there does not."""
    folder = tiny_scan.write_extracted(tmp_path / "room")
    for place, name in (("color", "3.jpg"), ("pose", "3.txt"), ("depth", "3.png")):
        os.mkfifo(folder / place / name)
    (folder / "pose" / "4.txt").mkdir()
    (folder / "pose" / "5.txt").symlink_to("/dev/zero")
    (folder / "pose" / f"{'9' * 40}.txt").write_bytes((folder / "pose" / "2.txt").read_bytes())
    assert [frame.id for frame in load_scene(folder).frames] == [2, 10, 100]
    for make in (os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)):
        make(tmp_path / "mesh.ply")
        with pytest.raises(InputError, match="not a file"):
            read_mesh(tmp_path / "mesh.ply")
        (tmp_path / "mesh.ply").rmdir() if (tmp_path / "mesh.ply").is_dir() else (tmp_path / "mesh.ply").unlink()


def test_entries_of_a_kept_stage_lead_nowhere(tmp_path, opened):
    """Kept stages are zip files; they are never unpacked."""
    store, work = StageCache(tmp_path / "work", {"atlas": "k"}), tmp_path / "work"
    work.mkdir()
    store.write("atlas", {"uv": np.zeros(3)})
    (file,) = work.iterdir()
    with zipfile.ZipFile(file) as archive:
        data = archive.read("uv.npy")
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("../evil.npy", "/tmp/scenetex_evil.npy", "uv.npy"):
            archive.writestr(name, data)
    opened.clear()
    assert "uv" in store.read("atlas")
    assert {os.path.realpath(path) for path in opened} == {str(file.resolve())}
    assert not (tmp_path / "evil.npy").exists() and not Path("/tmp/scenetex_evil.npy").exists()


class Bomb:
    """Leaves a file behind wherever it is unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """Folder of a tiny model."""
    from tiny_pipeline import make_pipeline

    folder = tmp_path_factory.mktemp("model")
    make_pipeline(folder / "words").save_pretrained(folder / "model")
    return folder / "model"


def _name_code(folder: Path, mark: Path) -> None:
    """A part's class comes from a file in the part's folder."""
    (folder / "unet" / "evil.py").write_text(f"open({str(mark)!r}, 'w')\nclass Evil: pass\n")
    _change_index(folder, unet=["evil", "Evil"])


def _name_pipeline(folder: Path, mark: Path) -> None:
    """The pipeline's class comes from a file in the folder."""
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w')\nclass Evil: pass\n")
    _change_index(folder, _class_name=["evil", "Evil"])


def _name_module(folder: Path, mark: Path) -> None:
    """A part's class comes from a module that can be imported."""
    (folder / "evil_module.py").write_text(f"open({str(mark)!r}, 'w')\nclass Evil: pass\n")
    _change_index(folder, scheduler=["evil_module", "Evil"])


def _point_configs_at_code(folder: Path, mark: Path) -> None:
    """Configurations ask for code of their own, as transformers knows it."""
    for part, name in (("text_encoder", "config.json"), ("tokenizer", "tokenizer_config.json")):
        (folder / part / "evil.py").write_text(f"open({str(mark)!r}, 'w')\nclass Evil: pass\n")
        config = json.loads((folder / part / name).read_text())
        names = ("AutoModel", "AutoConfig", "AutoTokenizer")
        config["auto_map"] = {name: "evil.Evil" for name in names}
        (folder / part / name).write_text(json.dumps(config))


def _pickle_weights(part: str, name: str):
    def change(folder: Path, mark: Path) -> None:
        for weights in (folder / part).glob("*.safetensors"):
            weights.unlink()
        torch.save({"weight": Bomb(mark)}, folder / part / name)

    return change


def _change_index(folder: Path, **changes) -> None:
    index = folder / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | changes))


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        (_name_code, True),
        (_name_pipeline, True),
        (_name_module, True),
        (_point_configs_at_code, False),
        (_pickle_weights("unet", "diffusion_pytorch_model.bin"), True),
        (_pickle_weights("vae", "diffusion_pytorch_model.bin"), True),
        (_pickle_weights("text_encoder", "pytorch_model.bin"), True),
    ],
)
def test_code_in_a_model_folder_is_never_run(model, tmp_path, monkeypatch, change, refused):
    folder, mark = tmp_path / "model", tmp_path / "mark"
    shutil.copytree(model, folder)
    MVDiffusionPipeline.from_pretrained(folder)
    change(folder, mark)
    monkeypatch.syspath_prepend(folder)
    try:
        MVDiffusionPipeline.from_pretrained(folder)
        assert not refused
    except InputError as error:
        assert refused and "\n" not in str(error)
    assert not mark.exists()


def test_the_bomb_goes_off_where_pickles_are_trusted(tmp_path):
    torch.save({"weight": Bomb(tmp_path / "mark")}, tmp_path / "weights.bin")
    torch.load(tmp_path / "weights.bin", weights_only=False)
    pickle.loads(pickle.dumps(Bomb(tmp_path / "second")))
    assert (tmp_path / "mark").exists() and (tmp_path / "second").exists()


def test_prompts_name_no_files(scan, tmp_path, opened, model):
    tiny_scan.write_ply(next(scan.glob("*.ply")), faces=tiny_scan.ROOM_FACES[:, ::-1])
    words = "../../evil /etc/passwd <script>alert(1)</script> $(touch x) \x1b[31m"
    options = ["--images", "generated", "--model", str(model), "--prompt", words, "--steps", "1", "--device", "cpu"]
    options += ["--keyframes", "2", "--between", "0", "--image-size", "64x48", "--joint-views", "4", "--report"]
    output = tmp_path / "out"
    opened.clear()
    assert texture([str(scan), "--output", str(output), "--texture-size", "64", "--quiet", *options]) == 0
    written = [path for path in opened if "evil" in path or path.endswith("/x")]
    assert not written and outside(opened, scan, output, model, Path("/tmp/torch")) == []
    page = (output / "room" / "report.html").read_text()
    assert "<script>alert(1)" not in page

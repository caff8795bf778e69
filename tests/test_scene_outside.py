"""Scenes are read inside their folder, whatever names and symlinks in it say, unless more is allowed."""

import ast
import json
import re
import shutil
from pathlib import Path

import pytest
import tiny_scan
from odd_files import in_time
from test_fuzz_readers import targets

from scenetex import InputError, load_scene

ROOT = Path(__file__).resolve().parents[1]
# Every layout that the fuzzers know; a reader that is added there is tried here, too.
LAYOUTS = ["extracted", *(name for name, target in targets.items() if target.file.startswith("scan/"))]


def write(layout: str, folder: Path) -> Path:
    """A scene in that layout; its folder."""
    if layout == "extracted":
        return tiny_scan.write_extracted(folder / "scan", info="colorWidth = 64\ncolorHeight = 48\n")
    target = targets[layout]
    (folder / target.file).parent.mkdir(parents=True)
    target.prepare(folder)
    (folder / target.file).write_bytes(target.seeds[0])
    if layout == "info":
        shutil.copytree(tiny_scan.write_extracted(folder / "whole" / "scan"), folder / "scan", dirs_exist_ok=True)
    return folder / "scan"


def read_all(folder: Path, **options) -> int:
    """Reads all that a scene has; the number of its frames."""
    frames = load_scene(folder, **options).frames
    for frame in frames:
        for source, read in ((frame.color, frame.read_color), (frame.depth, frame.read_depth)):
            if source is not None:
                read()
    return len(frames)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_file_and_folder_of_every_layout(layout, tmp_path, monkeypatch):
    """Each moves out and leaves a symlink: it is refused by name, or nobody wanted it; and it may be allowed."""
    scan, opened, refused = write(layout, tmp_path), [], set()
    count = read_all(scan)
    real_open = open
    monkeypatch.setattr("builtins.open", lambda p, *a, **k: opened.append(p) or real_open(p, *a, **k))
    for path in sorted(scan.rglob("*")):
        away = tmp_path / "away" / path.relative_to(scan)
        away.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, away)
        path.symlink_to(away)
        opened.clear()
        try:
            read_all(scan)
        except InputError as error:
            assert re.search(r"leads out of the folder .* --allow-outside", str(error)), str(error)
            assert str(error).startswith(str(path)) and str(away.resolve()) in str(error)
            refused.add(path)
        assert not [p for p in opened if str(Path(p).resolve()).startswith(str(tmp_path / "away"))]
        assert read_all(scan, allow_outside=True) == count
        path.unlink()
        shutil.move(away, path)
    assert any(path.suffix in (".ply", ".glb") for path in refused) and len(refused) >= 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_folder_itself_may_be_a_symlink(layout, tmp_path):
    scan = write(layout, tmp_path)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "scan").symlink_to(scan)
    assert read_all(tmp_path / "link" / "scan") == read_all(scan)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pipes_devices_and_loops_in_place_of_every_file(layout, tmp_path):
    """They are refused in one line, or passed over; nothing waits, and nothing else is raised."""
    scan = write(layout, tmp_path)
    from odd_files import ODD

    for path in [path for path in sorted(scan.rglob("*")) if path.is_file()]:
        path.rename(tmp_path / "kept")
        for kind, make in ODD.items():
            make(path)
            try:
                with in_time():
                    read_all(scan)
            except InputError as error:
                assert "\n" not in str(error), (kind, path)
            path.rmdir() if kind == "folder" else path.unlink()
        (tmp_path / "kept").rename(path)


NAMES = ("../away/{0}", "{1}/away/{0}", "sub/../../away/{0}", "./../away/{0}")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["mesh", "ply_file_path", "file_path", "depth_file_path"])
def test_names_in_transforms_json(tmp_path, name, key):
    scan = write("transforms", tmp_path)
    tree = json.loads((scan / "transforms.json").read_text())
    part = tree["frames"][1] if key.endswith("file_path") and key != "ply_file_path" else tree
    if key == "ply_file_path":
        tree["ply_file_path"] = tree.pop("mesh")
    check_name(scan, part[key], name, lambda new: part.__setitem__(key, new) or json.dumps(tree), "transforms.json")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["rgb", "depth"])
def test_names_in_lists_of_tum(tmp_path, name, kind):
    old = {"rgb": "1.jpg", "depth": "1.png"}[kind]
    scan = write("tum", tmp_path)
    text = (scan / f"{kind}.txt").read_text()
    check_name(scan, old, name, lambda new: text.replace(old, new), f"{kind}.txt")


@pytest.mark.parametrize("name", NAMES)
def test_names_in_colmap_models(tmp_path, name):
    scan = write("colmap", tmp_path)
    text = (scan / "images.txt").read_text()
    check_name(scan, "1.jpg", name, lambda new: text.replace("1.jpg", new), "images.txt")


def check_name(scan: Path, old: str, form: str, text, file: str) -> None:
    count = read_all(scan)
    (scan / "sub").mkdir()
    (scan.parent / "away").mkdir()
    shutil.move(scan / old, scan.parent / "away" / old)
    new = form.format(old, scan.parent)
    (scan / file).write_text(text(new))
    with pytest.raises(InputError, match=r"leads out of the folder .* --allow-outside") as caught:
        read_all(scan)
    assert new.removeprefix("./") in str(caught.value)
    assert read_all(scan, allow_outside=True) == count


def test_a_scene_that_is_named_by_its_file_may_be_a_symlink(tmp_path):
    scan = write("transforms", tmp_path)
    shutil.move(scan / "transforms.json", tmp_path / "elsewhere.json")
    (scan / "transforms.json").symlink_to(tmp_path / "elsewhere.json")
    assert read_all(scan / "transforms.json") == 2
    with pytest.raises(InputError, match="leads out"):
        read_all(scan)


def test_everyone_who_loads_scenes_says_whether_outside_is_allowed():
    calls = 0
    for path in (ROOT / "scenetex").rglob("*.py"):
        if path.name == "gltf_mesh.py":  # trimesh's function of that name, which is given bytes
            continue
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "load_scene":
                said = [
                    *map(ast.unparse, [*call.args, *(k.value for k in call.keywords)]),
                    *(str(k.arg) for k in call.keywords),
                ]
                assert any("allow_outside" in part for part in said), f"{path}: {ast.unparse(call)}"
                calls += 1
    assert calls >= 6

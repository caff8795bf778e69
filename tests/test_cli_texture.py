"""`scenetex texture`: bad input ends with exit code 2, one line that names file and cure, and nothing left behind."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_scan

from scenetex.cli.texture import main
from scenetex.files.manifest import MANIFEST
from scenetex.job.options import TextureOptions

REPOSITORY = Path(__file__).resolve().parents[1]
QUICK = ("--texture-size", "128", "--no-preview", "--images", "photos")
LOST = np.full((4, 4), -np.inf)
INWARDS = tiny_scan.ROOM_FACES[:, ::-1]


@pytest.fixture
def scan(tmp_path) -> Path:
    """A tiny scan, `room`, whose walls look at its cameras."""
    return inner(tiny_scan.write_extracted(tmp_path / "room"))


def inner(scan: Path) -> Path:
    """The same scan with its faces turned inwards."""
    tiny_scan.write_ply(next(scan.glob("*.ply")), faces=INWARDS)
    return scan


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def refused(capsys, scene: Path, *options: str, output: str | Path | None = None) -> str:
    """Runs the command, which must refuse; the line it says. Nothing in the scene's parent may change."""
    before = everything(scene.parent)
    output = scene.parent / "out" if output is None else output
    code = main([str(scene), "--output", str(output), *QUICK, *options])
    said = capsys.readouterr()
    assert code == 2
    assert said.out == ""
    line = said.err.splitlines()[-1]
    # Progress bars are not shown in such a short time; every other line would be one too many.
    assert said.err.count("\n") == 1, said.err
    assert line.startswith("scenetex texture: ") and "Traceback" not in line
    assert everything(scene.parent) == before, "nothing is left behind"
    return line


def mesh_of(scan: Path) -> Path:
    return scan / "room_vh_clean_2.ply"


def remove(scan: Path, pattern: str) -> None:
    for path in scan.glob(pattern):
        path.unlink()


def without_mesh(scan):
    remove(scan, "depth/*")  # from which one might be fused
    mesh_of(scan).unlink()


def with_empty_file(scan):
    mesh_of(scan).write_bytes(b"")


def with_empty_mesh(scan):
    tiny_scan.write_ply(mesh_of(scan), np.zeros((0, 3)), np.zeros((0, 3), int))


def without_faces(scan):
    tiny_scan.write_ply(mesh_of(scan), faces=np.zeros((0, 3), int))


def with_nan_only(scan):
    tiny_scan.write_ply(mesh_of(scan), np.full((8, 3), np.nan))


def without_area(scan):
    tiny_scan.write_ply(mesh_of(scan), np.zeros((8, 3)))


def with_bad_photo(scan):
    (scan / "color" / "10.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no photo")


def with_cut_photo(scan):
    path = scan / "color" / "10.jpg"
    path.write_bytes(path.read_bytes()[:200])


def without_poses(scan):
    remove(scan, "pose/*")


def without_pose_folder(scan):
    remove(scan, "pose/*")
    (scan / "pose").rmdir()


def with_bad_pose(scan):
    (scan / "pose" / "10.txt").write_text("1 0 0 0\n0 one 0 0\n0 0 1 0\n0 0 0 1\n")


def with_short_pose(scan):
    (scan / "pose" / "10.txt").write_text("1 0 0 0\n0 1 0 0\n")


def with_empty_pose(scan):
    (scan / "pose" / "10.txt").write_text("")


def with_lost_poses(scan):
    for path in (scan / "pose").iterdir():
        np.savetxt(path, LOST)


def without_intrinsics(scan):
    (scan / "intrinsic" / "intrinsic_color.txt").unlink()


def looking_elsewhere(scan):
    tiny_scan.write_ply(mesh_of(scan), tiny_scan.ROOM_VERTICES + np.array([0, 0, 500.0]), INWARDS)


BAD_SCANS = [
    (without_mesh, "room", "mesh"),
    (with_empty_file, "room_vh_clean_2.ply", ""),
    (with_empty_mesh, "room_vh_clean_2.ply", ""),
    (without_faces, "room_vh_clean_2.ply", "face"),
    (with_nan_only, "room_vh_clean_2.ply", ""),
    (without_area, "room", "check"),
    (with_bad_photo, "10.jpg", ""),
    (with_cut_photo, "10.jpg", ""),
    (without_poses, "pose", "put one <frame>.txt"),
    (without_pose_folder, "pose", "<frame>.txt"),
    (with_bad_pose, "10.txt", ""),
    (with_short_pose, "10.txt", ""),
    (with_empty_pose, "10.txt", ""),
    (with_lost_poses, "pose", "use another scan"),
    (without_intrinsics, "intrinsic_color.txt", ""),
    (looking_elsewhere, "room", "see"),
]


@pytest.mark.parametrize(("damage", "name", "says"), BAD_SCANS, ids=[damage.__name__ for damage, *_ in BAD_SCANS])
def test_damaged_scans(scan, capsys, damage, name, says):
    damage(scan)
    line = refused(capsys, scan)
    assert name in line and says in line
    assert ";" in line, "what is wrong; what to do about it"


@pytest.mark.parametrize("share", [0.999, 0.5, 0.02, 0.0])
def test_a_truncated_sens(tmp_path, capsys, share):
    scene = tmp_path / "scene0000_00"
    scene.mkdir()
    tiny_scan.write_ply(scene / "scene0000_00_vh_clean_2.ply")
    photo = tiny_scan.jpeg(np.full((48, 64, 3), 90, np.uint8))
    depth = tiny_scan.deflated(np.full((24, 32), 1500, np.uint16))
    data = tiny_scan.sens_bytes([(tiny_scan.look(0.5 * i), photo, depth) for i in range(4)])
    (scene / "scene0000_00.sens").write_bytes(data[: int(share * len(data)) - (share == 0.999) * 40])
    assert "scene0000_00.sens" in refused(capsys, scene)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--packer", "scissors"), "--packer"),
        (("--images", "drawn"), "--images"),
        (("--texture-format", "gif"), "--texture-format"),
        (("--texture-format", "webp", "--formats", "obj"), "--texture-format webp is for GLB alone; add glb"),
        (("--compress", "zip"), "--compress 'zip' is not understood; choose none, draco, meshopt"),
        (("--compress", "draco", "--formats", "obj,ply"), "--compress draco is for GLB alone; add glb to --formats"),
        (("--texture-size", "many"), "--texture-size"),
        (("--texture-size", "32"), "64 to 16384"),
        (("--texels-per-metre", "-4"), "--texels-per-metre -4.0 is out of range"),
        (("--texels-per-metre", "nan"), "--texels-per-metre nan is out of range"),
        (("--formats", "glb,fbx"), "'fbx' is not a format; choose from glb,obj,ply,usd,usdz"),
        (("--formats", ","), "--formats is empty"),
        (("--keyframes", "often"), "keyframes 'often' is not understood"),
        (("--keyframes", "every:x"), "keyframes 'every:x' is not understood"),
        (("--keyframes", "every:0"), "0"),
        (("--keyframes", "2,11"), "no frame 11; ids run from 2 to 100"),
        (("--keyframes", ","), "keyframes"),
        (("--keyframes", "-3"), "-3"),
        (("--colour", "red"), "--colour"),
        (("--workers", "-1"), "--workers -1"),
        (("--time-limit", "0"), "--time-limit 0"),
        (("--shard", "4/4"), "--shard '4/4' is not understood"),
        (("--list", "none.txt"), "none.txt: cannot be read"),
        (("--quality",), "--quality"),
    ],
    ids=" ".join,
)
def test_bad_options(scan, capsys, options, says):
    assert says in refused(capsys, scan, *options)


def test_no_scene_at_all(tmp_path, capsys):
    assert main(["--output", str(tmp_path / "out")]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "scene" in line.lower()
    assert main([]) == 2
    assert "--output" in capsys.readouterr().err
    assert everything(tmp_path) == set()


def test_a_scene_that_is_not_there(tmp_path, capsys):
    assert "no such file or folder" in refused(capsys, tmp_path / "attic")


@pytest.mark.parametrize("where", ["a file", "/dev/null/out", "/proc/scenetex"])
def test_output_that_cannot_be_written(scan, capsys, where):
    (scan.parent / "a file").write_text("in the way")
    output = scan.parent / where
    line = refused(capsys, scan, output=output)
    assert str(output) in line and "; " in line
    assert (scan.parent / "a file").read_text() == "in the way"


def test_somebody_elses_folder_is_refused(scan, capsys):
    mine = scan.parent / "out" / "room"
    mine.mkdir(parents=True)
    (mine / "thesis.txt").write_text("years of work")
    assert "choose another output folder" in refused(capsys, scan)
    assert (mine / "thesis.txt").read_text() == "years of work"


def test_an_earlier_result_survives_a_failure_and_is_replaced_by_a_success(scan, capsys):
    output = scan.parent / "out"
    arguments = [str(scan), "--output", str(output), *QUICK, "--quiet"]
    assert main([*arguments, "--formats", "obj"]) == 0
    first = (output / "room" / "textured.obj").read_bytes()
    assert not (output / "room" / "textured.glb").exists()
    photo = (scan / "color" / "10.jpg").read_bytes()
    with_bad_photo(scan)
    assert main(arguments) == 2
    assert (output / "room" / "textured.obj").read_bytes() == first
    (scan / "color" / "10.jpg").write_bytes(photo)
    assert main([*arguments, "--formats", "glb"]) == 0
    assert {p.name for p in (output / "room").iterdir()} == {
        "textured.glb",
        "sources.png",
        "views",
        "report.json",
        MANIFEST,
    }
    assert {p.name for p in output.iterdir()} == {"room", ".stages"}
    assert capsys.readouterr().out.count("\n") == 2


def test_one_bad_scene_does_not_keep_the_others_from_their_result(scan, tmp_path, capsys):
    other = inner(tiny_scan.write_extracted(tmp_path / "hall"))
    without_faces(scan)
    assert main([str(scan), str(other), "--output", str(tmp_path / "out"), *QUICK, "--quiet"]) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "room_vh_clean_2.ply" in said.err
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"hall", "room.failed", ".stages"}
    assert "hall" in said.out


def test_lost_frames_are_counted(scan, capsys):
    np.savetxt(scan / "pose" / "10.txt", LOST)
    output = scan.parent / "out"
    assert main([str(scan), "--output", str(output), *QUICK]) == 0
    assert "room: 1 frames without tracking left out" in capsys.readouterr().err
    report = json.loads((output / "room" / "report.json").read_text())
    assert report["frames_without_tracking"] == 1 and report["images"] == report["frames"] == 2
    assert {p.stem for p in (output / "room" / "views").glob("*.png")} == {"2", "100"}


def test_keyframes_and_alignment(tmp_path):
    info = "axisAlignment = 0 -1 0 1 1 0 0 2 0 0 1 3 0 0 0 1\n"
    scan = inner(tiny_scan.write_extracted(tmp_path / "room", info=info))
    arguments = [str(scan), *QUICK, "--quiet", "--formats", "obj", "--keyframes", "100,2"]
    for name, extra in (("plain", []), ("turned", ["--align"])):
        assert main([*arguments, "--output", str(tmp_path / name), *extra]) == 0
    vertices, cameras = {}, {}
    for name in ("plain", "turned"):
        folder = tmp_path / name / "room"
        lines = (folder / "textured.obj").read_text().splitlines()
        vertices[name] = np.array([line.split()[1:] for line in lines if line.startswith("v ")], float)
        cameras[name] = json.loads((folder / "views" / "cameras.json").read_text())
    assert set(cameras["plain"]) == {"2", "100"}
    np.testing.assert_array_equal(vertices["plain"], tiny_scan.ROOM_VERTICES)
    alignment = np.array([float(x) for x in info.split("=")[1].split()]).reshape(4, 4)
    expected = tiny_scan.ROOM_VERTICES @ alignment[:3, :3].T + alignment[:3, 3]
    np.testing.assert_allclose(vertices["turned"], expected, atol=1e-12)
    for frame in ("2", "100"):
        moved = alignment @ np.array(cameras["plain"][frame]["cam_to_world"])
        np.testing.assert_allclose(cameras["turned"][frame]["cam_to_world"], moved, atol=1e-9)


def test_the_tool_refuses_in_one_line(scan):
    with_cut_photo(scan)
    command = [sys.executable, str(REPOSITORY / "tools" / "texture_scene.py"), str(scan), *QUICK]
    done = subprocess.run([*command, "--output", str(scan.parent / "out")], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("texture_scene.py: ") and done.stderr.count("\n") == 1 and "10.jpg" in done.stderr
    assert not (scan.parent / "out").exists()


def test_walls_that_turn_their_backs_are_painted_with_a_warning(scan, capsys):
    tiny_scan.write_ply(mesh_of(scan), faces=tiny_scan.ROOM_FACES)
    assert main([str(scan), "--output", str(scan.parent / "out"), *QUICK]) == 0
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "add --flip-faces" in said.err
    assert "of the texels seen" in said.out and ", 0.0 % of the texels seen" not in said.out


@pytest.mark.parametrize(
    ("images", "prompt", "source"),
    [
        ("auto", None, "photos"),
        ("auto", "a red room", "generated"),
        ("photos", None, "photos"),
        ("generated", "a red room", "generated"),
        ("panorama", "a red room", "panorama"),
    ],
)
def test_a_prompt_asks_for_generated_images(images, prompt, source):
    options = TextureOptions(scenes=(Path("room"),), output=Path("out"), images=images, prompt=prompt)
    assert options.source == options.settings()["images"] == source
    assert (options.generation() is None) == (source == "photos")

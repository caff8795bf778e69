"""KTX2: by Khronos's own program where it is on the path, and what is said where it is not."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from khronos import issues_of
from painted_sheet import painted_sheet

from scenetex import InputError
from scenetex.cli import texture as texture_command
from scenetex.scene.gltf_file import unpack_glb
from scenetex.texture import ktx
from scenetex.texture.glb_writer import encode_png
from scenetex.texture.ktx import encode_ktx2

MAGIC = b"\xabKTX 20\xbb\r\n\x1a\n"
needs_ktx = pytest.mark.skipif(shutil.which("ktx") is None, reason="needs Khronos's program ktx on the path")


def picture(size: int = 64) -> np.ndarray:
    """A smooth one, as textures are."""
    v, u = np.meshgrid(*2 * (np.linspace(0, 1, size),), indexing="ij")
    return np.stack([40 + 150 * u, 200 - 120 * v, 90 + 60 * np.sin(6 * u * v)], 2).astype(np.uint8)


def fake(folder: Path, monkeypatch, name: str = "ktx", body: str = "") -> Path:
    """A program of that name, the only one on the path, that notes what it is called with and writes a file."""
    path = folder / "bin" / name
    path.parent.mkdir()
    path.write_text(
        f"#!{sys.executable}\nimport json, os, sys, time\n"
        f"json.dump([sys.argv[1:], os.getcwd()], open({str(folder / 'called.json')!r}, 'w'))\n"
        f"out = open(sys.argv[{-1 if name == 'ktx' else -2}], 'wb')\n" + (body or f"out.write({MAGIC!r} + b'pixels')\n")
    )
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent))
    return folder / "called.json"


@needs_ktx
def test_pages_come_back_as_they_were(tmp_path):
    image = picture()
    (tmp_path / "a.ktx2").write_bytes(encode_ktx2(encode_png(image)))
    subprocess.run(["ktx", "validate", "--gltf-basisu", tmp_path / "a.ktx2"], check=True)
    subprocess.run(
        ["ktx", "extract", "--transcode", "rgba8", "--level", "0", tmp_path / "a.ktx2", tmp_path / "a.png"], check=True
    )
    again = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert np.abs(again.astype(int) - image).mean() < 1
    about = subprocess.run(
        ["ktx", "info", "--format", "json", tmp_path / "a.ktx2"], capture_output=True, text=True, check=True
    )
    header = json.loads(about.stdout)["header"]
    assert header["levelCount"] == 7 and header["supercompressionScheme"] == "KTX_SS_ZSTD"


@needs_ktx
@pytest.mark.parametrize("pages", [1, 2])
def test_khronos_validator_finds_no_fault(tmp_path, pages):
    painted_sheet(pages).export(tmp_path / "a.glb", texture_format="ktx2")
    document, _ = unpack_glb((tmp_path / "a.glb").read_bytes())
    assert document["extensionsRequired"] == ["KHR_texture_basisu"]
    for number, texture in enumerate(document["textures"]):
        assert texture == {"sampler": 0, "extensions": {"KHR_texture_basisu": {"source": number}}}
    assert {image["mimeType"] for image in document["images"]} == {"image/ktx2"}
    # It does not know the extension, and so takes the type of the images for a wrong one.
    codes = {issue["code"] for issue in issues_of(tmp_path / "a.glb") if issue["severity"] < 2}
    assert codes <= {"VALUE_NOT_IN_LIST", "IMAGE_UNRECOGNIZED_FORMAT"}


@pytest.mark.parametrize("name", ["ktx", "toktx"])
def test_how_the_program_is_called(tmp_path, monkeypatch, name):
    called = fake(tmp_path, monkeypatch, name)
    assert encode_ktx2(encode_png(picture())) == MAGIC + b"pixels"
    arguments, folder = json.loads(called.read_text())
    assert arguments[:1] == (["create"] if name == "ktx" else ["--t2"])
    assert "uastc" in arguments
    assert all(argument.startswith(folder) for argument in arguments[-2:])
    assert not os.path.exists(folder), "nothing stays"


def test_another_program_of_that_name_is_an_input_error(tmp_path, monkeypatch):
    fake(tmp_path, monkeypatch, body="out.write(b'a context')\n")
    with pytest.raises(InputError, match=r"makes no KTX2.*is it Khronos's"):
        painted_sheet().export(tmp_path / "a.glb", texture_format="ktx2")
    assert not (tmp_path / "a.glb").exists()


def test_what_it_says_of_a_failure_is_passed_on(tmp_path, monkeypatch):
    fake(tmp_path, monkeypatch, body="sys.exit('out of\\n\\x1b[31mluck')\n")
    with pytest.raises(InputError, match=r"makes no KTX2 \(out of .x1b\[31mluck\)") as error:
        encode_ktx2(encode_png(picture()))
    assert "\n" not in str(error.value)


def test_a_program_that_hangs_is_ended(tmp_path, monkeypatch):
    fake(tmp_path, monkeypatch, body="time.sleep(100)\n")
    monkeypatch.setattr(ktx, "_PATIENCE", 0.5)
    with pytest.raises(InputError, match="takes more than"):
        encode_ktx2(encode_png(picture()))


def test_a_program_that_cannot_run_is_an_input_error(tmp_path, monkeypatch):
    fake(tmp_path, monkeypatch)
    (tmp_path / "bin" / "ktx").write_text("no program")
    with pytest.raises(InputError, match="cannot be run"):
        encode_ktx2(encode_png(picture()))


def test_where_it_is_not_there_the_line_says_where_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"texture_format ktx2 needs .*github.com/KhronosGroup/KTX-Software"):
        painted_sheet().export(tmp_path / "a.glb", texture_format="ktx2")
    assert texture_command.main([str(tmp_path), "--output", str(tmp_path / "out"), "--texture-format", "ktx2"]) == 2
    said = capsys.readouterr().err
    assert "--texture-format ktx2 needs" in said and "Traceback" not in said
    assert not list(tmp_path.iterdir())


def test_sizes_that_are_no_multiple_of_4_are_input_errors(tmp_path, monkeypatch):
    fake(tmp_path, monkeypatch)
    with pytest.raises(InputError, match="multiple of 4, not 66"):
        painted_sheet(size=66).export(tmp_path / "a.glb", texture_format="ktx2")

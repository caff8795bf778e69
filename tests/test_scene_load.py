"""Telling layouts apart, and naming scenes."""

import pytest
from tiny_scan import look, sens_bytes, write_ply

from scenetex import InputError, load_scene


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "gone", "gone: no such file or folder"),
        (lambda p: p, "no scene in a known layout; it needs pose/ and intrinsic/"),
        (lambda p: (p / "photo.jpg").touch() or p / "photo.jpg", r"photo\.jpg: not a scene"),
        (
            lambda p: write_ply(p / "mesh.ply") or p / "mesh.ply",
            r"mesh\.ply: a mesh alone has no cameras",
        ),
        (lambda p: write_ply(p / "mesh.ply") or p, "no scene in a known layout"),
        (lambda p: (p / "color").mkdir() or p, r"pose: missing; a scene needs its camera poses"),
        (lambda p: (p / "a.sens").touch() or (p / "b.sens").touch() or p, r"several \.sens files"),
    ],
)
def test_paths_that_are_no_scene(tmp_path, make, message):
    with pytest.raises(InputError, match=message) as caught:
        load_scene(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_scenes_are_named_after_their_folder(scan, monkeypatch):
    assert load_scene(str(scan) + "/").name == "room"
    assert load_scene(scan / "color" / "..").name == "room"
    monkeypatch.chdir(scan)
    assert load_scene(".").name == "room"
    monkeypatch.chdir(scan / "color")
    assert load_scene("..").name == "room"


def test_extracted_frames_come_before_the_stream_they_came_from(scan):
    (scan / "room.sens").write_bytes(sens_bytes([(look(0), b"", b"")]))
    assert len(load_scene(scan).frames) == 3

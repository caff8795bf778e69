"""``scenetex example``: the room that the repository has, made where there is none."""

import json
from pathlib import Path

from synthetic_rooms import QUICK

from scenetex import load_scene
from scenetex.cli.main import main
from scenetex.synthetic import RoomSettings, ScanSettings, make_room, sample_room

ROOT = Path(__file__).resolve().parents[1]


def test_it_is_the_room_of_the_repository():
    recipe = json.loads((ROOT / "scenes" / "sample_room" / "room.json").read_text(encoding="utf-8"))
    assert recipe["seed"] == sample_room.SEED and RoomSettings(**recipe["settings"]) == sample_room.SETTINGS
    scan = ScanSettings()
    assert recipe["scan"]["frames"] == scan.frames and tuple(recipe["scan"]["color_size"]) == scan.color_size


def test_it_is_written_as_a_scene_and_nothing_else_is_replaced(tmp_path, monkeypatch, capsys):
    """By the command's own path, with a smaller room and fewer, smaller pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sample_room, "make_room", lambda seed, settings, progress: make_room(seed, QUICK))
    small = ScanSettings(frames=3, color_size=(64, 48), depth_size=(32, 24), samples=1)
    written = sample_room.write_scan
    monkeypatch.setattr(sample_room, "write_scan", lambda room, output, progress: written(room, output, small))
    assert main(["example", "--quiet"]) == 0
    assert capsys.readouterr().out.startswith("sample_room: ")
    assert len(load_scene(tmp_path / "sample_room").frames) == 3
    assert sample_room.find_sample_room() == ROOT / "scenes" / "sample_room", "the repository's goes before"
    monkeypatch.setattr(sample_room, "__file__", str(tmp_path / "site-packages" / "scenetex" / "synthetic" / "x.py"))
    assert sample_room.find_sample_room() == tmp_path / "sample_room"
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("mine")
    assert main(["example", "thesis", "--quiet"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("scenetex example: thesis: holds something other") and said.count("\n") == 1
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "mine"

"""The file that a list means is found, whoever wrote the list, and never outside its folder."""

import os
import unicodedata

import pytest

from scenetex.errors import OutsideError
from scenetex.files.reading import only_inside
from scenetex.scene.named_file import NamedFiles

SUFFIXES = (".png", ".jpg")


@pytest.fixture
def folder(tmp_path):
    for name in ("images/a.jpg", "images/B.JPG", "images/f.01.png", "images/Küche.png", "x.png", "X.PNG"):
        path = tmp_path / "scene" / unicodedata.normalize("NFD", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "secret.png").write_bytes(b"")
    return tmp_path / "scene"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("images/a.jpg", "images/a.jpg"),
        ("./images/a.jpg", "images/a.jpg"),
        (".\\images\\a.jpg", "images/a.jpg"),
        ("images/f.01", "images/f.01.png"),
        (".\\images\\f.01", "images/f.01.png"),
        ("images/b", "images/B.JPG"),
        ("IMAGES\\b.jpg", "images/B.JPG"),
        (unicodedata.normalize("NFC", "images/Küche.png"), unicodedata.normalize("NFD", "images/Küche.png")),
        ("x.png", "x.png"),
        ("X.PNG", "X.PNG"),
        ("x.Png", None),  # either
        ("images", None),
        ("images/c.jpg", None),
        ("gone/a.jpg", None),
        ("../SECRET.png", None),
        ("..\\SECRET.png", None),
        ("/images/a.jpg", None),
        ("y" * 5000, None),
        ("a\0b", None),
    ],
)
def test_names_as_others_write_them(folder, name, found):
    assert NamedFiles(folder, SUFFIXES).find(name) == (None if found is None else folder / found)


def test_a_name_as_it_is_written_comes_first(folder):
    (folder / "images\\a.jpg").write_bytes(b"")
    assert NamedFiles(folder).find("images\\a.jpg") == folder / "images\\a.jpg"


def test_folders_outside_are_not_listed(folder):
    os.symlink(folder.parent, folder / "out")
    with only_inside(folder), pytest.raises(OutsideError, match="leads out of the folder"):
        NamedFiles(folder).find("out/SECRET.png")
    assert NamedFiles(folder).find("out/SECRET.png") == folder / "out" / "secret.png"

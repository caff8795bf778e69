"""Content hashes change with what a stage depends on, and with nothing else."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_scan
from hypothesis import given
from hypothesis import strategies as st

import scenetex
from scenetex import InputError, load_scene
from scenetex.job import source_hash
from scenetex.job.cache_keys import cache_keys
from scenetex.job.content_hash import FileHashes, content_hash, parts_of
from scenetex.job.options import TextureOptions
from scenetex.scene.image_source import ImageSource

PHOTOS = TextureOptions(output=Path("out"), scenes=(Path("room"),))
GENERATED = replace(PHOTOS, images="generated", prompt="a red room", model="a/b")


def keys(scan: Path, options: TextureOptions = PHOTOS) -> dict[str, str]:
    return cache_keys(load_scene(scan), options, FileHashes(scan / "hashes.json"))


def changed(before: dict, after: dict) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ({"prompt": "a blue room"}, {"generate", "small", "images", "paint", "result"}),
        ({"seed": 1}, {"generate", "small", "images", "paint", "result"}),
        ({"between": 2}, {"small", "images", "paint", "result"}),
        ({"upscale": 4}, {"images", "paint", "result"}),
        ({"texture_size": 512}, {"unwrap", "paint", "result"}),
        ({"keyframes": "3"}, {"keyframes", "generate", "small", "images", "paint", "result"}),
        ({"formats": "obj"}, {"result"}),
        ({"output": Path("elsewhere"), "workers": 3, "quiet": True, "time_limit": 9.0, "scenes": ()}, set()),
    ],
)
def test_options_change_what_depends_on_them(scan, change, stages):
    assert changed(keys(scan, GENERATED), keys(scan, replace(GENERATED, **change))) == stages


def test_photos_do_not_depend_on_options_of_generation(scan):
    assert changed(keys(scan), keys(scan, replace(PHOTOS, seed=5))) == {"result"}
    assert changed(keys(scan), keys(scan, replace(PHOTOS, refine_poses=False))) == {"paint", "result"}


def test_content_counts_and_neither_place_nor_time(scan, tmp_path):
    before = keys(scan)
    shutil.copytree(scan, tmp_path / "copy" / "room")
    os.utime(tmp_path / "copy" / "room" / "color" / "2.jpg", (1, 1))
    assert keys(tmp_path / "copy" / "room") == before
    photo = (scan / "color" / "10.jpg").read_bytes()
    (scan / "color" / "10.jpg").write_bytes(photo + b" ")
    assert changed(before, keys(scan)) == {"keyframes", "refine", "paint", "result"}
    (scan / "color" / "10.jpg").write_bytes(photo)
    tiny_scan.write_ply(scan / "room_vh_clean_2.ply", tiny_scan.ROOM_VERTICES * 1.01)
    assert changed(before, keys(scan)) == set(before)


def test_poses_count_for_all_but_the_atlas(scan):
    before = keys(scan, GENERATED)
    np.savetxt(scan / "pose" / "10.txt", tiny_scan.look(0.4))
    assert changed(before, keys(scan, GENERATED)) == set(before) - {"unwrap"}


def test_photos_do_not_count_where_images_are_generated(scan):
    before = keys(scan, GENERATED)
    (scan / "color" / "10.jpg").write_bytes((scan / "color" / "2.jpg").read_bytes())
    assert keys(scan, GENERATED) == before


def test_another_model_in_the_same_folder_counts(scan, tmp_path):
    (tmp_path / "model").mkdir()
    weights = tmp_path / "model" / "weights"
    weights.write_bytes(b"one")
    options = replace(GENERATED, model=str(tmp_path / "model"))
    before = keys(scan, options)
    assert keys(scan, options) == before
    weights.write_bytes(b"two!")
    assert changed(before, keys(scan, options)) == {"generate", "small", "images", "paint", "result"}


def test_mini_is_its_weights_and_not_a_folder_that_lies_about(scan, tmp_path, monkeypatch):
    """Neither its name alone nor what has that name where the command runs."""
    weights = tmp_path / "bundled" / "unet" / "weights"
    weights.parent.mkdir(parents=True)
    (tmp_path / "bundled" / "model_index.json").write_text("{}")
    weights.write_bytes(b"one")
    monkeypatch.setattr("scenetex.bundled._MINI", tmp_path / "bundled")
    monkeypatch.chdir(tmp_path)
    options = replace(GENERATED, model="mini")
    before = keys(scan, options)
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini" / "weights").write_bytes(b"stray")
    assert keys(scan, options) == before
    weights.write_bytes(b"two")
    assert changed(before, keys(scan, options)) == {"generate", "small", "images", "paint", "result"}


def test_the_same_model_elsewhere_or_later_is_the_same(scan, tmp_path):
    weights = tmp_path / "model" / "weights"
    weights.parent.mkdir()
    weights.write_bytes(b"one")
    before = keys(scan, replace(GENERATED, model=str(tmp_path / "model")))["images"]
    os.utime(weights, (5, 5))
    shutil.copytree(tmp_path / "model", tmp_path / "copy")
    for name in ("model", "copy"):
        assert keys(scan, replace(GENERATED, model=str(tmp_path / name)))["images"] == before


def test_a_photo_of_the_same_size_and_time_is_another_photo(scan):
    photo = scan / "color" / "10.jpg"
    files, about = scan / "hashes.json", photo.stat()
    first = FileHashes(files)
    digest = first.of(photo, "photo")
    first.save()
    photo.write_bytes(photo.read_bytes()[:-3] + b"abc")
    os.utime(photo, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert photo.stat().st_size == about.st_size and photo.stat().st_mtime_ns == about.st_mtime_ns
    assert FileHashes(files).of(photo, "photo") != digest


def test_what_the_hash_does_not_understand_is_no_part_of_it_in_silence():
    with pytest.raises(TypeError, match="set: tell the content hash what counts of it"):
        list(parts_of(ImageSource(Path("x"), size={1})))


SHOWN = {"paint", "result"}
FROM_PHOTOS = {"keyframes", "refine", *SHOWN}
FROM_A_PROMPT = {"generate", "small", "images", *SHOWN}


@pytest.mark.parametrize(
    ("module", "photos", "generated"),
    [
        ("cli.view", set(), set()),
        ("metrics.overlap", set(), set()),
        ("process.console", set(), set()),
        ("job.stages", set(), set()),
        ("job.options", set(), set()),
        ("job.summary", {"result"}, {"result"}),
        ("report.page", {"result"}, {"result"}),
        ("report.preview", {"result"}, {"result"}),
        ("job.generation", set(), FROM_A_PROMPT),
        ("panorama.standpoint", set(), FROM_A_PROMPT),
        ("pipelines.noise", set(), FROM_A_PROMPT),
        ("models.multiview_unet", set(), FROM_A_PROMPT),
        ("texture.bake", SHOWN, SHOWN),
        ("texture.unwrap", {"unwrap", *SHOWN}, {"unwrap", *SHOWN}),
        ("texture.refine", {"refine", *SHOWN}, SHOWN),
        ("views.keyframes", FROM_PHOTOS, {"keyframes", *FROM_A_PROMPT}),
        ("job.run", None, None),
        ("scene.mesh", None, None),
    ],
)
def test_code_counts_where_it_is_used(scan, monkeypatch, module, photos, generated):
    before, read = (keys(scan), keys(scan, GENERATED)), source_hash._module
    monkeypatch.setattr(
        source_hash, "_module", lambda name: replace(read(name), digest="other") if name == module else read(name)
    )
    after = keys(scan), keys(scan, GENERATED)
    for old, new, stages in zip(before, after, (photos, generated), strict=True):
        assert changed(old, new) == (set(old) if stages is None else stages)


def test_scripts_of_the_page_count_for_the_result(scan, tmp_path, monkeypatch):
    before = keys(scan)
    copy = tmp_path / "scenetex"
    shutil.copytree(Path(scenetex.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    monkeypatch.setattr(source_hash, "PACKAGE", copy)
    assert keys(scan) == before, "the place does not matter"
    with open(copy / "report" / "page.js", "a") as script:
        script.write("\n")
    assert changed(before, keys(scan)) == {"result"}


def test_a_photo_that_is_gone_is_named(scan):
    scene = load_scene(scan)
    (scan / "color" / "10.jpg").unlink()
    with pytest.raises(InputError, match=r"10\.jpg: cannot be read"):
        cache_keys(scene, PHOTOS, FileHashes(scan / "hashes.json"))


PARTS = st.lists(st.one_of(st.integers(), st.text(), st.lists(st.integers()), st.none()), max_size=4)


@given(one=PARTS, other=PARTS)
def test_different_parts_have_different_hashes(one, other):
    assert (content_hash(*one) == content_hash(*other)) == (one == other)


def test_arrays_of_the_same_bytes_differ_in_type_and_shape():
    zeros = np.zeros((2, 4), np.float32)
    same = [zeros, zeros.T, zeros.view(np.int32), zeros.ravel(), zeros[:0], zeros.tolist()]
    assert len({content_hash(array) for array in same}) == len(same)
    assert content_hash(zeros) == content_hash(np.asfortranarray(zeros))


def test_files_are_read_once(tmp_path, monkeypatch):
    photo, memory = tmp_path / "photo", tmp_path / "hashes.json"
    photo.write_bytes(b"one")
    first = FileHashes(memory)
    digest = first.of(photo, "photo")
    first.save()
    reads = []
    monkeypatch.setattr("hashlib.file_digest", lambda *args: reads.append(args))
    assert FileHashes(memory).of(photo, "photo") == digest and not reads
    monkeypatch.undo()
    os.utime(photo, (5, 5))
    assert FileHashes(memory).of(photo, "photo") == digest
    photo.write_bytes(b"two")
    assert FileHashes(memory).of(photo, "photo") != digest
    for spoilt in ("{", "[]", '{"' + str(photo) + '": 3}'):
        memory.write_text(spoilt)
        assert FileHashes(memory).of(photo, "photo") != digest


def test_a_model_whose_parts_are_links_counts_by_what_they_lead_to(scan, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.bin").write_bytes(name.encode())
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "unet").symlink_to(tmp_path / "one")
    (tmp_path / "model" / "round").symlink_to(tmp_path / "model")
    options = replace(GENERATED, model=str(tmp_path / "model"))
    before = keys(scan, options)
    assert keys(scan, options) == before
    (tmp_path / "one" / "weights.bin").write_bytes(b"other")
    inside = keys(scan, options)
    (tmp_path / "model" / "unet").unlink()
    (tmp_path / "model" / "unet").symlink_to(tmp_path / "two")
    elsewhere = keys(scan, options)
    assert len({before["generate"], inside["generate"], elsewhere["generate"]}) == 3

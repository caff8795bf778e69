"""What a classifier names in rooms: it knows true renders, and does not know noise."""

from dataclasses import replace

import numpy as np
import pytest

from scenetex.data.rooms import RoomStream
from scenetex.metrics import recognition
from scenetex.metrics.recognition import GROUPS, Patches, Recogniser, find_patches, look
from scenetex.synthetic.palette import FLOORS, WALLS


@pytest.fixture(scope="module")
def rooms():
    stream = RoomStream(31, 3, (128, 96))
    return [stream.room_and_sample(i) for i in range(36)]


def test_patches_are_named_after_the_room(rooms):
    room, sample = rooms[0]
    patches = find_patches(room, sample.views.face_id)
    assert patches.mask.shape == (len(patches.view), 96, 128) and len(patches.kind) == len(patches.group)
    for view, mask, group, kind in zip(patches.view, patches.mask, patches.group, patches.kind, strict=True):
        parts = {room.parts[k] for k in room.face_part[sample.views.face_id[view][mask]]}
        assert len(parts) == 1 and mask.mean() >= 0.015
        (part,) = parts
        look_of = {"floor": FLOORS[room.facts.floor], "walls": WALLS[room.facts.walls]}
        assert GROUPS[group] == (part if part in look_of else "furniture")
        assert kind == look_of[part].pattern if part in look_of else part.rstrip("s").endswith(kind)
    assert {"floor", "walls"} <= {GROUPS[g] for g in patches.group}


def test_features_are_of_the_patch_alone(rooms):
    room, sample = rooms[0]
    patches = find_patches(room, sample.views.face_id)
    whole = look(list(sample.images), patches)
    one = int(patches.view[0])
    others = sample.images.copy()
    others[[i for i in range(3) if i != one]] = 0
    assert np.allclose(look(list(others), patches)[patches.view == one], whole[patches.view == one])


def test_it_knows_rooms_that_it_has_not_seen_and_does_not_know_noise(rooms, monkeypatch):
    monkeypatch.setattr(recognition, "_FEW", 6)
    found = [(find_patches(room, sample.views.face_id), list(sample.images)) for room, sample in rooms]
    seen = [(look(images, patches), patches) for patches, images in found]
    taught = seen[:26]
    recogniser = Recogniser(
        np.concatenate([x for x, _ in taught]),
        np.concatenate([p.group for _, p in taught]),
        [kind for _, p in taught for kind in p.kind],
    )
    rng = np.random.default_rng(0)
    hits, noise = [], []
    for (x, patches), (_, images) in zip(seen[26:], found[26:], strict=True):
        hits.append(recogniser.hits(x, patches.group, patches.kind))
        strange = [rng.integers(0, 256, image.shape, np.uint8) for image in images]
        noise.append(recogniser.hits(look(strange, patches), patches.group, patches.kind))
    assert len(np.concatenate(hits)) > 40
    assert np.concatenate(hits).mean() > 0.5 and np.concatenate(noise).mean() < 0.6 * np.concatenate(hits).mean()


def test_kinds_that_it_has_not_learnt_are_left_out():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 3)) + np.repeat([[0], [8]], 20, 0)
    group, kind = np.zeros(40, int), ["a"] * 20 + ["b"] * 20
    recogniser = Recogniser(x, group, kind)
    assert recogniser.hits(x, group, kind).all()
    assert len(recogniser.hits(x[:3], np.array([0, 0, 2]), ["a", "c", "a"])) == 1


def test_without_patches_nothing_is_recognised():
    assert len(recognition.recognised(None, [])) == 0
    none = Patches(np.zeros(0, int), np.zeros((0, 4, 4), bool), np.zeros(0, int), ())
    assert replace(none).kind == () and look([], none).shape[0] == 0

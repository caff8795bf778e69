"""Every reader takes every mutation of a file: it reads it or says in one line why not, in memory the file warrants.

The files come from `tools/fuzz_readers.py`, which does the same with millions of them.
"""

import importlib
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_scan import peak_bytes

from scenetex import InputError
from scenetex.scene.mesh_file import read_mesh

TOOLS = Path(__file__).resolve().parents[1] / "tools"


def tool(name: str):
    sys.path.insert(0, str(TOOLS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(TOOLS))


fuzz, mutate, targets = tool("fuzz_readers"), tool("fuzz_mutations").mutate, tool("fuzz_targets").targets()
probing = tool("fuzz_probe")


@pytest.fixture
def traced():
    """Memory is traced, as probes need it."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.fixture
def probes(tmp_path, traced):
    """Maker of a reader's probe."""
    return lambda name: fuzz.Probe(targets[name], tmp_path / "work", tmp_path / "found")


def test_the_tool_names_all_readers():
    assert fuzz.NAMES == tuple(targets)


@pytest.mark.parametrize("name", targets)
def test_seeds_are_valid(name, probes):
    target, probe = targets[name], probes(name)
    read = [probe.feed(seed) for seed in target.seeds]
    # A pose is no intrinsic matrix.
    assert any(read) and (all(read) or name == "pose") and not probe.tally.bad


@pytest.mark.parametrize("name", targets)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_mutations_are_read_or_refused(name, probes):
    target, probe = targets[name], probes(name)

    # Whole scenes take longer.
    @settings(max_examples=80 if "/" in target.file else 200, deadline=None, database=None)
    @given(
        choice=st.integers(0, 2**32 - 1),
        edits=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=3),
    )
    def check(choice, edits):
        rng = Random(choice)
        data = bytearray(mutate(rng.choice(target.seeds), rng, target.words, target.kind))
        for at, value in edits if data else ():
            data[at % len(data)] = value
        probe.feed(bytes(data))
        assert not probe.tally.bad, next(probe.output.glob("*.log")).read_text()

    check()


def test_a_seed_gives_the_same_mutations():
    def some(seed):
        rng = Random(seed)
        return [mutate(s, rng, t.words, t.kind) for t in targets.values() for s in t.seeds]

    assert some(3) == some(3) != some(4)
    assert sum(new != s for new, s in zip(some(3), (s for t in targets.values() for s in t.seeds), strict=True)) > 20


def _fail(path):
    raise KeyError("x")


def _two_lines(path):
    raise InputError("one\ntwo")


def _hoard(path):
    return np.ones(10_000_000)


class _Table:
    """A table that has to grow once in a while, as that of interned names does: no input's fault."""

    def __init__(self):
        self.reads, self.rows = 0, None

    def __call__(self, path):
        self.reads += 1
        self.rows = None
        if self.reads == 2:
            self.rows = np.ones(10_000_000)


@pytest.mark.parametrize(
    ("read", "says"),
    [
        (_fail, "KeyError"),
        (_two_lines, "a message"),
        (_hoard, "bytes allocated for a file of 3"),
        (str, None),
        (_Table(), None),
    ],
)
def test_what_a_reader_may_not_do_is_found_and_saved(read, says, tmp_path, traced):
    target = tool("fuzz_targets").Target("odd", "odd.bin", (), read, 10)
    probe = fuzz.Probe(target, tmp_path / "work", tmp_path / "found")
    assert probe.feed(b"abc") == (says is None)
    probe.feed(b"abcd")
    if says is None:
        assert not probe.tally.bad and probe.tally.read == 2
        return
    assert sum(probe.tally.bad.values()) == probe.tally.inputs == 2
    (saved,) = (tmp_path / "found").glob("odd-*.bin")  # the first of its kind
    assert saved.read_bytes() == b"abc"
    assert says in saved.with_name(saved.name + ".log").read_text()


def test_a_reader_without_an_end_is_stopped(tmp_path, traced, monkeypatch):
    monkeypatch.setattr(probing, "_SECONDS", 0.1)

    def read(path):
        while True:
            try:
                sum(range(1000))
            except Exception:
                pass

    target = tool("fuzz_targets").Target("odd", "odd.bin", (), read, 10)
    probe = fuzz.Probe(target, tmp_path / "work", tmp_path / "found")
    assert not probe.feed(b"abc") and next(iter(probe.tally.bad)).startswith("TooLong")


def test_the_command(tmp_path, capfd):
    command = [sys.executable, TOOLS / "fuzz_readers.py", "--inputs", "40", "--readers", "pose"]
    run = subprocess.run([*command, "--output", tmp_path / "found"], capture_output=True, text=True, check=True)
    assert "pose               40" in run.stdout and "40 inputs, 0 found" in run.stdout
    assert not (tmp_path / "found").exists()
    for wrong in (["--readers", "zip"], ["--inputs", "0"], ["--engine", "x"]):
        assert fuzz.main(wrong) == 2
        assert capfd.readouterr().err.count("\n") == 1


PLY = "ply\nformat {} 1.0\nelement vertex {}\nproperty float x\nproperty float y\nproperty float z\n{}end_header\n"
LISTS = "element face {}\nproperty list {} {} vertex_indices\n"


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("count", [10**12, 2**63 - 1, 2**63, 10**30, 10**4000, -1])
@pytest.mark.parametrize("element", ["vertex", "face"])
def test_ply_headers_that_announce_anything(tmp_path, encoding, count, element):
    counts = (count, 1) if element == "vertex" else (0, count)
    text = PLY.format(encoding, counts[0], LISTS.format(counts[1], "uchar", "int"))
    (tmp_path / "mesh.ply").write_bytes(text.encode() + bytes(500))

    def refused():
        with pytest.raises(InputError) as caught:
            read_mesh(tmp_path / "mesh.ply")
        assert str(caught.value).isprintable() and len(str(caught.value)) < 500

    assert peak_bytes(refused) < 100_000


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian"])
@pytest.mark.parametrize("item", ["uchar", "double"])
def test_ply_rows_as_short_as_can_be(tmp_path, encoding, item):
    """Lists of different lengths are read one by one; most of them empty, they cost the most for their bytes."""
    rows = 100_000
    head = PLY.format(encoding, 1, LISTS.format(rows, "uchar", item)).encode()
    if encoding == "ascii":
        body = b"0 0 0\n1 0\n" + b"0\n" * (rows - 1)
    else:
        body = bytes(12) + b"\1" + bytes(8 if item == "double" else 1) + bytes(rows - 1)
    (tmp_path / "mesh.ply").write_bytes(head + body)

    def refused():
        with pytest.raises(InputError, match="no faces"):
            read_mesh(tmp_path / "mesh.ply")

    assert peak_bytes(refused) < 64 * (len(head) + len(body))


def test_a_polygon_as_long_as_the_file(tmp_path):
    corners = 50_000
    head = PLY.format("binary_little_endian", 3, LISTS.format(1, "uint", "uchar")).encode()
    body = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], "<f4").tobytes() + struct.pack("<I", corners)
    (tmp_path / "mesh.ply").write_bytes(head + body + bytes([0, 1, 2] * corners)[:corners])
    assert len(read_mesh(tmp_path / "mesh.ply").faces) == corners - 2
    assert peak_bytes(lambda: read_mesh(tmp_path / "mesh.ply")) < 192 * corners


@pytest.mark.parametrize("line", ["v 0 0 0\n", "f 1\n", "f " + "1 " * 20000, "v\t\n", "f 1 1 -1\n"])
def test_obj_of_one_line_over_and_over(tmp_path, line):
    text = (line * 20000)[:400_000]
    (tmp_path / "mesh.obj").write_text(text)

    def read():
        try:
            read_mesh(tmp_path / "mesh.obj")
        except InputError:
            pass

    assert peak_bytes(read) < 192 * len(text)

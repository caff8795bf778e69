"""Batches on Ray: the driver against a stand-in that runs everything at once, and real Ray where it is installed."""

import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from batch_runs import left, rooms, texture

from scenetex import InputError
from scenetex.batch import ray_cluster as on_ray
from scenetex.batch.outcome import Outcome
from scenetex.batch.scenes import SceneQueue
from scenetex.job.options import TextureOptions

PARTS = ["layout", "images", "all"]


class Lost(Exception): ...


class TaskError(Exception):
    def __init__(self, cause):
        self.cause = cause


class StandIn:
    """Ray of one process: what is submitted runs when it is asked for, the last first; `slow` parts never end."""

    exceptions = SimpleNamespace(RayError=(Lost, TaskError), RayTaskError=TaskError)

    def __init__(self, gpus=0, cpus=2, slow=None):
        self.resources = {"CPU": cpus} | ({"GPU": gpus} if gpus else {})
        self.slow, self.waiting, self.most, self.ended = slow, {}, 0, []

    def cluster_resources(self):
        return self.resources

    def remote(self, **options):
        def wrap(thing):
            if isinstance(thing, type):
                return SimpleNamespace(remote=lambda: self._actor(thing()))
            return SimpleNamespace(remote=lambda *args: self._submit(thing, args))

        return wrap

    def _actor(self, inside):
        names = [name for name in dir(inside) if not name.startswith("_")]
        calls = {n: SimpleNamespace(remote=lambda *a, n=n: self._submit(getattr(inside, n), a)) for n in names}
        return SimpleNamespace(**calls)

    def _submit(self, function, arguments):
        reference = object()
        self.waiting[reference] = function, arguments
        self.most = max(self.most, len(self.waiting))
        return reference

    def wait(self, references, timeout):
        # Tasks are called with their part, painters without one.
        slow = {"layout": 4, "images": 3}.get(self.slow)
        quick = [reference for reference in references if len(self.waiting[reference][1]) != slow]
        if not quick:
            time.sleep(0.02)
        return quick[-1:], quick[:-1]

    def get(self, reference):
        function, arguments = self.waiting.pop(reference)
        return function(*arguments)

    def cancel(self, reference, force):
        self.ended.append(self.waiting.pop(reference))

    def kill(self, actor):
        self.ended.append(actor)


@pytest.fixture
def work(monkeypatch, tmp_path):
    """Replaces the work itself; what was asked for: (scene, part)."""
    asked = []

    def attempt(scene, options, watch, part):
        asked.append((scene.name, part))
        return Outcome(scene.name, scene, "done" if part == "all" else "partly")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(on_ray, "attempt", attempt)
    monkeypatch.setattr(on_ray, "warm_up", lambda options: asked.append("warm"))
    monkeypatch.setattr("scenetex.batch.scenes._PAUSE", 0.0)
    return asked


def options(**change) -> TextureOptions:
    return TextureOptions(output=Path("out"), images="generated", prompt="x", **change)


def drive(ray, count=8, opts=None) -> list[Outcome]:
    scenes = [Path(f"scene{i}") for i in range(count)]
    return list(on_ray._Driver(ray, SceneQueue(scenes), opts or options()).outcomes())


def test_every_scene_goes_through_its_parts_in_order(work):
    outcomes = drive(StandIn(gpus=2))
    assert sorted(o.name for o in outcomes) == [f"scene{i}" for i in range(8)]
    for i in range(8):
        assert [part for name, part in (w for w in work if w != "warm") if name == f"scene{i}"] == PARTS
    assert work.count("warm") == 2, "one model per GPU"


def test_photos_need_no_model(work):
    outcomes = drive(StandIn(gpus=1), opts=TextureOptions(output=Path("out")))
    assert len(outcomes) == 8 and {w[1] for w in work} == {"all"}


@pytest.mark.parametrize(("gpus", "cpus"), [(0, 1), (1, 4), (2, 16), (0, 8)])
def test_no_more_at_a_time_than_there_is_room_for(work, gpus, cpus):
    ray = StandIn(gpus, cpus)
    assert len(drive(ray, count=40)) == 40
    painters = gpus or max(1, cpus // 2)
    assert ray.most <= cpus + painters
    ahead, most = set(), 0
    for what in work:
        if what != "warm":
            (ahead.add if what[1] == "layout" else ahead.discard)(what[0])
            most = max(most, len(ahead))
    assert most <= 3 * painters, "two waiting for each, one on its way to each"


def test_what_another_run_works_on_comes_later_and_failures_do_not_stop_it(work, monkeypatch):
    seen = []

    def attempt(scene, options, watch, part):
        seen.append(scene.name)
        if scene.name == "scene1":
            raise Lost("the node is gone\nwith all that was on it")
        state = "busy" if scene.name == "scene0" and seen.count("scene0") < 3 else "done" if part == "all" else "partly"
        return Outcome(scene.name, scene, state)

    monkeypatch.setattr(on_ray, "attempt", attempt)
    outcomes = {o.name: o for o in drive(StandIn(gpus=1), count=3)}
    assert {name: o.state for name, o in outcomes.items()} == {"scene0": "done", "scene1": "failed", "scene2": "done"}
    assert "its process was lost" in outcomes["scene1"].says and "the node is gone)" in outcomes["scene1"].says
    assert Path("out/scene1.failed/failed.json").exists()


@pytest.mark.parametrize("slow", ["layout", "images"])
def test_what_takes_too_long_is_ended(work, slow):
    ray = StandIn(gpus=1, slow=slow)
    outcomes = drive(ray, count=2, opts=options(time_limit=0.01))
    assert [o.state for o in outcomes] == ["failed"] * 2 and len(ray.ended) == 2
    assert all("took longer than the 0.01 s" in o.says for o in outcomes)
    assert {o.stage for o in outcomes} == {"unwrap" if slow == "layout" else "generate"}


def test_a_model_that_cannot_be_loaded_ends_the_run(work, monkeypatch):
    def fails(options):
        raise TaskError(InputError("no such model folder"))

    monkeypatch.setattr(on_ray, "warm_up", fails)
    with pytest.raises(InputError, match="no such model folder"):
        drive(StandIn())


def test_without_ray_the_cure_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert texture(rooms(tmp_path / "scans", "a"), tmp_path / "out", "--ray", "local") == 2
    said = capsys.readouterr().err
    assert 'Ray is not installed; pip install -c constraints.txt -e ".[batch]" in the folder' in said


@pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: the extra batch")
def test_real_ray_comes_to_the_same(tmp_path, capsys):
    scenes = rooms(tmp_path / "scans", "a", "b", "c")
    (tmp_path / "scans" / "b" / "b_vh_clean_2.ply").write_bytes(b"")
    assert texture(scenes, tmp_path / "one") == 1
    assert texture(scenes, tmp_path / "ray", "--ray", "local", "--workers", "2") == 1
    assert capsys.readouterr().out.count("3 scenes: 2 done, 0 already there, 1 failed") == 2
    one, ray = left(tmp_path / "one"), left(tmp_path / "ray")
    for found in (one, ray):
        del found["b.failed/log.txt"], found["b.failed/failed.json"]
    assert one == ray


@pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: the extra batch")
def test_real_ray_listens_to_this_machine_only(tmp_path, monkeypatch):
    import psutil

    found, plain = set(), on_ray._Driver.outcomes

    def outcomes(driver):
        yield from plain(driver)
        family = [psutil.Process(), *psutil.Process().children(recursive=True)]
        for process in family:
            for place in process.net_connections("inet"):
                if place.status == psutil.CONN_LISTEN:
                    found.add(place.laddr.ip.removeprefix("::ffff:"))

    monkeypatch.setattr(on_ray._Driver, "outcomes", outcomes)
    assert texture(rooms(tmp_path / "scans", "a"), tmp_path / "out", "--ray", "local", "--workers", "1") == 0
    assert found == {"127.0.0.1"}


def test_a_ray_that_listens_to_the_network_is_not_used():
    ended = []
    util = SimpleNamespace(get_node_ip_address=lambda: "192.0.2.2")
    ray = SimpleNamespace(init=lambda **options: None, util=util, shutdown=lambda: ended.append(True))
    with pytest.raises(InputError, match="listens to the whole network"):
        on_ray._connect(ray, options(ray="local"))
    assert ended
    on_ray._connect(ray, options(ray="auto"))

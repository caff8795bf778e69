"""The ComfyUI nodes: by themselves, their graph run plainly, and by ComfyUI's own executor where SCENETEX_COMFYUI names
a checkout of it (and SCENETEX_COMFYUI_PYTHON a Python that has what it needs, if pytest's has not)."""

import importlib.util
import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

import scenetex

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "integrations" / "comfyui"
GRAPHS = FOLDER / "example_workflows"
COMFYUI = os.environ.get("SCENETEX_COMFYUI")
# Of no use but quick. As many views as it takes for some to see the same places.
TINY = {
    "2": {"count": 6, "width": 64, "height": 48},
    "4": {"steps": 1, "between": 1},
    "5": {"texture_size": 256},
    "6": {"steps": 1, "width": 64, "height": 48, "most": 2},
    "7": {"filename_prefix": "rooms/my room"},
}
WIDGETS = {"STRING": str, "INT": int, "FLOAT": float, "BOOLEAN": bool}


def load_nodes():
    """The package as ComfyUI loads it: by its folder, under a name that is none."""
    place = FOLDER / "__init__.py"
    spec = importlib.util.spec_from_file_location("custom_nodes.scenetex", place)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


NODES = load_nodes()
CLASSES = NODES.NODE_CLASS_MAPPINGS
every_node = pytest.mark.parametrize("name", CLASSES)


def inputs_of(kind) -> dict:
    found = kind.INPUT_TYPES()
    return found["required"] | found.get("optional", {})


def graph(**changes) -> dict:
    """The example in the format of ComfyUI's API, with the sample room in it and tiny settings."""
    found = json.loads((GRAPHS / "texture_room_api.json").read_text())
    found["1"]["inputs"]["path"] = str(ROOT / "scenes" / "sample_room")
    for node, values in (TINY | changes).items():
        found[node]["inputs"] |= values
    return found


def run_plainly(nodes: dict) -> dict:
    """Results of all nodes of a graph, by their numbers; of ComfyUI's own, what they are given."""
    results = {}
    while len(results) < len(nodes):
        for number, node in nodes.items():
            links = [value[0] for value in node["inputs"].values() if isinstance(value, list)]
            if number in results or not results.keys() >= set(links):
                continue
            given = {k: results[v[0]][v[1]] if isinstance(v, list) else v for k, v in node["inputs"].items()}
            if node["class_type"] not in CLASSES:
                results[number] = (given["images"],)
                continue
            kind = CLASSES[node["class_type"]]
            made = getattr(kind(), kind.FUNCTION)(**given)
            results[number] = made["result"] if isinstance(made, dict) else made
            assert len(results[number]) == len(kind.RETURN_TYPES)
    return results


def test_nodes_need_no_comfyui():
    program = f"import sys; sys.path.insert(0, {str(FOLDER.parent)!r}); import comfyui; print(*comfyui.__all__)"
    there = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=there)
    assert run.stdout.split() == ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
    assert CLASSES.keys() == NODES.NODE_DISPLAY_NAME_MAPPINGS.keys()


@every_node
def test_declarations_fit_the_functions(name):
    kind = CLASSES[name]
    parameters = dict(inspect.signature(getattr(kind, kind.FUNCTION)).parameters)
    parameters.pop("self")
    assert [*parameters] == [*inputs_of(kind)]
    optional = {key for key, p in parameters.items() if p.default is not inspect.Parameter.empty}
    assert optional == set(kind.INPUT_TYPES().get("optional", {}))
    assert kind.CATEGORY == "scenetex" and kind.__doc__ and len(kind.RETURN_TYPES) == len(kind.RETURN_NAMES)
    for key, (type_, *options) in inputs_of(kind).items():
        if isinstance(type_, list):
            assert type_ and all(isinstance(choice, str) for choice in type_)
        elif type_ in WIDGETS:
            default = options[0]["default"]
            assert type(default) is WIDGETS[type_], key
            assert options[0].get("min", default) <= default <= options[0].get("max", default), key
        else:
            assert type_ in ("IMAGE", "SCENETEX_SCENE", "SCENETEX_VIEWS", "SCENETEX_MODEL", "SCENETEX_MESH")


def test_both_formats_of_the_example_are_one_graph():
    """What ComfyUI's page makes of the one is the other: inputs by name, links by number, a widget behind each seed."""
    drawn, wanted = (json.loads((GRAPHS / f"texture_room{end}.json").read_text()) for end in ("", "_api"))
    links = {number: [str(source), slot] for number, source, slot, *_ in drawn["links"]}
    found = {}
    for node in drawn["nodes"]:
        kind = CLASSES.get(node["type"])
        values, linked = list(node["widgets_values"]), {i["name"]: links[i["link"]] for i in node["inputs"]}
        given = {}
        for name in inputs_of(kind) if kind else ("images",):
            given[name] = linked[name] if name in linked else values.pop(0)
            if name == "seed":
                assert values.pop(0) == "fixed"
        assert not values
        found[str(node["id"])] = {"class_type": node["type"], "inputs": given}
    assert found == wanted
    for number, source, slot, target, place, type_ in drawn["links"]:
        ends = {node["id"]: node for node in drawn["nodes"]}
        assert number in ends[source]["outputs"][slot]["links"] and ends[target]["inputs"][place]["link"] == number
        assert ends[source]["outputs"][slot]["type"] == type_ == ends[target]["inputs"][place]["type"]


def test_graph_from_scan_to_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with torch.inference_mode():  # as ComfyUI does
        results = run_plainly(graph())
    views, depth = results["2"]
    assert len(views) == 6 and depth.shape == (6, 48, 64, 3) and depth.dtype == torch.float32
    assert depth.min() == 0 <= depth.max() <= 1
    views, images = results["4"]
    assert len(views) == 10 and images.shape == (10, 48, 64, 3) and images.dtype == torch.float32
    assert 0 <= images.min() < images.max() <= 1 and images.std() > 0.05
    baked, completed = results["5"][0], results["6"][0]
    assert sum(page.sum() for page in completed.coverage) > sum(page.sum() for page in baked.coverage)
    shown = results["9"][0]
    assert shown.shape == images.shape and (shown - images).abs().mean() < 0.15
    assert results["7"] == ("rooms/my room_00001.glb",)
    model = trimesh.load(tmp_path / "output" / "rooms" / "my room_00001.glb")
    assert sum(len(part.faces) for part in model.geometry.values()) > 1000


def test_photos_are_baked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scene = CLASSES["ScenetexLoadScene"]().load(str(ROOT / "scenes" / "sample_room"))[0]
    views, _ = CLASSES["ScenetexKeyframes"]().choose(scene, 2, 64, 48)
    (photos,) = CLASSES["ScenetexPhotos"]().read(scene, views)
    assert photos.shape == (2, 480, 640, 3)
    (mesh,) = CLASSES["ScenetexBake"]().bake(scene, views, photos, 256, "new", False)
    (shown,) = CLASSES["ScenetexRender"]().render(mesh, views)
    small = torch.nn.functional.avg_pool2d(photos.movedim(-1, 1), 10).movedim(1, -1)
    assert (shown - small).abs().mean() < 0.05
    export = CLASSES["ScenetexExport"]()
    names = [export.export(mesh, "room", suffix)["result"][0] for suffix in ("obj", "glb", "glb")]
    assert names == ["room_00001.obj", "room_00002.glb", "room_00003.glb"]
    assert export.export(mesh, "room", "ply")["ui"]["3d"] == [
        {"filename": "room_00004.ply", "subfolder": "", "type": "output"}
    ]


def test_images_come_back():
    images = sys.modules[f"{NODES.__name__}.images"]
    picture = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), np.uint8)
    assert (np.array(images.to_arrays(images.to_tensor(list(picture)))) == picture).all()
    with_alpha = torch.ones(1, 2, 2, 4)
    assert images.to_arrays(with_alpha)[0].shape == (2, 2, 3)
    depth = images.depth_image(np.array([[0, 1, 2, 4]], np.float32))[0, :, 0]
    assert depth[0] == 0 and depth[1] == pytest.approx(1) and depth[1] > depth[2] > depth[3] > 0
    assert (images.depth_image(np.zeros((2, 2), np.float32)) == 0).all()
    with pytest.raises(scenetex.InputError, match="images of one size"):
        images.to_tensor([np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3, 3), np.uint8)])


def test_scene_is_read_again_when_a_file_changes(scan):
    kind = CLASSES["ScenetexLoadScene"]
    before = kind.IS_CHANGED(str(scan))
    assert kind.IS_CHANGED(str(scan)) == before
    file = next(scan.rglob("*.txt"))
    file.write_text(file.read_text() + "\n")
    assert kind.IS_CHANGED(str(scan)) != before
    assert kind.IS_CHANGED("/nowhere") == kind.IS_CHANGED("/nowhere")


def test_bad_input_is_one_line(scan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load = CLASSES["ScenetexLoadScene"]
    assert load.VALIDATE_INPUTS(str(scan)) is True
    assert load.VALIDATE_INPUTS("arkitscenes:/data#1") is True  # what load_scene takes beside paths
    assert load.VALIDATE_INPUTS(" ") == "path is empty; give the folder of a scan"
    assert load.VALIDATE_INPUTS("/nowhere").startswith("/nowhere: no such file or folder")
    assert load.VALIDATE_INPUTS(str(scan), "no.obj").startswith("no.obj: no such file")
    scene = scenetex.load_scene(scan)
    views = scenetex.render_views(scene, size=(64, 48))
    with pytest.raises(scenetex.InputError, match=r"^prompt is empty"):
        CLASSES["ScenetexGenerate"]().generate(scene, views, None, " ", 0, 1, 0.0, 0, 16)
    with pytest.raises(scenetex.InputError, match="for 3 views"):
        CLASSES["ScenetexBake"]().bake(scene, views, torch.zeros(2, 48, 64, 3), 256, "new", False)
    with pytest.raises(scenetex.InputError, match=r"^/no/model"):
        CLASSES["ScenetexLoadModel"]().load("/no/model", "cpu")
    for prefix in ("", "../out", "a/../../b", "/etc/x", "a//b", "x:y"):
        with pytest.raises(scenetex.InputError, match="is no name within the output folder"):
            CLASSES["ScenetexExport"]().export(None, prefix, "glb")
    assert not list(tmp_path.glob("output/*"))


@pytest.fixture
def comfyui(tmp_path):
    """Has ComfyUI execute graphs; gives what it said of each."""
    if not COMFYUI or not (Path(COMFYUI) / "execution.py").is_file():
        pytest.skip("needs a checkout of ComfyUI, named by SCENETEX_COMFYUI")
    nodes = shutil.copytree(FOLDER, tmp_path / "custom_nodes" / "scenetex")

    def run(*graphs: dict, interrupt: bool = False) -> list[dict]:
        python, script = os.environ.get("SCENETEX_COMFYUI_PYTHON", sys.executable), ROOT / "tests/comfyui_session.py"
        given = [COMFYUI, str(nodes), str(tmp_path / "out"), json.dumps(graphs), str(int(interrupt))]
        there = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        done = subprocess.run([python, str(script), *given], capture_output=True, text=True, cwd=COMFYUI, env=there)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_comfyuis_executor_runs_the_graph(comfyui, tmp_path):
    first, second, third = comfyui(graph(), graph(**{"5": {"texture_size": 128}}), graph(**{"1": {"path": "/none"}}))
    assert first["fits"] and "execution_success" in first["said"], first
    assert first["said"]["execution_cached"]["nodes"] == []
    assert [len(first["shown"][node]["images"]) for node in ("11", "8", "10")] == [6, 10, 10]
    assert first["shown"]["7"]["3d"] == [{"filename": "my room_00001.glb", "subfolder": "rooms", "type": "output"}]
    assert [1, 1] in first["bars"] and [6, 6] in first["bars"]
    model = trimesh.load(tmp_path / "out" / "rooms" / "my room_00001.glb")
    assert sum(len(part.faces) for part in model.geometry.values()) > 1000
    # What does not hang on the texture's size is not made again.
    assert {"1", "2", "3", "4"} <= set(second["said"]["execution_cached"]["nodes"])
    assert "5" not in second["said"]["execution_cached"]["nodes"] and "execution_success" in second["said"]
    assert not third["fits"] and "/none: no such file or folder" in json.dumps(third["wrong"])


def test_comfyui_shows_errors_in_a_line(comfyui):
    (came,) = comfyui(graph(**{"4": {"prompt": " "}}))
    error = came["said"]["execution_error"]
    assert error["exception_message"].strip() == "prompt is empty; say what the room is to look like"


def test_comfyuis_cancel_ends_the_run(comfyui, tmp_path):
    (came,) = comfyui(graph(), interrupt=True)
    assert "execution_interrupted" in came["said"] and not list((tmp_path / "out").glob("rooms/*"))

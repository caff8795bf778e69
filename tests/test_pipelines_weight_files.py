"""Files of weights by their name, their folder or a Hub id, of which a folder stands for the Hub."""

import os
from pathlib import Path

import pytest
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from scenetex import InputError
from scenetex.pipelines import weight_files
from scenetex.pipelines.weight_files import find_weights

USUAL = ("usual.safetensors", "models/usual.safetensors")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Gives the folder of the repository owner/name."""
    folder = tmp_path / "hub" / "owner" / "name"
    (folder / "models").mkdir(parents=True)

    def download(repository, name):
        path = tmp_path / "hub" / repository / name
        if not path.is_file():
            raise EntryNotFoundError("404") if path.parents[1].exists() else OSError("no network")
        return str(path)

    def listed(repository):
        return [str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()]

    monkeypatch.setattr(weight_files, "hf_hub_download", download)
    monkeypatch.setattr(weight_files, "list_repo_files", listed)
    return folder


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_usual_names_come_first(hub, tmp_path):
    touch(hub / "other.safetensors", hub / "models" / "usual.safetensors")
    assert find_weights("owner/name", "a LoRA", USUAL).path == hub / "models" / "usual.safetensors"
    assert find_weights(str(hub), "a LoRA", USUAL).path == hub / "models" / "usual.safetensors"
    touch(hub / "usual.safetensors")
    assert find_weights("owner/name", "a LoRA", USUAL).path == hub / "usual.safetensors"
    assert find_weights("owner/name/other.safetensors", "a LoRA", USUAL).path == hub / "other.safetensors"
    assert find_weights(str(hub / "other.safetensors"), "a LoRA", USUAL).path == hub / "other.safetensors"


def test_else_the_only_one(hub):
    touch(hub / "odd.safetensors", hub / "README.md", hub / "models" / "deep.safetensors")
    for source in ("owner/name", str(hub)):
        assert find_weights(source, "a LoRA", USUAL).path == hub / "odd.safetensors"
    touch(hub / "second.safetensors")
    for source in ("owner/name", str(hub)):
        with pytest.raises(InputError, match=r"has 2 files of weights \(.*second.*\); name the one to take"):
            find_weights(source, "a LoRA", USUAL)


def test_what_belongs_to_it_is_found_beside(hub):
    touch(
        hub / "models" / "usual.safetensors", hub / "models" / "encoder" / "config.json", hub / "more" / "config.json"
    )
    for source in ("owner/name", str(hub)):
        file = find_weights(source, "a LoRA", USUAL)
        assert file.beside("encoder/config.json") == hub / "models" / "encoder" / "config.json"
        assert file.beside("../more/config.json").resolve() == hub / "more" / "config.json"
        assert file.beside("nothing.json") is None
    assert find_weights("owner/name", "a LoRA", USUAL).beside("../../name/config.json") is None


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("none", "no such file or folder; pass a LoRA"),
        ("./owner/name", "no such file or folder"),
        ("~/lora", "no such file or folder"),
        ("/no/such/folder", "no such file or folder"),
        ("owner//x.safetensors", "no such file or folder"),
        ("owner/name", "has no usual.safetensors nor models/usual.safetensors"),
        ("owner/name/x.safetensors", "owner/name has no such file; check the name"),
        ("other/name", r"cannot be loaded \(no network\); check the name and the network"),
        ("a\0b", "cannot be used"),
    ],
)
def test_what_is_not_there_is_named(hub, source, message):
    with pytest.raises(InputError, match=message) as error:
        find_weights(source, "a LoRA", USUAL)
    assert "\n" not in str(error.value)


def test_what_is_not_cached_without_a_network_is_no_missing_file(hub, monkeypatch):
    def download(repository, name):
        raise LocalEntryNotFoundError("offline")

    monkeypatch.setattr(weight_files, "hf_hub_download", download)
    with pytest.raises(InputError, match=r"cannot be loaded \(offline\)"):
        find_weights("owner/name", "a LoRA", USUAL)


def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.safetensors")
    for source in (tmp_path, tmp_path / "x.safetensors"):
        with pytest.raises(InputError):
            find_weights(str(source), "a LoRA", USUAL)

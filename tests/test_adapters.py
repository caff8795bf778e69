"""LoRAs and IP-Adapters as options name them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenetex import Generation, InputError
from scenetex.adapters import Adapter, read_adapter


@pytest.mark.parametrize(
    ("text", "source", "weight"),
    [
        ("loras/oak", "loras/oak", 1.0),
        ("loras/oak:0.8", "loras/oak", 0.8),
        ("owner/name:-1", "owner/name", -1.0),
        ("owner/name/oak.safetensors:2e-1", "owner/name/oak.safetensors", 0.2),
        (r"C:\loras\oak", r"C:\loras\oak", 1.0),
        (r"C:\loras\oak.safetensors:.5", r"C:\loras\oak.safetensors", 0.5),
        ("C:/loras/oak", "C:/loras/oak", 1.0),
        ("C:oak", "C:oak", 1.0),
        ("a:b/c", "a:b/c", 1.0),
        ("a:b/c:0", "a:b/c", 0.0),
    ],
)
def test_a_weight_stands_behind_the_last_colon(text, source, weight):
    assert read_adapter(text, "--lora") == Adapter(source, weight)


def test_what_lies_there_is_meant(tmp_path):
    (tmp_path / "oak:0.5").mkdir()
    assert read_adapter(f"{tmp_path}/oak:0.5", "--lora") == Adapter(f"{tmp_path}/oak:0.5")
    assert read_adapter(f"{tmp_path}/oak:0.5:2", "--lora") == Adapter(f"{tmp_path}/oak:0.5", 2.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no weights"),
        (":0.5", "names no weights"),
        ("  :1", "names no weights"),
        ("oak:abc", "the weight 'abc' is not a number; choose -10 to 10"),
        ("oak:", "the weight '' is not a number"),
        ("oak:nan", "weight nan is out of range"),
        ("oak:inf", "weight inf is out of range"),
        ("oak:-11", "weight -11.0 is out of range"),
        ("oak:\udcff", "is no text in UTF-8"),
    ],
)
def test_what_is_not_understood_is_said(text, message):
    with pytest.raises(InputError, match=r"^--lora ") as error:
        read_adapter(text, "--lora")
    assert message in str(error.value) and "\n" not in str(error.value)


@settings(max_examples=200)
@given(st.text("ab:/\\.1-e0 C", max_size=12))
def test_any_text_is_read_or_refused(text):
    try:
        found = read_adapter(text, "--lora")
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert text.startswith(found.source) and -10 <= found.weight <= 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lora": ("oak:abc",)}, "the weight 'abc' is not a number"),
        ({"lora": "oak"}, "lora 'oak' is not understood; give a list"),
        ({"scheduler": "lmc"}, "scheduler 'lmc' is not known; choose default, ddim"),
        ({"reference": "photo.png"}, "needs weights for image prompts; add --ip-adapter"),
        ({"ip_adapter": "h94/IP-Adapter"}, "has no image to go by; add --reference"),
    ],
)
def test_settings_of_generation_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        Generation("a room", **options)

"""FID, Inception Score and CLIP score: torchmetrics on small networks, and weights that are missing or wrong."""

import pickle
import sys

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from scenetex import InputError
from scenetex.metrics import feature_scores
from scenetex.metrics.feature_scores import clip_score, frechet_distance, inception_score

WEIGHTS = "weights.pth"


def pictures(count: int, seed: int = 0, shift: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return list((rng.integers(0, 200, (count, 12, 16, 3)) + shift).astype(np.uint8))


class Means(torch.nn.Module):
    """Mean colours of a picture's four quarters, in place of Inception's features."""

    num_features = 12

    def forward(self, x):
        return torch.nn.functional.adaptive_avg_pool2d(x.float() / 255, 2).flatten(1)


@pytest.fixture
def small(monkeypatch):
    pytest.importorskip("torchmetrics", reason="needs the extra metrics")
    monkeypatch.setattr(feature_scores, "_inception", lambda weights, feature: Means())


def features(images) -> np.ndarray:
    return (
        np.stack([[q.mean(axis=(0, 1)) for q in quarters(im / 255)] for im in images])
        .transpose(0, 2, 1)
        .reshape(-1, 12)
    )


def quarters(image):
    return [image[r : r + 6, c : c + 8] for r in (0, 6) for c in (0, 8)]


def test_frechet_distance_is_that_of_two_gaussians(small):
    real, other = pictures(40), pictures(40, 1, 30)
    a, b = features(real), features(other)
    ca, cb = np.cov(a.T), np.cov(b.T)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * sqrtm(ca @ cb).real)
    assert frechet_distance(real, other, WEIGHTS) == pytest.approx(expected, rel=1e-3)
    assert frechet_distance(real, real, WEIGHTS) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("count", [10, 45])
def test_inception_score_is_that_of_its_formula(small, count):
    images = pictures(count, 2)
    images = [np.clip(im * (0.2 + 0.8 * (k % 5) / 4), 0, 255).astype(np.uint8) for k, im in enumerate(images)]
    p = torch.tensor(features(images)).softmax(1)
    whole = float((p * (p.log() - p.mean(0).log())).sum(1).mean().exp())
    state = torch.get_rng_state()
    mean, deviation = inception_score(images, WEIGHTS)
    assert torch.equal(torch.get_rng_state(), state), "the caller's random numbers are left alone"
    assert (mean, deviation) == pytest.approx(inception_score(images, WEIGHTS), nan_ok=True)
    if count < 20:
        assert mean == pytest.approx(whole, rel=1e-5) and np.isnan(deviation)
    else:
        assert 1 <= mean <= whole + 1e-6 and deviation >= 0


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    """A CLIP of random weights, as transformers stores it."""
    pytest.importorskip("torchmetrics", reason="needs the extra metrics")
    from tiny_pipeline import make_tokenizer, text_config
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPVisionConfig

    folder = tmp_path_factory.mktemp("clip")
    tokenizer = make_tokenizer(tmp_path_factory.mktemp("tokens"))
    size = {"height": 16, "width": 16}
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4, image_size=16, patch_size=8
    )
    torch.manual_seed(0)
    model = CLIPModel(
        CLIPConfig(text_config=text_config().to_dict(), vision_config=vision.to_dict(), projection_dim=24)
    ).eval()
    model.save_pretrained(folder)
    CLIPProcessor(CLIPImageProcessor(size=size, crop_size=size), tokenizer).save_pretrained(folder)
    return folder


def test_clip_score_is_the_mean_cosine(clip_folder):
    from transformers import CLIPModel, CLIPProcessor

    images, prompts = pictures(20), ["a red room" if k % 2 else "a blue hall" for k in range(20)]
    model, processor = CLIPModel.from_pretrained(clip_folder).eval(), CLIPProcessor.from_pretrained(clip_folder)
    inputs = processor(text=prompts, images=images, return_tensors="pt", padding=True)
    with torch.no_grad():
        out = model(**inputs)
    cosine = (out.image_embeds * out.text_embeds).sum(1)  # transformers returns them normalised
    expected = max(0.0, 100 * float(cosine.mean()))
    assert clip_score(images, prompts, clip_folder) == pytest.approx(expected, abs=1e-3)


def test_missing_weights_are_named_with_what_to_download(tmp_path):
    pytest.importorskip("torchmetrics", reason="needs the extra metrics")
    with pytest.raises(InputError, match=r"nothing: no such folder; download a CLIP model") as said:
        clip_score(pictures(1), ["a room"], tmp_path / "nothing")
    assert "\n" not in str(said.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="cannot be loaded as a CLIP model"):
        clip_score(pictures(1), ["a room"], tmp_path / "empty")


def test_inception_weights_that_are_none(tmp_path):
    pytest.importorskip("torchmetrics", reason="needs the extra metrics")
    try:
        import torch_fidelity.feature_extractor_inceptionv3  # noqa: F401
    except (ImportError, RuntimeError):
        pytest.skip("needs torch-fidelity, with a torchvision of the same build as torch")
    with pytest.raises(InputError, match=r"absent\.pth: no such file; download weights-inception-2015-12-05"):
        frechet_distance(pictures(2), pictures(2), tmp_path / "absent.pth")
    torch.save({"other": torch.ones(2)}, tmp_path / "other.pth")
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04")
    (tmp_path / "short.pth").write_bytes(b"\x80\x02K")
    (tmp_path / "code.pth").write_bytes(pickle.dumps(Trap(str(tmp_path / "ran"))))
    for name in ("other.pth", "cut.pth", "short.pth", "code.pth"):
        with pytest.raises(InputError, match=f"{name}: does not hold the weights of FID's Inception v3"):
            inception_score(pictures(2), tmp_path / name)
    assert not (tmp_path / "ran").exists(), "a weight file must not run anything"


class Trap:
    """Pickled, it writes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("call", [frechet_distance, inception_score, clip_score])
def test_without_the_extra_the_line_says_how_to_install_it(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    more = {frechet_distance: (pictures(2), WEIGHTS), inception_score: (WEIGHTS,), clip_score: (["a", "b"], "clip")}
    with pytest.raises(InputError, match=r"pip install .*\[metrics\]"):
        call(pictures(2), *more[call])


def test_numbers_that_do_not_fit(small):
    with pytest.raises(InputError, match="1 images are too few"):
        frechet_distance(pictures(2), pictures(1), WEIGHTS)
    with pytest.raises(InputError, match="1 prompts for 2 images"):
        clip_score(pictures(2), ["a room"], "clip")

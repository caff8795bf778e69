"""What trained eyes tell: nothing of equal images, more of a lost pattern than of a shifted one."""

import pytest
import torch

from scenetex.models.image_features import Eyes, unlikeness


@pytest.fixture(scope="module")
def eyes():
    return Eyes()


def stripes(shift: int) -> torch.Tensor:
    return (((torch.arange(64) + shift) // 4 % 2) * 1.0 - 0.5).expand(1, 3, 64, 64)


def test_features_are_of_unit_length_and_coarser_and_coarser(eyes):
    found = eyes(torch.rand(2, 3, 64, 96) * 2 - 1)
    assert [tuple(f.shape[2:]) for f in found] == [(32, 48), (16, 24), (8, 12), (4, 6)]
    for f in found:
        torch.testing.assert_close(f.norm(dim=1), torch.ones(2, *f.shape[2:]), rtol=0, atol=1e-3)


def test_a_blurred_pattern_is_less_alike_than_one_that_lies_elsewhere(eyes):
    truth, moved, blurred = eyes(stripes(0)), eyes(stripes(3)), eyes(stripes(0) * 0)
    assert unlikeness(truth, truth) == 0
    assert 0 < unlikeness(truth, moved) < unlikeness(truth, blurred) < 4


def test_training_leaves_it_as_it_is(eyes):
    before = {name: value.clone() for name, value in eyes.state_dict().items()}
    eyes.train()
    image = torch.rand(2, 3, 32, 32, requires_grad=True)
    unlikeness(eyes(image), eyes(image.detach().flip(3))).backward()
    assert image.grad.abs().sum() > 0 and not any(p.requires_grad for p in eyes.parameters())
    assert all(torch.equal(value, before[name]) for name, value in eyes.state_dict().items())

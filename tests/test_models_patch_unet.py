"""The UNet on patches: ordinary at the patches, whole outside, kept by its folder, and with blocks around it."""

import torch
from diffusers import UNet2DConditionModel
from tiny_unet import call, inputs, make_unet, plain, views_of
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from scenetex import MultiViewUNet, PatchUNet
from scenetex.models.patch_unet import patch_size


def patched() -> PatchUNet:
    torch.manual_seed(0)
    options = {key: value for key, value in make_unet().config.items() if not key.startswith("_")}
    return PatchUNet(patch_size=2, **options).eval().requires_grad_(False)


def test_it_is_the_ordinary_one_on_folded_latents():
    unet, given = patched(), inputs(1, 2, (8, 12))
    ordinary = make_unet(in_channels=20, out_channels=16)
    ordinary.load_state_dict(unet.state_dict())
    flat = {k: v.flatten(0, 1) for k, v in given.items()}
    expected = ordinary(**flat | {"sample": pixel_unshuffle(flat["sample"], 2)}).sample
    assert torch.equal(unet(**flat).sample, pixel_shuffle(expected, 2))
    assert torch.equal(unet(**flat, return_dict=False)[0], pixel_shuffle(expected, 2))
    assert (unet.config.in_channels, unet.config.out_channels) == (5, 4)
    assert (patch_size(unet), patch_size(ordinary)) == (2, 1)


def test_its_folder_gives_it_back(tmp_path, capfd):
    unet = patched()
    unet.save_pretrained(tmp_path)
    loaded = PatchUNet.from_pretrained(tmp_path)
    assert loaded.config.patch_size == 2 and loaded.config.in_channels == 5
    assert all(torch.equal(value, unet.state_dict()[name]) for name, value in loaded.state_dict().items())
    assert "not expected" not in capfd.readouterr().err


def test_blocks_fit_around_it(tmp_path):
    unet, given = patched(), inputs(1, 3, (8, 12))
    model = MultiViewUNet.from_unet(unet).eval()
    condition = torch.randn(1, 3, 5, 8, 12)
    assert torch.equal(call(model, given, views_of(0, 3, (32, 48)), condition), plain(unet, given))
    for parameter in model.multiview_parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    changed = call(model, given, views_of(0, 3, (32, 48)), condition)
    assert not torch.allclose(changed, call(model, given, views_of(0, 3, (32, 48)), condition + 1), atol=1e-3)
    model.save_pretrained(tmp_path)
    loaded = MultiViewUNet.from_pretrained(tmp_path).eval()
    assert type(loaded.unet) is PatchUNet
    # Read from a file, weights lie unaligned in memory, and sums come in another order.
    torch.testing.assert_close(call(loaded, given, views_of(0, 3, (32, 48)), condition), changed, rtol=1e-3, atol=1e-4)
    assert isinstance(MultiViewUNet.from_unet(make_unet()).unet, UNet2DConditionModel)

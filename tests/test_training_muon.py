"""Muon: orthogonal updates as large as Adam's, alike in any number of processes, and no worse a teacher."""

import copy

import pytest
import torch
from torch import nn

import scenetex.training.muon
from scenetex.training.muon import Muon, _iterated, _iterated_small, muon, orthogonalized


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (16, 16), (1, 9), (9, 1)])
@pytest.mark.parametrize("narrow", [True, False])
def test_updates_have_the_gradients_directions_and_singular_values_near_one(shape, narrow, monkeypatch):
    monkeypatch.setattr(scenetex.training.muon, "_has_bfloat16", lambda device: narrow)
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
    found = u.mT @ orthogonalized(matrix).float() @ vt.mT
    values = found.diagonal()
    assert 0.6 < float(values.min()) and float(values.max()) < 1.3
    assert float((found - values.diag()).abs().max()) < 0.05


def test_the_short_way_leads_where_the_long_one_does():
    matrix = torch.randn(12, 60, generator=torch.Generator().manual_seed(0)) * torch.logspace(0, -3, 12)[:, None]
    matrix = matrix / matrix.norm()
    torch.testing.assert_close(_iterated_small(matrix), _iterated(matrix), rtol=0, atol=1e-4)


def test_no_gradient_stays_none():
    assert not orthogonalized(torch.zeros(4, 9)).any()


def test_one_learning_rate_moves_matrices_and_vectors_alike():
    net = nn.Conv2d(24, 16, 3)
    before = [p.detach().clone() for p in net.parameters()]
    for p in net.parameters():
        p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(1))
    Muon(net.parameters(), lr=0.1, weight_decay=0.0).step()
    moved = [float((p.detach() - b).square().mean().sqrt()) for p, b in zip(net.parameters(), before, strict=True)]
    # 0.2 as for Adam in the long run; its first step is the whole learning rate.
    assert moved[0] == pytest.approx(0.02, rel=0.2) and moved[1] == pytest.approx(0.1, rel=1e-3)


def test_vectors_go_as_adamw_would():
    one, two = (nn.Parameter(torch.tensor([1.0, -2.0, 3.0])) for _ in range(2))
    settings = dict(lr=0.05, betas=(0.9, 0.99), weight_decay=0.1)
    ours, theirs = Muon([one], **settings), torch.optim.AdamW([two], **settings)
    for _ in range(5):
        for p, optimizer in ((one, ours), (two, theirs)):
            optimizer.zero_grad()
            (p**2).sum().backward()
            optimizer.step()
    torch.testing.assert_close(one, two)


def test_rows_of_embeddings_that_a_step_does_not_see_stay():
    net = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 4))
    optimizer = muon(net, net.parameters(), lr=0.1, weight_decay=0.0)
    before = net[0].weight.detach().clone()
    net(torch.tensor([3])).sum().backward()
    optimizer.step()
    same = (net[0].weight == before).all(1)
    assert same.tolist() == [row != 3 for row in range(10)]


def test_its_state_comes_back():
    def gradient(net, step):
        for p in net.parameters():
            p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(step))

    nets = [nn.Linear(5, 3), nn.Linear(5, 3)]
    nets[1].load_state_dict(nets[0].state_dict())
    optimizers = [muon(net, net.parameters(), lr=0.1) for net in nets]
    for step in range(3):
        gradient(nets[0], step)
        optimizers[0].step()
    nets[1].load_state_dict(nets[0].state_dict())
    optimizers[1].load_state_dict(copy.deepcopy(optimizers[0].state_dict()))
    for net, optimizer in zip(nets, optimizers, strict=True):
        gradient(net, 3)
        optimizer.step()
    assert torch.equal(nets[0].weight, nets[1].weight) and torch.equal(nets[0].bias, nets[1].bias)

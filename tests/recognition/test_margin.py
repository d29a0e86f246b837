"""Heads: recorded logits, derivatives against differences, and shards against one process."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sface_data.recognition.margin import Head, gather_batch
from sface_data.recognition.recipe import MARGINS, MarginConfig
from sface_data.training.distributed import ProcessGroup, process_group
from tests.processes import two_processes

SIZES = {"cosface": 0.35, "arcface": 0.5, "elasticface": 0.35, "adaface": 0.4}


def head_of(name: str, weight: torch.Tensor) -> Head:
    head = Head(MarginConfig(name, margin=SIZES[name]), *weight.shape).to(weight.dtype)
    with torch.no_grad():
        head.weight.copy_(weight)
    return head


@pytest.mark.parametrize(("name", "published"), [("cosface", "CosFace"), ("arcface", "ArcFace")])
def test_logits_are_those_of_the_published_code(golden: Path, name: str, published: str) -> None:
    recorded = {key: torch.from_numpy(value) for key, value in np.load(golden / "margin-heads.npz").items()}
    head = head_of(name, recorded[f"{published}_kernel"].T)
    logits = head.logits(recorded["embeddings"], recorded["labels"])
    assert torch.allclose(logits, recorded[f"{published}_logits"], atol=1e-4)


def test_elasticface_draws_its_margins() -> None:
    """Margin 0.35 + 0.05 n for the true class, and none for others."""
    weight, embeddings = torch.eye(3, 4), torch.tensor([[1.0, 1, 0, 0], [0, 0, 2, 0]])
    logits = head_of("elasticface", weight).logits(embeddings, torch.tensor([1, 2]), torch.tensor([1.0, -2.0]))
    half = 0.5**0.5
    expected = 64 * torch.tensor([[half, half - 0.40, 0], [0, 0, 1 - 0.25]])
    assert torch.allclose(logits, expected, atol=1e-4)


def test_adaface_follows_the_norms() -> None:
    """By hand, from the paper's equations, for a mean norm of 2 and a spread of 1."""
    weight, embeddings = torch.eye(2, 3), torch.tensor([[0.6, 0.8, 0.0], [4.0, 0.0, 3.0]])
    head = head_of("adaface", weight).eval()
    head.norm_mean.fill_(2.0)
    head.norm_std.fill_(1.0)
    logits = head.logits(embeddings, torch.tensor([0, 0]))
    quality = [max(min((norm - 2) / 1.001 * 0.333, 1), -1) for norm in (1.0, 5.0)]
    expected = [
        64 * (np.cos(np.arccos(cosine) - 0.4 * q) - (0.4 * q + 0.4))
        for cosine, q in zip((0.6, 0.8), quality, strict=True)
    ]
    assert logits[:, 0].tolist() == pytest.approx(expected, rel=1e-4)
    assert logits[:, 1].tolist() == pytest.approx([64 * 0.8, 0.0], abs=1e-4)


def test_adaface_remembers_norms_in_training_only() -> None:
    head = head_of("adaface", torch.eye(2, 3))
    embeddings = torch.tensor([[3.0, 0, 0], [0, 5.0, 0]])
    head.eval().logits(embeddings, torch.tensor([0, 1]))
    assert (head.norm_mean.item(), head.norm_std.item()) == (20.0, 100.0)
    head.train().logits(embeddings, torch.tensor([0, 1]))
    assert head.norm_mean.item() == pytest.approx(20 * 0.99 + 4 * 0.01)
    assert head.norm_std.item() == pytest.approx(100 * 0.99 + 2**0.5 * 0.01)


@pytest.mark.parametrize("name", MARGINS)
def test_derivatives_of_loss_are_those_of_differences(name: str) -> None:
    torch.manual_seed(1)
    weight, labels = torch.randn(7, 5, dtype=torch.float64), torch.tensor([3, 0, 6, 3])
    head = head_of(name, weight).eval()
    if name == "adaface":  # its margin is taken for constant, as the paper has it
        head.norm_std.fill_(1e9)
    head.config = MarginConfig(name, scale=8.0, margin=SIZES[name])
    normal = torch.randn(4, dtype=torch.float64)
    embeddings = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda e: head.loss(e, labels, normal), (embeddings,), atol=1e-6)
    loss = head.loss(embeddings, labels, normal)
    (slope,) = torch.autograd.grad(loss, head.weight)
    step = 1e-6
    for place in ((3, 0), (6, 4), (1, 2)):
        with torch.no_grad():
            head.weight[place] += step
            above = head.loss(embeddings, labels, normal)
            head.weight[place] -= 2 * step
            below = head.loss(embeddings, labels, normal)
            head.weight[place] += step
        assert slope[place].item() == pytest.approx((above - below).item() / (2 * step), abs=1e-6)


def test_arcface_has_the_slope_of_its_margin() -> None:
    """d cos(a + m) / d cos(a) = sin(a + m) / sin(a), not 1, as it would be with the margin held constant."""
    angle = torch.tensor(1.1, dtype=torch.float64)
    head = head_of("arcface", torch.eye(2, 2, dtype=torch.float64))
    embedding = torch.stack([angle.cos(), angle.sin()])[None].requires_grad_()
    (slope,) = torch.autograd.grad(head.logits(embedding, torch.tensor([0]))[0, 0], embedding)
    along = torch.stack([-angle.sin(), angle.cos()])  # how the embedding moves with the angle
    assert (slope[0] @ along).item() == pytest.approx(-64 * np.sin(1.1 + 0.5), rel=1e-6)


def test_arcface_has_a_slope_at_both_ends() -> None:
    head = head_of("arcface", torch.eye(2, 2))
    embeddings = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    head.loss(embeddings, torch.tensor([0, 0])).backward()
    assert torch.isfinite(embeddings.grad).all()


def test_cross_entropy_is_torchs() -> None:
    torch.manual_seed(2)
    head = head_of("cosface", torch.randn(9, 6))
    embeddings, labels = torch.randn(5, 6, requires_grad=True), torch.tensor([0, 8, 4, 4, 1])
    ours = head.loss(embeddings, labels)
    theirs = F.cross_entropy(head.logits(embeddings, labels), labels)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    for a, b in zip(*(torch.autograd.grad(x, [embeddings, head.weight]) for x in (ours, theirs)), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_fresh_weights_do_not_depend_on_the_processes() -> None:
    def fresh(group: ProcessGroup) -> torch.Tensor:
        torch.manual_seed(5)
        return Head(MarginConfig(), 7, 4, group).weight.detach()

    whole = fresh(ProcessGroup())
    for rank in range(3):
        assert torch.equal(fresh(ProcessGroup(rank, 3)), whole[rank::3])


def sharded(group: ProcessGroup) -> dict[str, torch.Tensor]:
    """Loss and gradients of each head on one batch, put together from all processes."""
    result = {}
    for name in MARGINS:
        torch.manual_seed(3)
        whole, normal = torch.randn(6, 5), torch.randn(6)
        labels = torch.tensor([0, 3, 6, 6, 2, 5])
        head = Head(MarginConfig(name, margin=SIZES[name]), 7, 5, group)
        mine = whole[group.rank :: group.size].clone().requires_grad_()
        loss = head.loss(gather_batch(mine, group), labels, normal)
        loss.backward()
        result[f"{name} loss"] = loss.detach()
        result[f"{name} weight"] = group.all_rows(head.weight.grad, 7)
        # Averaged over processes it is that of the whole batch.
        result[f"{name} embeddings"] = group.interleaved(mine.grad) / group.size
    return result


def save_sharded(path: Path) -> None:
    with process_group(torch.device("cpu")) as group:
        result = sharded(group)
        if group.rank == 0:
            torch.save(result, path)


def test_classes_on_two_processes_are_those_on_one(tmp_path: Path) -> None:
    result = tmp_path / "result.pt"
    two_processes(save_sharded, result)
    theirs, ours = torch.load(result, weights_only=True), sharded(ProcessGroup())
    assert theirs.keys() == ours.keys()
    for name, value in ours.items():
        assert torch.allclose(theirs[name], value, rtol=1e-4, atol=1e-6), name

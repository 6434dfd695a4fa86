"""The losses, against numbers worked out by hand."""

import math

import pytest
import torch

from voice_rl_plugin.domain.frame import MOODS, OPERATIONS, PROPERTIES, TAGS
from voice_rl_plugin.understanding.frames import HEAD_SIZES
from voice_rl_training.batches import Batch
from voice_rl_training.corpus.build import UNKNOWN
from voice_rl_training.losses import choice_loss, clause_means, reading_loss

LOG2 = math.log(2)


def batch(*, moods: int = 0, operations: int = 0, properties: int = 0, tags: int = 0, begins: int = 0) -> Batch:
    """Return a batch of two sentences, of three and of two tokens, with the same label everywhere."""
    padding = torch.tensor([[False, False, False], [False, False, True]])

    def label(value: int) -> torch.Tensor:
        return torch.full((2, 3), value).masked_fill(padding, UNKNOWN)

    return {
        "padding": padding,
        "clause_starts": torch.tensor([[1, 0, 0], [1, 0, UNKNOWN]]),
        "weights": torch.ones(2),
        "moods": label(moods),
        "operations": label(operations),
        "properties": label(properties),
        "tags": label(tags),
        "begins": label(begins),
    }


def test_clause_means_by_hand() -> None:
    """The clauses (1, 3) and (5), and (7, 9) without its padding: means 2, 5 and 8 at the tokens 0, 2 and 3."""
    logits = torch.tensor([[1.0, 3.0, 5.0], [7.0, 9.0, 1000.0]])[..., None]
    starts = torch.tensor([[1, 0, 1], [1, 0, UNKNOWN]])
    padding = torch.tensor([[False, False, False], [False, False, True]])
    means, first = clause_means(logits, torch.zeros(2, 3), starts, padding)

    assert means[:, 0].tolist() == [2.0, 5.0, 8.0]
    assert first.tolist() == [0, 2, 3]


def test_clause_means_weigh_their_tokens() -> None:
    """Weights log 3 and 0 count the tokens 1 and 3 as 3 to 1: the mean is 1.5."""
    weights = torch.tensor([[math.log(3), 0.0]])
    means, _ = clause_means(torch.tensor([[[1.0], [3.0]]]), weights, torch.tensor([[1, 0]]), torch.zeros(1, 2, dtype=torch.bool))

    assert means[:, 0].tolist() == pytest.approx([1.5])


def test_what_is_refused_counts_less() -> None:
    """With a weight of 0 for refused sentences, the operation of a prohibition is not learned; its mood is."""
    output = torch.zeros(2, 3, sum(HEAD_SIZES))
    forbidding = batch(moods=MOODS.index("prohibition"), operations=1)
    _, parts = reading_loss(output, forbidding, refused_weight=0.0)

    assert parts["operations"] == 0.0
    assert parts["moods"] == pytest.approx(math.log(len(MOODS)))


def test_reading_loss_of_knowing_nothing() -> None:
    """Equal logits lose log n in each classification and log 2 in each yes-or-no, whatever the smoothing."""
    total, parts = reading_loss(torch.zeros(2, 3, sum(HEAD_SIZES)), batch())
    wanted = {
        "moods": len(MOODS),
        "operations": len(OPERATIONS),
        "properties": len(PROPERTIES),
        "tags": len(TAGS),
        "begins": 2,
        "clauses": 2,
    }

    assert parts == pytest.approx({name: math.log(count) for name, count in wanted.items()}, rel=1e-5)
    assert float(total) == pytest.approx(
        math.log(len(MOODS)) + math.log(len(OPERATIONS)) + 0.7 * math.log(len(PROPERTIES)) + math.log(len(TAGS)) + LOG2, rel=1e-5
    )


def test_reading_loss_of_the_truth_is_nearly_nothing() -> None:
    """Large logits at the right places lose nothing but the smoothing."""
    output = torch.zeros(2, 3, sum(HEAD_SIZES))
    place = 0
    for size in HEAD_SIZES[:4]:
        output[..., place] = 30.0
        place += size
    output[..., -3] = -30.0
    output[:, 0, -2], output[:, 1:, -2] = 30.0, -30.0
    total, _ = reading_loss(output, batch(), smoothing=0.0)

    assert float(total) == pytest.approx(0.0, abs=1e-4)


def test_unknown_labels_are_left_out() -> None:
    """A head whose labels are all unknown loses nothing, and the others are as before."""
    blank = batch(operations=UNKNOWN, tags=UNKNOWN, begins=UNKNOWN)
    _, parts = reading_loss(torch.zeros(2, 3, sum(HEAD_SIZES)), blank)

    assert (parts["operations"], parts["tags"], parts["begins"]) == (0.0, 0.0, 0.0)
    assert parts["moods"] == pytest.approx(math.log(len(MOODS)), rel=1e-5)


def test_weights_count_in_the_clause_heads() -> None:
    """With weights 3 and 1 and logits that are right by log 8 and even, the mood loses (3 log(2) + log 9) / 4."""
    output = torch.zeros(2, 3, sum(HEAD_SIZES))
    output[0, :, 0] = math.log(8.0)  # softmax 8 / (8 + 8)
    one = batch()
    one["weights"] = torch.tensor([3.0, 1.0])
    _, parts = reading_loss(output, one, smoothing=0.0)

    assert len(MOODS) == 9
    assert parts["moods"] == pytest.approx((3 * LOG2 + math.log(9)) / 4, rel=1e-5)


def test_padding_has_no_loss() -> None:
    """What stands at a padded token does not matter."""
    output = torch.zeros(2, 3, sum(HEAD_SIZES))
    wild = output.clone()
    wild[1, 2] = 1e4

    assert float(reading_loss(wild, batch())[0]) == pytest.approx(float(reading_loss(output, batch())[0]))


def test_smoothing_by_hand() -> None:
    """With smoothing e and a right answer of probability q among n, each other (1 - q) / (n - 1)."""
    output = torch.zeros(2, 3, sum(HEAD_SIZES))
    output[..., 0] = math.log(8.0)  # q = 1/2, the others 1/16
    _, parts = reading_loss(output, batch(), smoothing=0.09)

    assert parts["moods"] == pytest.approx(0.92 * LOG2 + 0.08 * math.log(16), rel=1e-5)


def test_choice_loss_by_hand() -> None:
    """Soft targets: (log 4) for halves on two quarters, log 2 for one on a half; a forbidden choice costs nothing."""
    logs = torch.tensor([[0.25, 0.25, 0.5], [0.25, 0.25, 0.5]]).log()
    targets = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])

    assert float(choice_loss(logs, targets)) == pytest.approx((math.log(4) + LOG2) / 2)
    logs[1, 0] = -1e9
    assert float(choice_loss(logs, targets)) == pytest.approx((math.log(4) + LOG2) / 2)


def test_losses_have_gradients() -> None:
    """Both losses pull: their gradients are finite and not all zero."""
    output = torch.zeros(2, 3, sum(HEAD_SIZES), requires_grad=True)
    reading_loss(output, batch())[0].backward()  # type: ignore[no-untyped-call]

    assert output.grad is not None
    assert torch.isfinite(output.grad).all()
    assert output.grad.abs().sum() > 0

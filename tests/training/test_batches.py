"""Batches hold every sample once, padded by unknown labels."""

import numpy as np
import pytest
import torch

from voice_rl_training.batches import batches, collate, offsets_of
from voice_rl_training.corpus.build import UNKNOWN, Arrays, CorpusPlan, labels_of, pack, samples_of


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    """Return a few dozen packed samples."""
    plan = CorpusPlan(seed=5, homes=3, use="encoder", templates=False)
    return pack([(made.observation(), labels_of(made)) for made in samples_of(plan, "en")])


def test_offsets_by_hand() -> None:
    """Samples of 2, 3 and 1 tokens begin at 0, 2 and 5, and end at 6."""
    assert offsets_of({"lengths": np.array([2, 3, 1], np.int16)}).tolist() == [0, 2, 5, 6]


def test_collate_gives_back_each_sample(arrays: Arrays) -> None:
    """Rows are the samples' own tokens; what is beyond is padding with unknown labels."""
    offsets = offsets_of(arrays)
    batch = collate(arrays, offsets, np.array([4, 0, 9]))
    lengths = arrays["lengths"][[4, 0, 9]]

    assert batch["ids"].shape[:2] == (3, lengths.max())
    for row, (sample, length) in enumerate(zip((4, 0, 9), lengths, strict=True)):
        span = slice(offsets[sample], offsets[sample] + length)
        assert batch["ids"][row, :length].tolist() == arrays["ids"][span].tolist()
        assert batch["tags"][row, :length].tolist() == arrays["tags"][span].tolist()
        assert bool(batch["padding"][row, length:].all())
        assert not bool(batch["padding"][row, :length].any())
        assert (batch["moods"][row, length:] == UNKNOWN).all()
        assert batch["ids"][row, length:].sum() == 0
    assert float(batch["lexical"].max()) <= 255 / 200


def test_an_epoch_holds_every_sample_once(arrays: Arrays) -> None:
    """All tokens of all samples are seen once an epoch, in batches of about the wanted size."""
    epoch = list(batches(arrays, seed=1, epoch=0, tokens=200))

    assert sum(len(batch["weights"]) for batch in epoch) == len(arrays["lengths"])
    assert sum(int((~batch["padding"]).sum()) for batch in epoch) == int(arrays["lengths"].sum())
    assert len(epoch) > 3


def test_seed_and_epoch_fix_the_order(arrays: Arrays) -> None:
    """The same seed and epoch give the same batches; another epoch shuffles anew."""

    def first(seed: int, epoch: int) -> torch.Tensor:
        return torch.cat([batch["ids"].flatten() for batch in batches(arrays, seed=seed, epoch=epoch, tokens=200)])

    assert torch.equal(first(1, 0), first(1, 0))
    assert not torch.equal(first(1, 0), first(1, 1))
    assert not torch.equal(first(1, 0), first(2, 0))


def test_without_shuffling_short_comes_first(arrays: Arrays) -> None:
    """Unshuffled batches grow in length."""
    longest = [batch["ids"].shape[1] for batch in batches(arrays, seed=1, epoch=0, tokens=200, shuffle=False)]

    assert longest == sorted(longest)

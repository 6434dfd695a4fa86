"""The networks: shapes, padding, and what their switches do."""

import pytest
import torch

from tests.training.makers import make_networks
from voice_rl_plugin.domain.frame import MOODS, OPERATIONS, PROPERTIES
from voice_rl_plugin.understanding.candidates import CANDIDATE_FEATURES, CONTEXT_FEATURES
from voice_rl_plugin.understanding.features import LEXICAL, MAX_TOKENS, NGRAM_BUCKETS, NGRAM_IDS, WORD_BUCKETS, WORD_IDS
from voice_rl_plugin.understanding.frames import HEAD_SIZES
from voice_rl_training.networks import CLAUSE_HEADS, Encoder

Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def inputs(batch: int, count: int, *, seed: int = 0) -> Inputs:
    """Return random inputs of B utterances of T tokens."""
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randint(1, WORD_BUCKETS, (batch, count, WORD_IDS), generator=generator),
        torch.randint(1, NGRAM_BUCKETS, (batch, count, NGRAM_IDS), generator=generator),
        torch.rand(batch, count, LEXICAL, generator=generator),
        torch.stack(
            [
                torch.randint(0, len(OPERATIONS), (batch,), generator=generator),
                torch.randint(0, len(PROPERTIES), (batch,), generator=generator),
            ],
            1,
        ),
    )


@torch.no_grad()
def test_encoder_gives_a_row_of_heads_a_token() -> None:
    """The output is [B, T, H], up to the longest utterance."""
    encoder, _ = make_networks()

    assert encoder(*inputs(3, 5)).shape == (3, 5, sum(HEAD_SIZES))
    assert encoder(*inputs(1, MAX_TOKENS)).shape == (1, MAX_TOKENS, sum(HEAD_SIZES))
    assert len(MOODS) + len(OPERATIONS) + len(PROPERTIES) == CLAUSE_HEADS


@torch.no_grad()
def test_padding_changes_nothing() -> None:
    """A sentence reads the same alone and padded beside a longer one."""
    encoder, _ = make_networks()
    ids, ngrams, lexical, context = inputs(2, 8)
    padding = torch.zeros(2, 8, dtype=torch.bool)
    padding[0, 5:] = True
    together = encoder(ids, ngrams, lexical, context, padding)
    alone = encoder(ids[:1, :5], ngrams[:1, :5], lexical[:1, :5], context[:1])

    assert torch.allclose(together[0, :5], alone[0], atol=1e-5)


@torch.no_grad()
def test_bucket_zero_says_nothing() -> None:
    """Padding buckets add nothing to the sums."""
    encoder, _ = make_networks()
    ids, ngrams, lexical, context = inputs(1, 4)
    hidden = encoder(torch.zeros_like(ids), torch.zeros_like(ngrams), lexical, context)
    other = encoder(torch.zeros_like(ids), ngrams, lexical, context)

    assert not torch.allclose(hidden[..., :CLAUSE_HEADS], other[..., :CLAUSE_HEADS])
    assert torch.equal(hidden[..., CLAUSE_HEADS:], other[..., CLAUSE_HEADS:])
    assert float(encoder.words.weight[0].abs().sum()) >= 0.0


@torch.no_grad()
def test_the_linear_term_can_be_left_out() -> None:
    """Without the n-gram term, n-grams do not matter."""
    torch.manual_seed(0)
    encoder = Encoder(width=16, layers=1, ngram_term=False).eval()
    ids, ngrams, lexical, context = inputs(1, 4)

    assert torch.equal(encoder(ids, ngrams, lexical, context), encoder(ids, ngrams + 1, lexical, context))


@torch.no_grad()
def test_word_order_and_the_command_before_matter() -> None:
    """The encoder sees positions and the previous frame."""
    encoder, _ = make_networks()
    ids, ngrams, lexical, context = inputs(1, 4)
    plain = encoder(ids, ngrams, lexical, context)

    assert not torch.allclose(plain.flip(1), encoder(ids.flip(1), ngrams.flip(1), lexical.flip(1), context), atol=1e-4)
    assert not torch.allclose(plain, encoder(ids, ngrams, lexical, torch.zeros_like(context)), atol=1e-4)


@torch.no_grad()
def test_scorer_gives_log_probabilities() -> None:
    """N candidates give N + 2 log probabilities that sum to 1, in the candidates' order."""
    _, scorer = make_networks()
    features, context = torch.rand(2, 5, CANDIDATE_FEATURES), torch.rand(2, CONTEXT_FEATURES)
    scores = scorer(features, context)
    turned = scorer(features.flip(1), context)

    assert scores.shape == (2, 7)
    assert scores.exp().sum(1).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)
    assert torch.allclose(turned[:, :5].flip(1), scores[:, :5], atol=1e-6)


@torch.no_grad()
def test_temperature_softens() -> None:
    """A high temperature brings the choices together without changing their order."""
    _, scorer = make_networks()
    features, context = 4 * torch.randn(1, 4, CANDIDATE_FEATURES), torch.rand(1, CONTEXT_FEATURES)
    sharp = scorer(features, context)
    scorer.temperature.data = torch.tensor(4.0)
    soft = scorer(features, context)

    assert float(soft.max() - soft.min()) == pytest.approx(float(sharp.max() - sharp.min()) / 4, rel=1e-4)
    assert torch.equal(soft.argsort(), sharp.argsort())
    assert not scorer.temperature.requires_grad

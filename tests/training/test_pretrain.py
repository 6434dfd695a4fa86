"""Pretraining on a thimble of data: it runs, goes on where it stopped, and repeats itself."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.makers import TINY
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.understanding.candidates import CANDIDATE_FEATURES, CONTEXT_FEATURES
from voice_rl_training.export import export_graphs
from voice_rl_training.networks import Scorer
from voice_rl_training.pretrain import ChoiceRows, calibration_error, drop_names, pretrain


def ignore(_phase: str, _share: float) -> None:
    """Take no notice of progress."""


def test_pretrain_runs_resumes_and_repeats(tmp_path: Path) -> None:
    """A tiny recipe gives networks that export; a second run reuses its files; the same seed elsewhere gives the same shards."""
    seen: list[str] = []
    encoder, scorer, measured = pretrain(TINY, human=None, work=tmp_path / "a", processes=1, progress=lambda phase, _: seen.append(phase))
    work = tmp_path / "a" / TINY.fingerprint()
    made_at = {path.name: path.stat().st_mtime_ns for path in work.rglob("*.npz")}
    folder = tmp_path / "model"
    folder.mkdir()

    assert {"corpus", "encoder", "scorer"} <= set(seen)
    assert measured["recipe"] == TINY.to_mapping()
    assert measured["scorer_rows"] > 20
    assert 0.5 <= measured["temperature"] <= 4.0
    assert 0.0 <= measured["calibration_error"] <= 1.0
    assert export_graphs(encoder, scorer, folder)["scorer_max_difference"] < 1e-4
    assert not list(work.glob("*.partial*.safetensors"))

    again, _, remeasured = pretrain(TINY, human=None, work=tmp_path / "a", processes=1, progress=ignore)
    assert {path.name: path.stat().st_mtime_ns for path in work.rglob("*.npz")} == made_at
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), encoder.state_dict().values(), strict=True))
    assert remeasured["data_sha256"] == measured["data_sha256"]

    elsewhere, _, repeated = pretrain(TINY, human=None, work=tmp_path / "b", processes=1, progress=ignore)
    assert repeated["data_sha256"] == measured["data_sha256"]
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(elsewhere.state_dict().values(), encoder.state_dict().values(), strict=True))
    assert json.dumps(measured)


def test_an_encoder_that_learned_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that cuts no sentence rightly leaves the scorer without rows: that is an error with advice, not a crash."""
    none = ChoiceRows(
        features=torch.zeros(0, 1, CANDIDATE_FEATURES),
        missing=torch.zeros(0, 1, dtype=torch.bool),
        context=torch.zeros(0, CONTEXT_FEATURES),
        targets=torch.zeros(0, 3),
    )
    monkeypatch.setattr("voice_rl_training.pretrain._join_rows", lambda _done: none)

    with pytest.raises(ConfigError, match="more shards or epochs"):
        pretrain(replace(TINY, homes_a_shard=1, epochs=1), human=None, work=tmp_path, processes=1, progress=ignore)


def test_drop_names_hides_what_it_says() -> None:
    """Shares of 1 hide every named word and all flags, shares of 0 hide nothing."""
    ids, lexical = torch.ones(2, 3, 6, dtype=torch.long), torch.zeros(2, 3, 20)
    lexical[0, 1, 0] = 1.0
    batch = {"ids": ids, "lexical": lexical, "tags": torch.zeros(2, 3)}
    untouched = drop_names(batch, share=0.0, lexical_share=0.0, word_share=0.0)
    named = drop_names(batch, share=1.0, lexical_share=0.0, word_share=0.0)
    blind = drop_names(batch, share=0.0, lexical_share=1.0, word_share=1.0)

    assert torch.equal(untouched["ids"], ids)
    assert torch.equal(untouched["lexical"], lexical)
    assert named["ids"].sum(-1).tolist() == [[6, 0, 6], [6, 6, 6]]
    assert blind["ids"].sum() == 0
    assert blind["lexical"].sum() == 0
    assert ids.sum() == 36


def test_calibration_error_by_hand() -> None:
    """A scorer that knows nothing gives a third to each of three choices; right in all rows, it is two thirds off."""
    scorer = Scorer(width=8)
    for parameter in scorer.parameters():
        torch.nn.init.zeros_(parameter)
    scorer.temperature.data = torch.ones(())
    features, context = torch.zeros(30, 1, CANDIDATE_FEATURES), torch.zeros(30, CONTEXT_FEATURES)
    targets = torch.tensor([[1.0, 0.0, 0.0]]).expand(30, 3)
    rows = ChoiceRows(features=features, missing=torch.zeros(30, 1, dtype=torch.bool), context=context, targets=targets)

    assert calibration_error(scorer.eval(), rows) == pytest.approx(2 / 3, abs=1e-5)

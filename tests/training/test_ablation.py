"""The ablation makes, measures and compares variants of a thimble-sized base."""

import json
from pathlib import Path

import numpy as np
import pytest

from voice_rl_plugin.deciding.cases import decide_case, judge
from voice_rl_plugin.deciding.decider import Decider
from voice_rl_plugin.deciding.memory import Memory
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.learning.models import BASE_FOLDER
from voice_rl_plugin.understanding.features import LEXICAL, SOUND_FLAGS, SOUND_ID, observe
from voice_rl_plugin.understanding.names import NameIndex
from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy
from voice_rl_training.ablation import VARIANTS, Result, measure, read_results, read_sentences, to_markdown
from voice_rl_training.cli import main
from voice_rl_training.masks import Mask
from voice_rl_training.recipe import PretrainRecipe

HOME = Home.from_mapping(
    {
        "language": "en",
        "areas": [{"id": "study", "name": "Study"}],
        "entities": [{"id": "light.fairy", "name": "Fairy Lantern", "area": "study"}],
    }
)
CASES = Path(__file__).parents[1] / "cases"
MISHEARD = "turn on the ferry lantern"
TINY = """
shards: 1
homes_a_shard: 4
compound: 0.0
templates: false
width: 16
layers: 1
epochs: 1
tokens_a_batch: 30
learning_rate: 0.3
name_dropout: 0.0
lexical_dropout: 0.0
dropout: 0.0
scorer_homes: 8
scorer_epochs: 2
calibration_homes: 4
"""


@pytest.mark.slow
def test_the_command_makes_a_page_and_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two variants share one corpus, give one line each and a page; a second run, after a line cut off, trains only what is missing."""
    recipe, work, page = tmp_path / "tiny.yaml", tmp_path / "work", tmp_path / "ablation.md"
    recipe.write_text(TINY)
    command = ["ablate", "--recipe", str(recipe), "--seeds", "1", "--only", "no_phonetics", "--homes", "house", "--samples", "40"]
    command += ["--work", str(work), "--out", str(page), "--processes", "2", "--threads", "1"]

    assert main(command) == 0
    lines = (work / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["variant"] for line in lines] == ["base", "no_phonetics"]
    assert len(list((work / "corpora").iterdir())) == 1
    assert len(list(work.glob("*/encoder.safetensors"))) == 2
    base, deaf = (Result.from_mapping(json.loads(line)) for line in lines)
    assert deaf.fingerprint != base.fingerprint
    for counts in (counts for kinds in base.found.values() for counts in kinds.values()):
        assert counts["cases"] == counts["right"] + counts["wrong_actions"] + counts["asked"] + counts["refused"] > 30
    text = page.read_text()
    assert "| `no_phonetics` | 1 |" in text
    assert "--seeds 1 --only no_phonetics" in text
    assert str(tmp_path) not in text

    page.unlink()
    (work / "results.jsonl").write_text(f"{lines[0]}\n{lines[1][:40]}")
    assert main(command) == 0
    assert "| `no_phonetics` | 1 |" in page.read_text()
    again = (work / "results.jsonl").read_text().splitlines()
    assert again[0] == lines[0]
    assert [json.loads(line)["fingerprint"] for line in again] == [base.fingerprint, deaf.fingerprint]
    assert capsys.readouterr().out.count("ablation.md") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "no_brain"], "expected names of base"),
        (["--seeds", "1,one"], "expected different whole numbers"),
        (["--seeds", "1,1"], "expected different whole numbers"),
        (["--samples", "0"], "expected at least 1"),
        (["--only", "no_human", "--samples", "2"], "give --human DIR"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    """A wrong option is one line, before anything is trained."""
    assert main(["ablate", "--homes", "house", "--work", str(tmp_path), "--out", str(tmp_path / "page.md"), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_mask_hides_the_same_everywhere() -> None:
    """Without phonetics no bucket, flag or match of a sound is left, in an observation, an array, or a home indexed meanwhile."""
    whole = observe(MISHEARD, home=HOME, index=NameIndex(HOME))
    assert whole.ids[:, SOUND_ID].all()
    assert whole.lexical[:, SOUND_FLAGS].any()
    mask = Mask(phonetics=False)
    masked = mask.observation(whole)
    with mask.hearing():
        unheard = observe(MISHEARD, home=HOME, index=NameIndex(HOME))
    arrays = mask.arrays({"ids": whole.ids, "lexical": whole.lexical})

    assert masked.matches == unheard.matches
    assert np.array_equal(masked.lexical, unheard.lexical)
    assert np.array_equal(arrays["ids"], masked.ids)
    assert np.array_equal(arrays["lexical"], masked.lexical)
    assert not masked.ids[:, SOUND_ID].any()
    assert masked.ids[:, 0].all()
    assert observe(MISHEARD, home=HOME, index=NameIndex(HOME)).matches == whole.matches
    assert not Mask(lexical=False).observation(whole).lexical.any()
    assert whole.lexical.shape[1] == LEXICAL
    assert Mask().observation(whole) is whole


def test_a_hidden_input_changes_what_is_measured() -> None:
    """The shipped model does worse in a home without its flags, otherwise without sounds; unmasked it does what `voice-rl evaluate` counts."""
    policy = OnnxPolicy.load(BASE_FOLDER)
    sentences = read_sentences(CASES, ["house"], 20)
    whole, blind, deaf = (measure(policy, sentences, mask) for mask in (Mask(), Mask(lexical=False), Mask(phonetics=False)))
    decider = Decider(policy=policy, home=sentences.homes[0].home, memory=Memory())
    evaluated = [judge(case, decide_case(decider, case)) for case in sentences.homes[0].cases]

    assert whole["en"]["homes"]["right"] == evaluated.count("right")
    assert whole["en"]["homes"]["wrong_actions"] == evaluated.count("wrong_action")
    for language in ("en", "zh"):
        assert blind[language]["homes"]["right"] < whole[language]["homes"]["right"]
        assert deaf[language]["homes"] != whole[language]["homes"]


def test_the_page_gives_mean_range_and_difference_to_the_same_seed() -> None:
    """Two seeds of 100 cases: 80 and 90 right against 82 and 84 give 85 and a difference of -2 on average."""

    def result(variant: str, seed: int, right: int, wrong: int) -> Result:
        counts = {"cases": 100, "right": right, "wrong_actions": wrong, "asked": 0, "refused": 100 - right - wrong}
        found = {language: {"homes": counts, "stranger": counts} for language in ("en", "zh")}
        return Result(variant=variant, seed=seed, fingerprint="a", sentences="b", found=found, date="2026-01-02")

    results = [result("base", 1, 80, 4), result("no_ngram", 1, 82, 3), result("base", 2, 90, 2), result("no_ngram", 2, 84, 5)]
    page = to_markdown(results, recipe=PretrainRecipe(), command="voice-rl-train ablate")

    assert "| `base` | 2 | 85.0 (80.0 to 90.0) | 3.0 (2.0 to 4.0) |" in page
    assert "| `no_ngram` | 2 | -2.0 (-6.0 to +2.0) | +1.0 (-1.0 to +3.0) |" in page
    assert "seeds 1, 2" in page


def test_every_variant_turns_one_part_off(capsys: pytest.CaptureFixture[str]) -> None:
    """A variant's recipe differs from the base's in one field, and --help names the variant."""
    base = PretrainRecipe(seed=7)
    with pytest.raises(SystemExit):
        main(["ablate", "--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in VARIANTS)
    for variant in VARIANTS.values():
        made = variant.recipe(base, 7).to_mapping()
        assert [name for name, value in base.to_mapping().items() if made[name] != value] == ([variant.part] if variant.part else [])


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    """A whole line that is no result is an error with the line's number; no file is no result."""
    assert read_results(tmp_path / "results.jsonl") == []
    (tmp_path / "results.jsonl").write_text("{}\n")
    with pytest.raises(ConfigError, match="line 1"):
        read_results(tmp_path / "results.jsonl")

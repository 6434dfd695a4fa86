"""Recipes hold every hyperparameter; a wrong key is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from voice_rl_plugin.errors import ConfigError
from voice_rl_training.recipe import RECIPES, FinetuneRecipe, PretrainRecipe, load_finetune_recipe, load_recipe


def test_every_shipped_recipe_is_read() -> None:
    """Each file among the recipes is one of the two kinds."""
    for path in RECIPES.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        loaded = load_finetune_recipe(path) if "steps:" in text else load_recipe(path)
        assert loaded.to_mapping()


def test_an_empty_recipe_is_the_defaults(tmp_path: Path) -> None:
    """What is not said has its default."""
    (tmp_path / "empty.yaml").write_text("")

    assert load_recipe(tmp_path / "empty.yaml") == PretrainRecipe()
    assert load_finetune_recipe(tmp_path / "empty.yaml") == FinetuneRecipe()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed: 1", "unknown key 'sed'"),
        ("seed: one", "seed: expected int"),
        ("human: 1", "human: expected bool"),
        ("epochs: true", "epochs: expected int"),
        ("- seed", "expected a mapping"),
        ("seed: [", "cannot be read"),
    ],
)
def test_a_wrong_recipe_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """The message names the file, the key and what was expected."""
    path = tmp_path / "wrong.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=message):
        load_recipe(path)


def test_a_missing_recipe_is_refused(tmp_path: Path) -> None:
    """A file that is not there is a ConfigError."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load_recipe(tmp_path / "none.yaml")


def test_any_change_changes_the_fingerprint() -> None:
    """Two recipes share a work folder only when every value is the same."""
    assert PretrainRecipe().fingerprint() == PretrainRecipe().fingerprint()
    assert PretrainRecipe().fingerprint() != replace(PretrainRecipe(), noise=0.26).fingerprint()

"""Facts about the rehearsal: a scripted household that corrects a model."""

from pathlib import Path

from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.learning.models import ModelStore
from voice_rl_training.finetune import blend
from voice_rl_training.networks import Encoder, Scorer
from voice_rl_training.recipe import FinetuneRecipe
from voice_rl_training.rehearse import OWN_PHRASES, rehearse
from voice_rl_training.retrain import load_home

ROOT = Path(__file__).parents[2]


def _home(language: str) -> Home:
    return load_home(ROOT / "examples" / f"home.{language}.yaml", store=ROOT)


def test_rehearse_below_the_least_labels_trains_nothing(tmp_path: Path) -> None:
    """A household that spoke too little leaves the base in place and says why."""
    recipe = FinetuneRecipe(least_labels=1000)

    shown = rehearse(
        _home("en"), ModelStore(tmp_path), language="en", interactions=30, seed=3, recipe=recipe, progress=lambda _phase, _done: None
    )

    assert shown.after is None
    assert "nothing was trained" in shown.outcome.result
    assert shown.before.cases == 30
    assert shown.before_unheard.cases > 300


def test_own_phrases_are_spoken_in_both_languages() -> None:
    """Each language has phrases of the family's own."""
    assert len(OWN_PHRASES["en"]) == len(OWN_PHRASES["zh"]) >= 4


def test_blend_goes_the_share_of_the_way() -> None:
    """Half the way from 0 to 2 is 1; share 0 is the base and share 1 the tuned networks."""
    base, tuned = (Encoder(width=8, layers=1, heads=1), Scorer(width=4)), (Encoder(width=8, layers=1, heads=1), Scorer(width=4))
    for network, value in ((base[0], 0.0), (tuned[0], 2.0)):
        for parameter in network.parameters():
            parameter.data.fill_(value)

    half = blend(base, tuned, 0.5)

    assert all(float(p.data.min()) == float(p.data.max()) == 1.0 for p in half[0].parameters())
    assert all(float(p.data.max()) == 0.0 for p in blend(base, tuned, 0.0)[0].parameters())

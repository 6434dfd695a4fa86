"""Replay: ordinary commands that a challenger must not forget, from the generic corpus and from this home's own names.

generic   the phrasebook's frames in random homes
home      the same frames in the home that the daemon cached
"""

from collections.abc import Iterator
from random import Random

from voice_rl_plugin.domain.home import Home
from voice_rl_training.corpus.build import LANGUAGES, SAMPLES_A_HOME, CorpusPlan, frames_for, samples_of
from voice_rl_training.corpus.samples import Sample, Stage, sample

_TRIES = 4


def generic_samples(
    count: int, *, seed: int, use: str = "encoder", languages: tuple[str, ...] = LANGUAGES, noise: float = 0.2
) -> list[Sample]:
    """Return samples in random homes, as many of each language.

    Args:
        count: how many in all.
        seed: the only source of chance.
        use: which frames: `encoder` to replay, `calibration` to calibrate, `stranger` to measure on people never trained on.
        languages: `en`, `zh` or both.
        noise: share heard with errors.
    """
    made: list[Sample] = []
    for number, language in enumerate(languages):
        wanted = (count * (number + 1)) // len(languages) - len(made)
        plan = CorpusPlan(seed=seed, homes=1 + _TRIES * wanted // SAMPLES_A_HOME, use=use, noise=noise, compound=0.08)
        for number_made, one in enumerate(samples_of(plan, language)):
            if number_made >= wanted:
                break
            made.append(one)
    return made


def home_samples(
    home: Home, count: int, *, seed: int, use: str = "encoder", languages: tuple[str, ...] = LANGUAGES, noise: float = 0.1
) -> list[Sample]:
    """Return samples spoken in one home; fewer when it has little to speak of. The arguments are those of `generic_samples`."""
    if not home.exposed:
        return []
    stage = Stage(home=home)
    made: list[Sample] = []
    for number, language in enumerate(languages):
        wanted = (count * (number + 1)) // len(languages) - (count * number) // len(languages)
        made += _spoken(stage, language, wanted, seed=seed, use=use, noise=noise)
    return made


def _spoken(stage: Stage, language: str, count: int, *, seed: int, use: str, noise: float) -> Iterator[Sample]:
    frames, books = frames_for(language, use, templates=False)
    rng = Random(f"{seed} home {language} {use}")
    made = 0
    for _ in range(_TRIES * count):
        if made == count:
            return
        one = sample(rng, frames, books, stage, split="dev" if use == "stranger" else "train", noise=noise, compound=0.08)
        if one is not None:
            made += 1
            yield one


def languages_of(home: Home | None, spoken: set[str]) -> tuple[str, ...]:
    """Return the languages to replay: the home's own and those it was spoken to in; both when nothing is known."""
    own = {"zh" if home.language.lower().startswith("zh") else "en"} if home is not None else set()
    return tuple(language for language in LANGUAGES if language in own | spoken) or LANGUAGES

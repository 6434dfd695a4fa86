"""The gate: a challenger goes live only after it was shown to lose nothing that worked.

    memory, golden    not one case that was right is lost; not one new wrong action
    strangers, home   paired non-inferiority: with 95 % confidence at most 0.5 points are lost, and wrong actions do not rise beyond chance
    labelled          on labels that it was not fitted on, it is right at least as often; McNemar's exact test says how sure that is

The first check that fails is named with its figure, and the champion stays.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voice_rl_plugin.deciding.cases import binomial_cdf
from voice_rl_training.evaluation import Judged

MARGIN = 0.005
"""Points that a challenger may lose at most. Source: docs/DESIGN.md, section 5, gate (b)."""
_Z = 1.6449
"""One-sided 95 %."""
_LIKELY = 0.05
STRICT = ("memory", "golden")
PAIRED = ("strangers", "home")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One figure of the gate."""

    name: str
    passed: bool
    detail: str
    """The figure in words."""
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """All checks of one challenger."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing was lost."""
        return all(check.passed for check in self.checks)

    @property
    def failed_gate(self) -> str | None:
        """Return the first failed check with its figure."""
        return next((f"{check.name}: {check.detail}" for check in self.checks if not check.passed), None)

    def to_mapping(self) -> dict[str, Any]:
        """Return the form that the manifest keeps."""
        checks = {c.name: {"passed": c.passed, "detail": c.detail, **c.figures} for c in self.checks}
        report: dict[str, Any] = {"passed": self.passed, "checks": checks}
        if self.failed_gate is not None:
            report["failed_gate"] = self.failed_gate
        return report


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Champion and challenger on the same cases."""

    champion: Sequence[Judged]
    challenger: Sequence[Judged]

    def __post_init__(self) -> None:
        if [one.case.text for one in self.champion] != [one.case.text for one in self.challenger]:
            raise ValueError("expected champion and challenger on the same cases, in the same order")

    def lost(self) -> list[Judged]:
        """Return what the champion did right and the challenger does not."""
        return [new for old, new in zip(self.champion, self.challenger, strict=True) if old.verdict == "right" != new.verdict]

    def gained(self) -> list[Judged]:
        """Return what the challenger does right and the champion did not."""
        return [new for old, new in zip(self.champion, self.challenger, strict=True) if new.verdict == "right" != old.verdict]

    def newly_wrong(self) -> list[Judged]:
        """Return the wrong actions that the champion did not take."""
        pairs = zip(self.champion, self.challenger, strict=True)
        return [new for old, new in pairs if new.verdict == "wrong_action" and old.verdict != "wrong_action"]

    def no_longer_wrong(self) -> list[Judged]:
        """Return the cases of the champion's wrong actions that the challenger does not take."""
        pairs = zip(self.champion, self.challenger, strict=True)
        return [new for old, new in pairs if old.verdict == "wrong_action" and new.verdict != "wrong_action"]


def judge_challenger(pairs: Mapping[str, Pairs]) -> GateReport:
    """Return the gate's report.

    Args:
        pairs: by name: `memory`, `golden`, `strangers`, `home`, `labelled`; a missing one is not checked.
    """
    checks = [strict(name, pairs[name]) for name in STRICT if name in pairs]
    checks += [non_inferior(name, pairs[name]) for name in PAIRED if name in pairs]
    if "labelled" in pairs:
        checks.append(gain(pairs["labelled"]))
    return GateReport(checks=tuple(checks))


def strict(name: str, pairs: Pairs) -> Check:
    """Check that not one case is lost and not one wrong action is new."""
    lost, wrong = pairs.lost(), pairs.newly_wrong()
    detail = f"{len(lost)} of {len(pairs.champion)} cases lost, {len(wrong)} new wrong actions"
    named = [one.case.text for one in (*wrong, *lost)]
    if named and name == "golden":  # our own sentences; a home's are not written into a report
        detail += f", the first is {named[0]!r}"
    return Check(name=name, passed=not lost and not wrong, detail=detail, figures={"lost": len(lost), "new_wrong_actions": len(wrong)})


def non_inferior(name: str, pairs: Pairs, *, margin: float = MARGIN) -> Check:
    """Check that with 95 % confidence no more than the margin is lost, and that wrong actions have not risen beyond chance.

    Source: Tango 1998, Statistics in Medicine 17, for the paired difference; here with the Wald variance of the discordant pairs, which is close
    where they are many, and with Clopper and Pearson's spirit where there are none: then nothing is lost.
    """
    count, lost, gained = len(pairs.champion), len(pairs.lost()), len(pairs.gained())
    if not count:
        return Check(name=name, passed=True, detail="no cases")
    difference = (gained - lost) / count
    spread = math.sqrt(max(0.0, lost + gained - (gained - lost) ** 2 / count)) / count
    bound = difference - _Z * spread
    new, gone = len(pairs.newly_wrong()), len(pairs.no_longer_wrong())
    chance = mcnemar(new, gone)
    passed = bound >= -margin and not (new > gone and chance < _LIKELY)
    detail = f"{100 * difference:+.2f} points, with 95 % confidence at least {100 * bound:+.2f} (allowed {-100 * margin:+.2f})"
    detail += f"; wrong actions {new} new, {gone} gone"
    figures = {
        "cases": count,
        "lost": lost,
        "gained": gained,
        "lower_bound": round(bound, 6),
        "new_wrong_actions": new,
        "gone_wrong_actions": gone,
    }
    return Check(name=name, passed=passed, detail=detail, figures=figures)


def gain(pairs: Pairs) -> Check:
    """Check that on held-out labels at least as many are right, and that no more actions are wrong."""
    lost, gained = len(pairs.lost()), len(pairs.gained())
    new, gone = len(pairs.newly_wrong()), len(pairs.no_longer_wrong())
    chance = mcnemar(gained, lost)
    passed = gained >= lost and not (new > gone and mcnemar(new, gone) < _LIKELY)
    detail = (
        f"{gained} gained, {lost} lost of {len(pairs.champion)} held-out labels (p = {chance:.3f}); wrong actions {new} new, {gone} gone"
    )
    figures = {
        "cases": len(pairs.champion),
        "gained": gained,
        "lost": lost,
        "p": round(chance, 6),
        "new_wrong_actions": new,
        "gone_wrong_actions": gone,
    }
    return Check(name="labelled", passed=passed, detail=detail, figures=figures)


def mcnemar(more: int, fewer: int) -> float:
    """Return the one-sided exact probability of at least `more` of `more + fewer` fair coins.

    Source: McNemar 1947, Psychometrika 12, with the binomial distribution instead of chi squared.
    """
    return 1.0 if more == 0 else 1.0 - binomial_cdf(more - 1, more + fewer, 0.5)

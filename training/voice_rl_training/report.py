"""Reports of a retraining: markdown for people, the same figures as in the manifest."""

from collections.abc import Mapping
from typing import Any

from voice_rl_training.gate import GateReport

_NAMES = {
    "memory": "memory of corrections",
    "golden": "golden and unsafe set",
    "strangers": "a voice never trained on, other homes",
    "home": "ordinary commands in this home",
    "labelled": "held-out labels of this home",
}


def retraining_report(manifest: Mapping[str, Any], gate: GateReport) -> str:
    """Return the report: what was learned from, what the gate says, before and after."""
    metrics = manifest["metrics"]
    lines = [
        f"# Retraining {manifest['version']}",
        "",
        f"Gate: **{'passed' if gate.passed else 'failed'}**" + ("" if gate.passed else f" ({gate.failed_gate}); the champion stays") + ".",
        "",
        f"Learned from {metrics['labels']} labels out of {metrics['judged']} judged decisions with `{metrics['algorithm']}`.",
        f"{metrics['contested']} sentences were contested; {metrics['unreadable']} only memory can hold.",
        f"Training took {metrics['train_s']} s, all of it {metrics['total_s']} s.",
        "",
        "| check | passed | figure |",
        "| --- | --- | --- |",
        *(f"| {_NAMES.get(c.name, c.name)} | {'yes' if c.passed else '**no**'} | {c.detail} |" for c in gate.checks),
        "",
        *_before_and_after(metrics),
        "",
        "Wrong actions come with the exact upper bound of their rate (Clopper-Pearson, 95 %).",
        "",
        *_off_policy(metrics.get("off_policy", {})),
    ]
    return "\n".join(lines)


def _off_policy(found: Mapping[str, Any]) -> list[str]:
    """Return what the log itself says of the challenger; it may veto, never approve."""
    if not found:
        return []
    figures = f"effective sample size {found['effective']:.0f}, support {found['support']:.3f}"
    lines = [f"Off-policy, over {found['decisions']} judged decisions of the policy: {figures}; **{found['verdict']}**.", ""]
    named = [(name, found[name]) for name in ("ips", "snips", "dr") if name in found]
    if named:
        lines += ["| estimator | mean reward | 95 % interval |", "| --- | ---: | --- |"]
        lines += [f"| {name.upper()} | {one['value']:+.3f} | {one['low']:+.3f} to {one['high']:+.3f} |" for name, one in named] + [""]
    return lines


def _before_and_after(metrics: Mapping[str, Any]) -> list[str]:
    lines = [
        "| sentences | | cases | wrong actions | at most | right | asked | refused | precision | recall | calibration error |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in metrics["before"]:
        for when in ("before", "after"):
            card = metrics[when][name]
            if not card["cases"]:
                continue
            lines.append(
                f"| {_NAMES.get(name, name)} | {when} | {card['cases']} | {card['wrong_actions']} | {100 * card['wrong_actions_upper_bound']:.2f} % | "
                f"{100 * card['accuracy']:.1f} % | {card['asked']} | {card['refused']} | {100 * card['precision']:.1f} % | "
                f"{100 * card['recall']:.1f} % | {card['calibration_error']:.3f} |"
            )
    return lines


def model_card(manifest: Mapping[str, Any]) -> str:
    """Return the card of a challenger."""
    metrics, gate = manifest["metrics"], manifest["gate"]
    verdict = "passed" if gate["passed"] else f"failed: {gate['failed_gate']}"
    return "\n".join(
        [
            f"# Model {manifest['version']}",
            "",
            f"The shipped base with an adapter fitted on {metrics['labels']} labels of one home. It knows that home's habits: do not share it.",
            f"Made in place of {manifest['parent']}. Gate: {verdict}.",
            "",
            *_before_and_after(metrics),
            "",
        ]
    )


SOURCES = (
    "Text that it learned from, besides the phrasebook and the names of this project (Apache-2.0):",
    "",
    "- home-assistant-intents, sentence templates: CC BY 4.0, Home Assistant intents contributors",
    "- SLURP, text only (development part): CC BY 4.0, Bastianelli et al., EMNLP 2020",
    "- HWU64 (NLU-Evaluation-Data): CC BY 4.0, Liu et al., IWSDS 2019",
    "- MASSIVE 1.1, English, Chinese, traditional Chinese: CC BY 4.0, FitzGerald et al. 2022",
    "- CLINC150 (oos-eval), train and validation: CC BY 3.0, Larson et al., EMNLP 2019",
    "- Snips 2017 (nlu-benchmark), train: CC0 1.0, Coucke et al. 2018",
    "- home-assistant-datasets, device actions: Apache-2.0, Allen Porter",
    "- home-llm, piles: MIT, Alex O'Connell",
    "- speech-to-intent-benchmark, barista: Apache-2.0, Picovoice Inc.",
    "",
    "No test part of any of them was used. For Chinese climate, covers, locks, fans and timers there is no human source: that text is this project's own.",
)
"""Where the base model's text comes from, and what its licences ask to be said."""


def base_card(version: str, measured: Mapping[str, Any], cards: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the card of a base model made from source."""
    return "\n".join(
        [
            f"# Model {version}",
            "",
            "Reads spoken commands of a home in English and Chinese, and weighs the actions that they may mean. Trained on written speech acts said",
            "in random homes, Home Assistant's templates, and public human sentences; nothing of it comes from a home's log.",
            "Not for anything but a home's own commands; without the daemon's rules it asks nobody and keeps no door shut.",
            "",
            f"Data: {measured.get('data_sha256')}. Recipe: {measured.get('recipe')}.",
            "",
            *SOURCES,
            "",
            "| sentences | cases | wrong actions | at most | right | precision | recall | calibration error |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
            *(
                f"| {_NAMES.get(name, name)} | {c['cases']} | {c['wrong_actions']} | {100 * c['wrong_actions_upper_bound']:.2f} % | "
                f"{100 * c['accuracy']:.1f} % | {100 * c['precision']:.1f} % | {100 * c['recall']:.1f} % | {c['calibration_error']:.3f} |"
                for name, c in cards.items()
            ),
            "",
        ]
    )

"""`voice-rl explain DECISION_ID`: what was heard, what was considered, what was done and why, and what came back."""

import argparse
from typing import Any

from voice_rl_plugin.commands._stores import add_command, at, in_words, open_store, print_json
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.learning import rows
from voice_rl_plugin.learning.store import StoredDecision

_STAGES = {
    "memory": "a correction that was remembered",
    "alias": "the policy, with a name that a correction taught",
    "phrase": "a phrase of the family's own that a correction explained",
    "rule": "a fixed rule",
    "policy": "the policy",
    "exploration": "the policy, exploring between near-tied safe candidates",
}


def add_parsers(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "explain",
        "say in words why something was done",
        run=_explain,
        place="store",
        example="voice-rl explain 01HZX3  # the ids are in `voice-rl experience list`",
    )
    parser.add_argument("decision_id", metavar="DECISION_ID")
    parser.add_argument("--json", action="store_true", help="print everything that is stored, as JSON")


def _explain(args: argparse.Namespace) -> int:
    with open_store(args) as store:
        stored = store.stored(args.decision_id)
    if stored is None:
        raise ConfigError(f"explain: no decision {args.decision_id!r} is stored; see `voice-rl experience list`")
    if args.json:
        print_json(_payload(stored))
    else:
        print("\n".join(_lines(stored)))
    return 0


def _lines(stored: StoredDecision) -> list[str]:
    decision, utterance = stored.decision, stored.decision.utterance
    who = f", by {utterance.user}" if utterance.user else ""
    lines = [
        f"heard       {utterance.text!r} ({decision.language}) in {utterance.area or 'an unknown area'} at {at(decision.decided_at)}{who}",
        f"before      {in_words(stored.previous)}",
        f"decided     {decision.outcome}: {decision.question or in_words(decision.actions)}",
        f"reason      {decision.reason or '-'} ({decision.reason_code or '-'})",
        f"decided by  {_STAGES.get(decision.stage, decision.stage)}",
        f"confidence  {decision.confidence:.1%} right; taken with probability {decision.propensity:.1%}; not for us {decision.not_for_us:.1%}",
        f"policy      {decision.policy_version or '-'}, {decision.latency_ms:.1f} ms, carried out by {decision.executor}",
    ]
    for rank, candidate in enumerate(decision.candidates, start=1):
        name = f"  [{candidate.label}]" if candidate.label else ""
        lines.append(f"candidate   {rank}. {candidate.probability:6.1%}  {in_words(candidate.actions)}{name}")
    for entity_id, state in stored.states.items():
        lines.append(f"state       {entity_id} was {state['value']}")
    for judgement in stored.judgements:
        feedback = judgement.feedback
        made = "no label" if judgement.reward is None else f"{judgement.reward:+.2f} x {judgement.weight:g}"
        meant = f", meant {in_words(feedback.correction)}" if feedback.correction else ""
        words = f" {feedback.correction_text!r}" if feedback.correction_text else ""
        by = f" by {feedback.user}" if feedback.user else ""
        lines.append(f"feedback    {feedback.verdict}{words} from {feedback.source}{by} at {at(feedback.given_at)}{meant}: {made}")
    settlement = stored.settlement
    if settlement is None or settlement.reward is None:
        lines.append("reward      none: nobody has judged it")
    else:
        lines.append(f"reward      {settlement.reward:+.2f} x {settlement.weight:g} from {settlement.source}")
        if settlement.correction is not None:
            lines.append(f"right was   {in_words(settlement.correction)}")
    return lines


def _payload(stored: StoredDecision) -> dict[str, Any]:
    return {
        "decision": rows.decision_to_mapping(stored.decision),
        "previous": rows.actions_to_list(stored.previous),
        "states": stored.states,
        "feedback": [{**rows.feedback_to_mapping(one.feedback), "reward": one.reward, "weight": one.weight} for one in stored.judgements],
        "settlement": None if stored.settlement is None else rows.settlement_to_mapping(stored.settlement),
    }

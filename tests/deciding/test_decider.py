"""The decider: what is done about an utterance, with a policy that reads what the test wrote."""

from dataclasses import replace

import pytest

from tests.scripted import Clause, ScriptedPolicy, clause
from tests.understanding.homes import FLAT, HOUSE
from voice_rl_plugin.daemon.conversation import pick_choice
from voice_rl_plugin.deciding.decider import Decider
from voice_rl_plugin.deciding.memory import Memory, MemoryEntry, memory_words
from voice_rl_plugin.deciding.turn import FOLLOW_UP_S, QUESTION_S, Heard, Turn
from voice_rl_plugin.domain.action import Action, parse_action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import EntityState, Home, States
from voice_rl_plugin.domain.utterance import Utterance

BAR_ON = clause("turn on the [counter bar:NAME]", "turn_on")
HEAD_ON = clause("打开[床头灯:NAME]", "turn_on")
DESKS = clause("turn on the [desk lamp:NAME]", "turn_on")
UNLOCK = clause("unlock the [front door:NAME]", "unlock", "lock")
TORN = (0.48, 0.47)


def decider(
    *sentences: Clause | list[Clause],
    home: Home = HOUSE,
    memory: Memory | None = None,
    scores: tuple[float, ...] = (0.97,),
    not_for_us: float = 0.005,
) -> Decider:
    """Return a decider whose policy reads these sentences."""
    return Decider(policy=ScriptedPolicy(*sentences, scores=scores, not_for_us=not_for_us), home=home, memory=memory or Memory())


def hear(
    brain: Decider, text: str, *, area: str | None = "kitchen", last: Turn | None = None, states: States | None = None, now: float = 105.0
) -> Heard:  # fmt: skip
    """Return what the decider makes of a text."""
    utterance = Utterance(text=text, area=area, user="ann")
    return brain.hear(utterance, states=states or {}, last=last, now=now, decision_id="d2")


def decide(brain: Decider, text: str, **values: object) -> Decision:
    """Return the decision about a text."""
    decision = hear(brain, text, **values).decision  # type: ignore[arg-type]
    assert decision is not None
    return decision


def lines(decision: Decision) -> list[str]:
    """Return what is done, as lines."""
    return [action.to_line() for action in decision.actions]


def remembered(text: str, *done: str, area: str | None = "kitchen", rival: tuple[Action, ...] | None = None) -> Memory:
    """Return a memory of one correction."""
    actions = tuple(parse_action(line) for line in done)
    return Memory(
        [
            MemoryEntry(
                words=memory_words(text),
                area=area,
                actions=actions,
                decision_id="d0",
                learned_at=1.0,
                is_contested=rival is not None,
                rival=rival,
            )
        ]
    )


def before(brain: Decider, text: str, *, at: float = 100.0, area: str | None = "kitchen") -> Turn:
    """Return the turn of a text said just before."""
    return Turn(decision=decide(brain, text, area=area, now=at), at=at)


# -- acting


@pytest.mark.parametrize(
    ("one", "text", "home", "line"),
    [
        (BAR_ON, "Turn on the counter bar!", HOUSE, "light.turn_on light.counter"),
        (HEAD_ON, "打開床頭燈。", FLAT, "light.turn_on light.head"),
    ],
)
def test_a_sure_command_acts(one: Clause, text: str, home: Home, line: str) -> None:
    """A command with one sure candidate acts, and says what it was sure of and who decided."""
    decision = decide(decider(one, home=home), text)

    assert (decision.outcome, lines(decision)) == ("act", [line])
    assert (decision.stage, decision.reason_code, decision.policy_version) == ("policy", "confident", "scripted")
    assert decision.confidence == pytest.approx(0.97)
    assert "97" in decision.reason
    assert decision.language == ("zh" if home is FLAT else "en")
    assert decision.decided_at == 105.0
    assert decision.candidates[0].features


def test_a_wish_acts() -> None:
    """A complaint with one obvious remedy acts."""
    one = clause("it is too dark [in here:HERE]", "raise", "brightness", mood="wish")

    assert lines(decide(decider(one), "it is too dark in here")) == ["light.turn_on light.counter light.kitchen brightness_step_pct=10"]


@pytest.mark.parametrize(
    ("mood", "code"), [("prohibition", "prohibition"), ("report", "report"), ("scheduled", "scheduled"), ("chat", "chat"), ("bare", "bare")]
)
@pytest.mark.parametrize(("text", "home"), [("turn on the [counter bar:NAME]", HOUSE), ("打开[床头灯:NAME]", FLAT)])
def test_a_refusing_mood_never_acts(mood: str, code: str, text: str, home: Home) -> None:
    """Whatever the scorer says, a prohibition, a report, a plan, talk or a bare name is refused with its own reason."""
    one = clause(text, "turn_on", mood=mood)
    decision = decide(decider(one, home=home), " ".join(one.words))

    assert (decision.outcome, decision.reason_code, decision.actions) == ("reject", code, ())
    assert decision.reason


def test_an_unread_sentence_is_refused() -> None:
    """Silence and chat are refused."""
    assert decide(decider(), "").reason_code == "chat"
    assert decide(decider(), "...").outcome == "reject"
    assert decide(decider(), "lovely weather today").outcome == "reject"


def test_not_for_us_is_refused() -> None:
    """What is most likely not for the home is refused, and no question is asked."""
    decision = decide(decider(BAR_ON, scores=(0.05,), not_for_us=0.93), "turn on the counter bar")

    assert (decision.outcome, decision.reason_code) == ("reject", "chat")
    assert decision.not_for_us == pytest.approx(0.93)


def test_decisions_do_not_depend_on_what_was_heard_before() -> None:
    """The decider keeps no state between two utterances."""
    brain = decider(BAR_ON, DESKS)
    first = decide(brain, "turn on the counter bar")
    decide(brain, "turn on the desk lamp")

    assert replace(decide(brain, "turn on the counter bar"), latency_ms=0.0) == replace(first, latency_ms=0.0)


# -- asking


def test_torn_candidates_ask() -> None:
    """Two lamps of one name ask, naming their rooms, with both as choices."""
    decision = decide(decider(DESKS, scores=TORN), "turn on the desk lamp")

    assert (decision.outcome, decision.reason_code) == ("clarify", "ambiguous")
    assert {choice.actions[0].targets for choice in decision.choices} == {("light.desk_bedroom",), ("light.desk_study",)}
    assert decision.question is not None
    assert "Bedroom" in decision.question
    assert "Study" in decision.question
    assert decision.actions == ()


def test_choices_that_differ_in_the_target_are_asked_by_name() -> None:
    """The question names what differs, and each choice is labelled as it would be answered; its actions are what they were."""
    home = Home.from_mapping(
        {
            "language": "zh",
            "areas": [{"id": "study", "name": "书房"}],
            "entities": [{"id": "light.desk", "name": "台灯", "area": "study"}, {"id": "light.floor", "name": "落地灯", "area": "study"}],
        }
    )
    lamp = clause("打开[灯:CLASS]", "turn_on")
    english = decide(decider(DESKS, scores=TORN), "turn on the desk lamp")
    chinese = decide(decider(lamp, home=home, scores=(0.3, 0.33, 0.32)), "打开灯", area="study")

    assert english.question == f"Do you mean {english.choices[0].label} or {english.choices[1].label}?"
    assert {choice.label for choice in english.choices} == {"the Desk Lamp in Study", "the Desk Lamp in Bedroom"}
    assert chinese.question is not None
    assert chinese.question.startswith("您是指")
    assert {"台灯", "落地灯"} <= {choice.label for choice in chinese.choices}


@pytest.mark.parametrize("choice", ["the Desk Lamp in Study", "desk lamp in study", " The desk lamp in Study "])
def test_a_choice_is_picked_by_its_name(choice: str) -> None:
    """What a user would answer picks the choice, with or without its article."""
    decision = decide(decider(DESKS, scores=TORN), "turn on the desk lamp")

    assert pick_choice(decision, choice).actions == (parse_action("light.turn_on light.desk_study"),)


def test_a_risky_choice_says_what_would_be_done() -> None:
    """Doors to unlock are asked with the verb, said once: the answer to this question unlocks."""
    home = Home.from_mapping(
        {
            "areas": [{"id": "hall", "name": "Hall"}],
            "entities": [
                {"id": "lock.front", "name": "Front Door", "area": "hall"},
                {"id": "lock.back", "name": "Back Door", "area": "hall"},
            ],
        }
    )
    one = clause("unlock the [door:CLASS]", "unlock", "lock")
    decision = decide(decider(one, home=home, scores=TORN), "unlock the door", area="hall")

    assert decision.question in (
        "Shall I unlock the Front Door or the Back Door?",
        "Shall I unlock the Back Door or the Front Door?",
    )


def test_contested_memory_is_asked_by_name() -> None:
    """Two corrections that differ in the device alone are told apart by its name, in both languages."""
    english = remembered("turn on the counter bar", "light.turn_on light.counter", rival=(parse_action("light.turn_on light.kitchen"),))
    chinese = remembered("打开床头灯", "light.turn_on light.head", rival=(parse_action("light.turn_on light.corridor"),))

    asked = decide(decider(BAR_ON, memory=english), "turn on the counter bar")
    asked_zh = decide(decider(HEAD_ON, home=FLAT, memory=chinese), "打开床头灯")

    assert asked.question == "Do you mean the Counter Bar or the Kitchen Ceiling?"
    assert asked_zh.question == "您是指床头灯还是走廊灯？"


@pytest.mark.parametrize(
    ("words", "said", "home", "verdict"),
    [
        (clause("no", "no", "none", mood="feedback"), "turn on the counter bar", HOUSE, "no"),
        (clause("undo that", "undo", "none", mood="feedback"), "turn on the counter bar", HOUSE, "undo"),
        (clause("不对", "no", "none", mood="feedback"), "打开床头灯", FLAT, "no"),
        (clause("撤销", "undo", "none", mood="feedback"), "打开床头灯", FLAT, "undo"),
    ],
)
def test_a_bare_judgement_of_what_came_from_memory_is_heard(words: Clause, said: str, home: Home, verdict: str) -> None:
    """A spoken no or undo after a remembered action judges that decision, and asks for nothing."""
    line = "light.turn_off light.hall" if home is HOUSE else "light.turn_off light.corridor"
    brain = decider(words, home=home, memory=remembered(said, line))
    heard = hear(brain, "".join(words.words) if home is FLAT else " ".join(words.words), last=before(brain, said))

    assert heard.decision is None
    assert heard.feedback is not None
    assert (heard.feedback.verdict, heard.feedback.source, heard.feedback.correction) == (verdict, "voice", ())


def test_a_name_heard_alike_asks_when_unsure() -> None:
    """A match by sound that is not sure asks about the one."""
    one = clause("turn on the [shanda leer:NAME]", "turn_on")
    decision = decide(decider(one, scores=(0.6,)), "turn on the shanda leer")

    assert (decision.outcome, decision.reason_code, len(decision.choices)) == ("clarify", "sound", 1)


def test_a_risky_action_always_asks() -> None:
    """However sure, unlocking asks, and the choice is what would be done."""
    decision = decide(decider(UNLOCK, scores=(0.995,), not_for_us=0.001), "unlock the front door")

    assert (decision.outcome, decision.reason_code, decision.is_risky) == ("clarify", "risky", True)
    assert [a.to_line() for a in decision.choices[0].actions] == ["lock.unlock lock.front"]


def test_an_owners_label_makes_risky() -> None:
    """A switch that its owner labelled risky asks before it is turned on, not before it is turned off."""
    on, off = clause("turn on the [kiln:NAME]", "turn_on"), clause("turn off the [kiln:NAME]", "turn_off")
    brain = decider(on, off)

    assert decide(brain, "turn on the kiln").reason_code == "risky"
    assert lines(decide(brain, "turn off the kiln")) == ["switch.turn_off switch.kiln"]


def crowd(count: int) -> Home:
    """Return a home with many lamps in one room."""
    return Home.from_mapping(
        {
            "areas": [{"id": "hall", "name": "Hall"}],
            "entities": [{"id": f"light.l{n}", "name": f"Spot {n}", "area": "hall"} for n in range(count)],
        }
    )


def test_many_targets_ask_unless_all_was_said() -> None:
    """More than 8 devices ask first; "all" says that it is meant."""
    some, every = (
        clause("turn off the [hall:AREA] [lights:CLASS]", "turn_off"),
        clause("turn off all the [hall:AREA] [lights:CLASS]", "turn_off"),
    )

    assert decide(decider(some, home=crowd(9)), "turn off the hall lights").reason_code == "many"
    assert decide(decider(some, home=crowd(8)), "turn off the hall lights").outcome == "act"
    assert decide(decider(every, home=crowd(9)), "turn off all the hall lights").outcome == "act"


def test_a_whole_floor_asks_unless_all_was_said() -> None:
    """A floor without "all" asks, in both languages."""
    some, every = clause("关掉[楼上:FLOOR]的[灯:CLASS]", "turn_off"), clause("把[楼上:FLOOR]的[灯:CLASS]都关掉", "turn_off")
    brain = decider(some, every, home=FLAT)

    assert decide(brain, "关掉楼上的灯").reason_code == "many"
    assert lines(decide(brain, "把楼上的灯都关掉")) == ["light.turn_off light.desk_bedroom light.desk_study light.head"]


def test_a_destroyed_value_asks_for_it() -> None:
    """A value that cannot be read is asked for, never guessed."""
    one = clause("set the [counter bar:NAME] to [flirty:VALUE]", "set", "brightness")
    decision = decide(decider(one), "set the counter bar to flirty")

    assert (decision.outcome, decision.reason_code, decision.question) == ("clarify", "value", "To what value?")


# -- what this home does not have


@pytest.mark.parametrize(
    ("one", "text", "home", "name"),
    [
        (clause("turn on the [pool:NAME]", "turn_on"), "turn on the pool", HOUSE, "pool"),
        (clause("打开[泳池:NAME]", "turn_on"), "打开泳池", FLAT, "泳池"),
    ],
)
def test_an_unknown_name_refuses(one: Clause, text: str, home: Home, name: str) -> None:
    """A name that this home does not have is refused and said; never the nearest match."""
    decision = decide(decider(one, home=home), text)

    assert (decision.outcome, decision.reason_code) == ("reject", "unknown_name")
    assert name in decision.reason


def test_an_unexplained_word_makes_acting_dear() -> None:
    """In speech, "the pool lights" in a home without a pool does not act even where the scorer leans to it."""
    one = clause("turn on the [pool lights:NAME]", "turn_on")

    assert decide(decider(one, scores=(0.8,)), "turn on the pool lights").outcome != "act"


def test_what_cannot_be_done_is_refused() -> None:
    """A device without the ability is refused with that reason."""
    home = Home.from_mapping({"entities": [{"id": "light.x", "name": "Beacon", "abilities": ["on_off"]}]})
    one = clause("[beacon:NAME] to [half:VALUE]", "set", "brightness")

    assert decide(decider(one, home=home), "beacon to half").reason_code == "unable"


def test_a_home_without_devices_never_acts() -> None:
    """Where nothing is, nothing is done."""
    assert not decide(decider(clause("turn on the [lights:CLASS]", "turn_on"), home=Home()), "turn on the lights").actions


# -- queries and intents


@pytest.mark.parametrize(
    ("text", "home", "said"),
    [("is the [front door:NAME] locked", HOUSE, "The Front Door is locked."), ("[大门锁:NAME]锁了吗", FLAT, "大门锁锁着。")],
)
def test_a_query_is_answered(text: str, home: Home, said: str) -> None:
    """A question about a state is answered from the state, and nothing is done."""
    one = clause(text, "query", "lock", mood="question")
    decision = decide(decider(one, home=home), " ".join(one.words), states={"lock.front": EntityState(value="locked")})

    assert (decision.outcome, decision.reason_code, decision.reason) == ("act", "told", said)
    assert not any(action.is_dispatched for action in decision.actions)


def test_a_query_of_an_unknown_state_says_so() -> None:
    """Without a state, it says that it does not know."""
    one = clause("is the [front door:NAME] locked", "query", "lock", mood="question")

    assert "don't know" in decide(decider(one), "is the front door locked").reason


def test_a_question_never_acts() -> None:
    """A question whose best candidate would act is no command."""
    one = clause("is the [counter bar:NAME] on", "turn_on", mood="question")

    assert not decide(decider(one), "is the counter bar on").actions


def test_a_command_is_not_answered_as_a_question() -> None:
    """A command with a leaning towards a query does what it says."""
    one = clause("turn on the [counter bar:NAME]", "turn_on", others=(("query", 0.3),))

    assert lines(decide(decider(one), "turn on the counter bar")) == ["light.turn_on light.counter"]


def test_a_timer_is_handed_over() -> None:
    """Timers are Home Assistant's own business."""
    decision = decide(decider(clause("set a timer for [ten minutes:TIME]", "handover", "timer")), "set a timer for ten minutes")

    assert (decision.outcome, decision.reason_code, lines(decision)) == ("act", "forwarded", ["intent.HassStartTimer duration=ten minutes"])


# -- compounds


def test_a_compound_acts_in_order() -> None:
    """Two clauses act in their order, and the certainty is that of both."""
    decision = decide(
        decider([clause("[bar:NAME] on", "turn_on"), clause("and the [radio:NAME] off", "turn_off")]), "bar on and the radio off"
    )

    assert lines(decision) == ["light.turn_on light.counter", "media_player.turn_off media_player.radio"]
    assert decision.confidence == pytest.approx(0.97**2, abs=1e-3)


def test_a_pronoun_in_the_second_clause_means_the_first() -> None:
    """In speech, "turn on the bar and make it red" is one lamp."""
    brain = decider([clause("turn on the [bar:NAME]", "turn_on"), clause("and make [it:PRONOUN] [red:COLOR]", "set", "color")])

    assert lines(decide(brain, "turn on the bar and make it red")) == [
        "light.turn_on light.counter",
        "light.turn_on light.counter color_name=red",
    ]


def test_a_forbidden_clause_is_left_out() -> None:
    """In speech, "bar on but don't touch the radio" turns on the bar and nothing else."""
    brain = decider([clause("[bar:NAME] on", "turn_on"), clause("but dont touch the [radio:NAME]", "turn_off", mood="prohibition")])

    assert lines(decide(brain, "bar on but don't touch the radio")) == ["light.turn_on light.counter"]


def test_a_clause_for_later_stops_everything() -> None:
    """In speech, "bar on and radio off at ten" does nothing: half of it would be wrong."""
    brain = decider([clause("[bar:NAME] on", "turn_on"), clause("and the [radio:NAME] off [at ten:TIME]", "turn_off", mood="scheduled")])
    decision = decide(brain, "bar on and the radio off at ten")

    assert (decision.outcome, decision.reason_code) == ("reject", "scheduled")


def test_a_risky_clause_makes_the_compound_ask() -> None:
    """A compound with an unlocking asks about the whole."""
    decision = decide(
        decider([clause("[bar:NAME] on", "turn_on"), clause("and unlock the [front door:NAME]", "unlock", "lock")]),
        "bar on and unlock the front door",
    )

    assert decision.reason_code == "risky"
    assert [a.to_line() for a in decision.choices[0].actions] == ["light.turn_on light.counter", "lock.unlock lock.front"]


# -- memory


def test_memory_comes_before_the_policy() -> None:
    """The same words in the same place do what they were corrected to, without the policy being asked."""
    brain = decider(BAR_ON, memory=remembered("turn on the counter bar", "light.turn_off light.hall"))
    decision = decide(brain, "Turn on the counter bar, please".replace(", please", ""))

    assert (decision.stage, decision.reason_code, lines(decision)) == ("memory", "memory", ["light.turn_off light.hall"])
    assert isinstance(brain.policy, ScriptedPolicy)
    assert brain.policy.reads == 0


def test_memory_holds_only_in_its_place() -> None:
    """In another room the same words are decided anew."""
    brain = decider(BAR_ON, memory=remembered("turn on the counter bar", "light.turn_off light.hall", area="study"))

    assert lines(decide(brain, "turn on the counter bar")) == ["light.turn_on light.counter"]


def test_memory_of_a_refusal_refuses() -> None:
    """Words that were corrected to "do nothing" are refused from then on."""
    decision = decide(decider(BAR_ON, memory=remembered("turn on the counter bar")), "turn on the counter bar")

    assert (decision.outcome, decision.stage, decision.reason_code) == ("reject", "memory", "refused_before")


def test_contested_memory_asks() -> None:
    """Two opposite corrections ask, offering both."""
    memory = remembered("turn on the counter bar", "light.turn_on light.counter", rival=(parse_action("light.turn_on light.kitchen"),))
    decision = decide(decider(BAR_ON, memory=memory), "turn on the counter bar")

    assert (decision.outcome, decision.stage, decision.reason_code, len(decision.choices)) == ("clarify", "memory", "contested", 2)


@pytest.mark.parametrize(
    "line", ["lock.unlock lock.front", "light.turn_on light.gone", "switch.turn_on switch.rack", "lock.lock light.counter"]
)
def test_memory_is_checked_at_each_use(line: str) -> None:
    """A remembered action that is risky, gone, hidden or impossible is not used."""
    decision = decide(decider(BAR_ON, memory=remembered("turn on the counter bar", line)), "turn on the counter bar")

    assert (decision.stage, lines(decision)) == ("policy", ["light.turn_on light.counter"])


@pytest.mark.parametrize(
    ("one", "line", "may"),
    [
        (BAR_ON, "light.turn_on light.counter", True),
        (BAR_ON, "lock.unlock lock.front", False),
        (clause("make [it:PRONOUN] brighter", "raise", "brightness"), "light.turn_on light.counter", False),
        (clause("now at [sixty:VALUE]", "set", "brightness"), "light.turn_on light.counter brightness_pct=60", False),
        (clause("same for the [bedroom:AREA]", "same", "any"), "light.turn_on light.counter", False),
        (clause("[bar:NAME] to [sixty:VALUE]", "set", "brightness"), "light.turn_on light.counter brightness_pct=60", True),
    ],
)
def test_what_may_be_learned_by_heart(one: Clause, line: str, may: bool) -> None:
    """Never a risky action, a pronoun, a bare value or a follow-up: they mean something only after other words."""
    assert decider(one).may_remember(Utterance(text=" ".join(one.words), area="kitchen"), [parse_action(line)]) == may


# -- dialogue


def test_an_answer_is_executed_and_learned() -> None:
    """In speech, "the study" after the question acts on that lamp, and is a correction of the question's decision."""
    brain = decider(DESKS, clause("the [study:AREA] one", "none", "none", mood="bare"), scores=TORN)
    heard = hear(brain, "the study one", last=before(brain, "turn on the desk lamp"))

    assert heard.decision is not None
    assert (heard.decision.reason_code, lines(heard.decision)) == ("answered", ["light.turn_on light.desk_study"])
    assert heard.feedback is not None
    assert (heard.feedback.verdict, heard.feedback.source, heard.feedback.decision_id) == ("correct", "answer", "d2")
    assert heard.feedback.correction == heard.decision.actions


def test_a_chinese_answer_by_ordinal() -> None:
    """第二个 takes the second choice."""
    brain = decider(clause("打开[台灯:NAME]", "turn_on"), clause("第二个", "none", "none", mood="bare"), home=FLAT, scores=TORN)
    turn = before(brain, "打开台灯", area="living")
    heard = hear(brain, "第二个", last=turn, area="living")

    assert heard.decision is not None
    assert heard.decision.actions == turn.decision.choices[1].actions


def test_a_yes_confirms_a_risky_question() -> None:
    """A spoken yes within the question's time unlocks; the decision says why."""
    brain = decider(UNLOCK, clause("yes", "yes", "none", mood="feedback"))
    heard = hear(brain, "yes", last=before(brain, "unlock the front door"))

    assert heard.decision is not None
    assert lines(heard.decision) == ["lock.unlock lock.front"]


def test_a_no_to_a_question_does_nothing() -> None:
    """A no leaves it, and judges the question."""
    brain = decider(UNLOCK, clause("no", "no", "none", mood="feedback"))
    heard = hear(brain, "no", last=before(brain, "unlock the front door"))

    assert heard.decision is None
    assert heard.feedback is not None
    assert (heard.feedback.verdict, heard.feedback.source) == ("no", "answer")


def test_an_old_question_is_not_answered() -> None:
    """After 20 s a yes unlocks nothing."""
    brain = decider(UNLOCK, clause("yes", "yes", "none", mood="feedback"))
    heard = hear(brain, "yes", last=before(brain, "unlock the front door"), now=100.0 + QUESTION_S + 0.1)

    assert heard.decision is None or not heard.decision.actions


def test_a_full_command_beats_a_pending_question() -> None:
    """A new command while a question waits is a command."""
    brain = decider(DESKS, BAR_ON, scores=TORN)
    turn = before(brain, "turn on the desk lamp")
    brain.set_policy(ScriptedPolicy(BAR_ON))

    assert lines(decide(brain, "turn on the counter bar", last=turn)) == ["light.turn_on light.counter"]


@pytest.mark.parametrize(("operation", "verdict"), [("yes", "yes"), ("no", "no"), ("undo", "undo"), ("cancel", "no")])
def test_a_spoken_judgement_is_feedback(operation: str, verdict: str) -> None:
    """A judgement of what was done is feedback with its speaker, and no decision of its own."""
    brain = decider(BAR_ON, clause("well well", operation, "none", mood="feedback"))
    heard = hear(brain, "well well", last=before(brain, "turn on the counter bar"))

    assert heard.decision is None
    assert heard.feedback is not None
    assert (heard.feedback.verdict, heard.feedback.source, heard.feedback.user, heard.feedback.given_at) == (verdict, "voice", "ann", 105.0)


def test_a_judgement_of_nothing_is_refused() -> None:
    """Praise without anything before it, or long after it, judges nothing."""
    brain = decider(BAR_ON, clause("well done", "yes", "none", mood="feedback"))

    assert decide(brain, "well done").outcome == "reject"
    late = hear(brain, "well done", last=before(brain, "turn on the counter bar"), now=100.0 + FOLLOW_UP_S + 1)
    assert late.feedback is None


@pytest.mark.parametrize(
    ("first", "spoken", "home", "line"),
    [
        (DESKS, "no the [study:AREA] one", HOUSE, "light.turn_on light.desk_study"),
        (BAR_ON, "no i meant the [chandelier:NAME]", HOUSE, "light.turn_on light.study"),
        (HEAD_ON, "不对，我说的是[走廊灯:NAME]", FLAT, "light.turn_on light.corridor"),
    ],
)
def test_a_spoken_correction_acts_and_teaches(first: Clause, spoken: str, home: Home, line: str) -> None:
    """In speech, "no, the study one" does the same there, and names what should have been done."""
    correction = clause(spoken, "correct", "none", mood="feedback")
    area = "bedroom"
    brain = decider(first, correction, home=home)
    heard = hear(brain, " ".join(correction.words), last=before(brain, " ".join(first.words), area=area), area=area)

    assert heard.decision is not None
    assert (heard.decision.outcome, heard.decision.reason_code, lines(heard.decision)) == ("act", "corrected", [line])
    assert heard.feedback is not None
    assert (heard.feedback.verdict, heard.feedback.correction) == ("correct", heard.decision.actions)
    assert heard.feedback.correction_text


def test_a_correction_that_names_nothing_asks() -> None:
    """In speech, "no, the other one" without more is a no and a question."""
    brain = decider(BAR_ON, clause("no not that", "correct", "none", mood="feedback"))
    heard = hear(brain, "no not that", last=before(brain, "turn on the counter bar"))

    assert heard.decision is not None
    assert heard.decision.outcome == "clarify"
    assert heard.feedback is not None
    assert heard.feedback.verdict == "no"


# -- follow-ups


@pytest.mark.parametrize(
    ("follow", "line"),
    [
        (clause("now at [sixty:VALUE]", "set", "brightness"), "light.turn_on light.counter brightness_pct=60"),
        (clause("make [it:PRONOUN] [red:COLOR]", "set", "color"), "light.turn_on light.counter color_name=red"),
        (clause("same for the [hall light:NAME]", "same", "any"), "light.turn_on light.hall"),
        (clause("再亮一点", "raise", "brightness"), "light.turn_on light.counter brightness_step_pct=10"),
    ],
)
def test_a_follow_up_is_merged_with_the_command_before(follow: Clause, line: str) -> None:
    """A value, a pronoun or "same" refers to the command just before, also from another room."""
    brain = decider(BAR_ON, follow)

    assert lines(decide(brain, " ".join(follow.words), last=before(brain, "turn on the counter bar"))) == [line]


def test_a_follow_up_forgets_after_a_minute() -> None:
    """A pronoun an hour later means nothing."""
    follow = clause("make [it:PRONOUN] [red:COLOR]", "set", "color")
    brain = decider(BAR_ON, follow)
    late = decide(brain, "make it red", last=before(brain, "turn on the counter bar"), now=100.0 + FOLLOW_UP_S + 1)

    assert late.outcome != "act"


def test_home_and_policy_change_between_two_utterances() -> None:
    """A new home is known at once, and a new policy signs its decisions."""
    brain = decider(BAR_ON)
    brain.set_home(Home())
    brain.set_policy(ScriptedPolicy(BAR_ON))

    assert not decide(brain, "turn on the counter bar").actions
    brain.set_home(HOUSE)
    assert decide(brain, "turn on the counter bar").outcome == "act"


# -- names that this home lacks


def test_a_part_of_a_name_is_not_the_name() -> None:
    """Said: "grandad's lamp" shares a word with the lamps of this home and is another; a word that nobody could have said is asked about."""
    garbled = clause("turn on the [mrrph bar:NAME]", "turn_on")

    assert decide(decider(clause("turn on [grandads lamp:NAME]", "turn_on")), "turn on grandad's lamp").outcome == "reject"
    assert decide(decider(garbled, scores=(0.5,)), "turn on the mrrph bar").outcome == "clarify"


def test_a_level_that_was_not_heard_is_asked_for() -> None:
    """Said: "set the counter bar to" without a value that can be read asks to what."""
    decision = decide(decider(clause("set the [counter bar:NAME] to the uh", "set", "brightness")), "set the counter bar to the uh")

    assert (decision.outcome, decision.reason_code) == ("clarify", "value")

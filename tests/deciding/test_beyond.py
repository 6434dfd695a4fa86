"""Beyond the house: calls, messages, routes, translations and searches are decided only when they are switched on."""

import pytest

from tests.scripted import Clause, ScriptedPolicy, clause
from tests.understanding.homes import HOUSE
from voice_rl_plugin.deciding.beyond import CANNOT, tell_beyond
from voice_rl_plugin.deciding.decider import Decider
from voice_rl_plugin.deciding.memory import Memory, MemoryEntry, memory_words
from voice_rl_plugin.deciding.value import Costs
from voice_rl_plugin.domain.action import Action, parse_action
from voice_rl_plugin.domain.beyond import SERVICES
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.domain.utterance import Utterance

CALL = clause("ring [mum:CONTACT] please", "handover", "call")
CALL_ZH = clause("给[妈:CONTACT]打个电话", "handover", "call")
CASES = [
    (CALL, "phone.call contact=mum"),
    (CALL_ZH, "phone.call contact=妈"),
    (
        clause("text [my wife:CONTACT] [dinner is ready:CONTENT]", "handover", "message"),
        "phone.message contact=my wife message=dinner is ready",
    ),
    (clause("给[王老师:CONTACT]发消息说[我晚点到:CONTENT]", "handover", "message"), "phone.message contact=王老师 message=我晚点到"),
    (clause("take me to [the station:PLACE]", "handover", "route"), "navigation.route place=the station"),
    (clause("导航去[西湖:PLACE]", "handover", "route"), "navigation.route place=西湖"),
    (
        clause("how far is [paris:PLACE]", "handover", "navigation", mood="question"),
        "navigation.query place=paris text=how far is paris",
    ),
    (clause("路上堵不堵", "handover", "navigation", mood="question"), "navigation.query text=路上堵不堵"),
    (clause("say [good night:CONTENT] in [french:LANGUAGE]", "handover", "translate"), "translate.text language=french text=good night"),
    (clause("[谢谢:CONTENT]用[日语:LANGUAGE]怎么说", "handover", "translate"), "translate.text language=日语 text=谢谢"),
    (clause("find [thai:CONTENT] food near [work:PLACE]", "handover", "restaurant"), "search.restaurant cuisine=thai place=work"),
    (clause("附近有什么好吃的", "handover", "restaurant"), "search.restaurant"),
    (
        clause("weather in [oslo:PLACE] [tomorrow:TIME]", "handover", "weather", mood="question"),
        "search.weather place=oslo time=tomorrow",
    ),
]


def decide(
    one: Clause,
    *,
    beyond: tuple[str, ...] = SERVICES,
    scores: tuple[float, ...] = (0.97,),
    home: Home = HOUSE,
    memory: Memory | None = None,
) -> Decision:
    """Return what is decided about a marked sentence."""
    brain = Decider(policy=ScriptedPolicy(one, scores=scores), home=home, memory=memory or Memory(), beyond=beyond)
    utterance = Utterance(text="".join(one.words) if not one.words[0].isascii() else " ".join(one.words), area=home.areas[0].id)
    decision = brain.hear(utterance, states={}, last=None, now=1.0, decision_id="d").decision
    assert decision is not None
    return decision


@pytest.mark.parametrize(("one", "line"), CASES, ids=[line for _, line in CASES])
def test_what_is_switched_on_becomes_an_action(one: Clause, line: str) -> None:
    """Each service gets the raw words of its spans, and the reason says what was sent."""
    decision = decide(one)

    assert (decision.outcome, decision.reason_code) == ("act", "sent")
    assert decision.actions == (parse_action(line),)
    assert tell_beyond(decision.actions[0], decision.language) in decision.reason


@pytest.mark.parametrize(("one", "line"), CASES[:-1], ids=[line for _, line in CASES[:-1]])
def test_what_is_not_switched_on_is_refused_in_words(one: Clause, line: str) -> None:
    """By default everything is off: nothing is sent, and the answer says what is not switched on."""
    decision = decide(one, beyond=())

    assert (decision.outcome, decision.reason_code, decision.actions) == ("reject", "not_switched_on", ())
    assert CANNOT[decision.language][line.split(maxsplit=1)[0]] in decision.reason


def test_one_service_may_be_on_and_another_off() -> None:
    """Each service has its own switch."""
    assert decide(CALL, beyond=("phone.call",)).outcome == "act"
    assert decide(CALL, beyond=("phone.message",)).reason_code == "not_switched_on"


@pytest.mark.parametrize("mood", ["prohibition", "report", "scheduled", "chat", "bare"])
@pytest.mark.parametrize("certainty", [0.95, 0.4])
@pytest.mark.parametrize("one", [CALL, CALL_ZH], ids=["en", "zh"])
def test_a_refusing_mood_is_never_sent(one: Clause, mood: str, certainty: float) -> None:
    """A prohibition, a report or a plan is refused with its own code, even where it is only the likeliest mood."""
    said = Clause(text=one.text, operation=one.operation, prop=one.prop, mood=mood, certainty=certainty)

    assert (decide(said).outcome, decide(said).reason_code) == ("reject", mood)


@pytest.mark.parametrize("text", ["ring [mum:CONTACT] tomorrow", "in ten minutes ring [mum:CONTACT]", "明天给[妈:CONTACT]打电话"])
def test_a_call_for_later_is_refused_by_its_words(text: str) -> None:
    """A call is made now or not at all, whatever mood was heard."""
    assert decide(clause(text, "handover", "call")).reason_code == "scheduled"


def test_a_time_inside_a_message_is_no_plan() -> None:
    """What is told about tomorrow is told now."""
    decision = decide(clause("text [mum:CONTACT] [see you tomorrow:CONTENT]", "handover", "message"))

    assert [a.to_line() for a in decision.actions] == ["phone.message contact=mum message=see you tomorrow"]


@pytest.mark.parametrize(
    ("one", "question"),
    [
        (clause("call [him:PRONOUN]", "handover", "call"), "Whom do you mean?"),
        (clause("发条短信", "handover", "message"), "您要联系谁？"),
        (clause("start the route", "handover", "route"), "Where to?"),
        (clause("翻译一下", "handover", "translate"), "要翻译什么？"),
    ],
)
def test_what_lacks_its_slot_asks_an_open_question(one: Clause, question: str) -> None:
    """A call or a message without a contact, a route without a place and a translation without words ask; off, they are refused."""
    decision = decide(one)

    assert (decision.outcome, decision.question, decision.choices) == ("clarify", question, ())
    assert decide(one, beyond=()).reason_code == "not_switched_on"


def test_the_weather_stays_home_assistants() -> None:
    """The weather is searched for only when that is on, and a place or a time was named or the home has no weather of its own."""
    plain = clause("what is the weather", "handover", "weather", mood="question")
    placed = CASES[-1][0]
    with_weather = Home.from_mapping(
        {"language": "en", "areas": [{"id": "hall", "name": "Hall"}], "entities": [{"id": "weather.home", "name": "Forecast"}]}
    )

    assert decide(plain, home=with_weather).actions[0].service == "intent.HassGetWeather"
    assert decide(placed, home=with_weather).actions[0].service == "search.weather"
    assert decide(plain).actions == (Action(service="search.weather"),)
    assert decide(placed, beyond=()).actions[0].service == "intent.HassGetWeather"


def test_a_wrong_call_is_dearer_than_a_wrong_lamp() -> None:
    """At the same probability a search is done and a call is not."""
    assert Costs().of(["phone"]) == 2 * Costs().of(["light"])
    assert decide(CASES[10][0], scores=(0.82,)).outcome == "act"
    assert decide(CALL, scores=(0.82,)).outcome != "act"


@pytest.mark.parametrize(("beyond", "outcome"), [(SERVICES, "act"), ((), "reject")])
def test_memory_does_not_go_round_the_switch(beyond: tuple[str, ...], outcome: str) -> None:
    """What was learned by heart while calls were on is not done once they are off."""
    entry = MemoryEntry(
        words=memory_words("ring mum please"),
        area=HOUSE.areas[0].id,
        actions=(parse_action("phone.call contact=mum"),),
        decision_id="d0",
        learned_at=1.0,
    )

    assert decide(CALL, beyond=beyond, memory=Memory([entry])).outcome == outcome


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_words(service: str, language: str) -> None:
    """Each service says what it would do and what it cannot, with all its slots and with none of the optional ones."""
    full = {
        "contact": "anna smith",
        "message": "hi",
        "place": "oslo",
        "text": "hello",
        "language": "french",
        "time": "now",
        "cuisine": "thai",
    }
    least = {"contact": "the vet", "place": "rome", "text": "hello"}

    assert CANNOT[language][service]
    assert tell_beyond(Action(service=service, data=full), language) != tell_beyond(Action(service=service, data=least), language)


def test_names_are_told_as_names() -> None:
    """A contact's name gets its capitals, a role does not; Chinese says whom."""
    assert tell_beyond(Action(service="phone.call", data={"contact": "mum"}), "en") == "call Mum"
    assert tell_beyond(Action(service="phone.call", data={"contact": "the dentist"}), "en") == "call the dentist"
    assert tell_beyond(Action(service="phone.call", data={"contact": "妈"}), "zh") == "给妈打电话"

"""The actions beyond the house: the words of a clause's spans become the data of a call, a message, a route, a translation or a search.

"text mum i'm late"   ->  phone.message contact=mum message="im late"
"how far is paris"    ->  navigation.query place=paris text="how far is paris"
"""

from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.beyond import SERVICE_OF_PROPERTY, WEATHER
from voice_rl_plugin.domain.frame import Frame
from voice_rl_plugin.understanding.features import Observation
from voice_rl_plugin.understanding.text import join

_SLOTS = {
    "phone.call": (("contact", "CONTACT"),),
    "phone.message": (("contact", "CONTACT"), ("message", "CONTENT")),
    "navigation.route": (("place", "PLACE"),),
    "navigation.query": (("place", "PLACE"),),
    "translate.text": (("language", "LANGUAGE"), ("text", "CONTENT")),
    "search.weather": (("place", "PLACE"), ("time", "TIME")),
    "search.restaurant": (("cuisine", "CONTENT"), ("place", "PLACE")),
}
"""What each service is told, and the tag of the words that say it."""
_NEEDED = {"call": "contact", "message": "contact", "route": "place", "translate": "text"}
"""The slot without which a property means nothing that could be done."""


def service_asked(frame: Frame) -> str:
    """Return the service beyond the house that a clause asks for; empty when it asks for none."""
    return SERVICE_OF_PROPERTY.get(frame.property, "") if frame.operation == "handover" else ""


def missing_slot(frame: Frame) -> str:
    """Return the slot that a clause would need and does not name: "call him" lacks its contact; empty when nothing is missing."""
    service = service_asked(frame)
    needed = _NEEDED.get(frame.property, "") if service else ""
    return "" if not needed or frame.spans_of(dict(_SLOTS[service])[needed]) else needed


def beyond_action(observation: Observation, frame: Frame, prop: str) -> Action | None:
    """Return the action that a property stands for; None when it is none of these, or when what it needs is not named."""
    service = SERVICE_OF_PROPERTY.get(prop)
    if service is None:
        return None
    data = _data(observation, frame, service)
    if _NEEDED.get(prop, "") not in ("", *data):
        return None
    if service == "navigation.query":
        data["text"] = join(observation.words[frame.start : frame.end])
    return Action(service=service, data=data)


def weather_search(observation: Observation, frame: Frame) -> Action:
    """Return the search for the weather of a place or a time."""
    return Action(service=WEATHER, data=_data(observation, frame, WEATHER))


def _data(observation: Observation, frame: Frame, service: str) -> dict[str, str]:
    """Return the words of the spans by slot; several spans of one slot are one text."""
    named = {slot: [w for span in frame.spans_of(tag) for w in observation.words[span.start : span.end]] for slot, tag in _SLOTS[service]}
    return {slot: join(words) for slot, words in named.items() if words}

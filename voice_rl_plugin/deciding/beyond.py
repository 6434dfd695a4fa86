"""What is said about calls, messages, routes, translations and searches, in English and Chinese."""

from voice_rl_plugin.domain.action import Action

CANNOT = {
    "en": {
        "phone.call": "make calls",
        "phone.message": "send messages",
        "navigation.route": "start navigation",
        "navigation.query": "look up ways and traffic",
        "translate.text": "translate",
        "search.weather": "search for the weather",
        "search.restaurant": "look for restaurants",
    },
    "zh": {
        "phone.call": "打电话",
        "phone.message": "发消息",
        "navigation.route": "导航",
        "navigation.query": "查路线和路况",
        "translate.text": "翻译",
        "search.weather": "查天气",
        "search.restaurant": "找餐厅",
    },
}
"""What each service does, as the words after "I can't"."""

OPEN_QUESTIONS = {
    "en": {"no_contact": "Whom do you mean?", "no_place": "Where to?", "no_text": "What shall I translate?"},
    "zh": {"no_contact": "您要联系谁？", "no_place": "您要去哪里？", "no_text": "要翻译什么？"},
}
"""What is asked where the one thing that a service needs was not named."""
_NO_NAMES = ("the", "my", "our", "a", "an")


def tell_beyond(action: Action, language: str) -> str:
    """Return what an action beyond the house would do, as the words after "shall I": "call Mum", 给妈打电话."""
    return (_tell_chinese if language == "zh" else _tell_english)(action.service, {key: str(value) for key, value in action.data.items()})


def _tell_english(service: str, data: dict[str, str]) -> str:
    place, time = data.get("place", ""), data.get("time", "")
    contact = data.get("contact", "")
    if contact.partition(" ")[0] not in _NO_NAMES:
        contact = contact.title()
    match service:
        case "phone.call":
            return f"call {contact}"
        case "phone.message":
            return f"send {contact} “{data['message']}”" if "message" in data else f"send {contact} a message"
        case "navigation.route":
            return f"start the way to {place}"
        case "navigation.query":
            return f"look up the way to {place}" if place else "look up the way and the traffic"
        case "translate.text":
            into = f" into {data['language'].title()}" if "language" in data else ""
            return f"translate “{data['text']}”{into}"
        case "search.weather":
            return "look up the weather" + (f" in {place}" if place else "") + (f" {time}" if time else "")
    return f"look for {data.get('cuisine', 'somewhere to eat')}" + (f" near {place}" if place else "")


def _tell_chinese(service: str, data: dict[str, str]) -> str:
    place, contact = data.get("place", ""), data.get("contact", "")
    match service:
        case "phone.call":
            return f"给{contact}打电话"
        case "phone.message":
            return f"给{contact}发“{data['message']}”" if "message" in data else f"给{contact}发消息"
        case "navigation.route":
            return f"导航去{place}"
        case "navigation.query":
            return f"查去{place}的路" if place else "查路线和路况"
        case "translate.text":
            return f"把“{data['text']}”翻译" + (f"成{data['language']}" if "language" in data else "一下")
        case "search.weather":
            return f"查{place}{data.get('time', '')}的天气" if place or "time" in data else "查天气"
    return "找" + (f"{place}附近的" if place else "") + data.get("cuisine", "餐厅")

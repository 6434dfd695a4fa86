"""What is said to people: reasons, questions and answers, in English and Chinese."""

from collections.abc import Collection, Sequence
from datetime import datetime

from voice_rl_plugin.deciding.beyond import OPEN_QUESTIONS, tell_beyond
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.beyond import SERVICES
from voice_rl_plugin.domain.home import Entity, Home, States
from voice_rl_plugin.understanding.colours import COLORS
from voice_rl_plugin.understanding.text import is_han

REASONS: dict[str, dict[str, str]] = {
    "en": {
        "confident": "I am {percent} sure that this is what you meant.",
        "memory": "Because you corrected me on these words before.",
        "alias": "Because you told me on {date} that {names}.",
        "answered": "Because you answered my question.",
        "corrected": "Because you corrected me just now.",
        "ambiguous": "Several things fit equally well.",
        "unsure": "I am not sure enough.",
        "sound": "I only found something that sounds alike.",
        "risky": "This always needs a yes.",
        "many": "This would change {count} devices at once.",
        "phrase": "Because you told me on {date} what '{words}' means.",
        "contested": "I was corrected in two opposite ways on these words.",
        "value": "I could not make out the value.",
        "drowned": "I did not hear all of that.",
        "prohibition": "You told me not to.",
        "report": "You told me about something; you did not ask for anything.",
        "scheduled": "I can't do that later yet.",
        "chat": "That was not meant for me.",
        "bare": "You named something, but not what to do.",
        "question": "You asked something that I can't answer.",
        "unknown_name": "I don't know {name} in this home.",
        "unable": "It can't do that.",
        "no_target": "There is nothing here that could do that.",
        "feedback": "Thank you, I'll remember.",
        "cancelled": "All right, I'll leave it.",
        "refused_before": "Because you told me to refuse these words.",
        "no_model": "I have no model loaded, so I do nothing.",
        "stale": "That was too long ago.",
        "forwarded": "Home Assistant does that itself.",
        "sent": "I am {percent} sure that you want me to {text}.",
        "not_switched_on": "I can't {name}: this is not switched on.",
        "no_contact": "You did not say whom.",
        "no_place": "You did not say where to.",
        "no_text": "You did not say what to translate.",
        "told": "{text}",
    },
    "zh": {
        "confident": "我有{percent}的把握是这个意思。",
        "memory": "因为您之前纠正过我这句话。",
        "alias": "因为您在{date}告诉过我{names}。",
        "answered": "因为您回答了我的问题。",
        "corrected": "因为您刚才纠正了我。",
        "ambiguous": "有几个都符合。",
        "unsure": "我不太确定。",
        "sound": "我只找到读音相近的。",
        "risky": "这个操作每次都要您确认。",
        "many": "这会同时改变{count}个设备。",
        "phrase": "因为您在{date}告诉过我“{words}”是什么意思。",
        "contested": "这句话您给过我两种相反的纠正。",
        "value": "我没听清数值。",
        "drowned": "有一部分我没听清。",
        "prohibition": "您说了不要这样做。",
        "report": "您是在说一件事，没有让我做什么。",
        "scheduled": "我还不会定时执行。",
        "chat": "这句话不是对我说的。",
        "bare": "您只说了名字，没说要做什么。",
        "question": "这个问题我回答不了。",
        "unknown_name": "家里没有{name}。",
        "unable": "它做不到这个。",
        "no_target": "这里没有能做这件事的设备。",
        "feedback": "谢谢，我记住了。",
        "cancelled": "好的，不动它。",
        "refused_before": "因为您让我不要理会这句话。",
        "no_model": "没有加载模型，所以我什么都不做。",
        "stale": "这已经是很久以前的事了。",
        "forwarded": "这件事由Home Assistant来做。",
        "sent": "我有{percent}的把握您要我{text}。",
        "not_switched_on": "我不能{name}：这个功能没有开启。",
        "no_contact": "您没说是谁。",
        "no_place": "您没说去哪里。",
        "no_text": "您没说要翻译什么。",
        "told": "{text}",
    },
}

_VERBS = {
    "en": {
        "turn_on": "turn on {x}",
        "turn_off": "turn off {x}",
        "toggle": "switch {x}",
        "open_cover": "open {x}",
        "close_cover": "close {x}",
        "stop_cover": "stop {x}",
        "set_cover_position": "move {x}",
        "lock": "lock {x}",
        "unlock": "unlock {x}",
        "volume_up": "turn up {x}",
        "volume_down": "turn down {x}",
        "volume_set": "set the volume of {x}",
        "volume_mute": "mute {x}",
        "media_play": "play on {x}",
        "media_pause": "pause {x}",
        "media_stop": "stop {x}",
        "media_next_track": "skip on {x}",
        "media_previous_track": "go back on {x}",
        "set_temperature": "set the temperature of {x}",
        "set_hvac_mode": "change the mode of {x}",
        "set_percentage": "set the speed of {x}",
        "increase_speed": "speed up {x}",
        "decrease_speed": "slow down {x}",
        "start": "start {x}",
        "return_to_base": "send {x} home",
        "state": "tell you about {x}",
    },
    "zh": {
        "turn_on": "打开{x}",
        "turn_off": "关闭{x}",
        "toggle": "切换{x}",
        "open_cover": "打开{x}",
        "close_cover": "关上{x}",
        "stop_cover": "停住{x}",
        "set_cover_position": "调整{x}的位置",
        "lock": "锁上{x}",
        "unlock": "解锁{x}",
        "volume_up": "调高{x}的音量",
        "volume_down": "调低{x}的音量",
        "volume_set": "设置{x}的音量",
        "volume_mute": "让{x}静音",
        "media_play": "播放{x}",
        "media_pause": "暂停{x}",
        "media_stop": "停止{x}",
        "media_next_track": "{x}切到下一首",
        "media_previous_track": "{x}切到上一首",
        "set_temperature": "调整{x}的温度",
        "set_hvac_mode": "切换{x}的模式",
        "set_percentage": "调整{x}的风速",
        "increase_speed": "调快{x}",
        "decrease_speed": "调慢{x}",
        "start": "启动{x}",
        "return_to_base": "让{x}回充",
        "state": "看看{x}",
    },
}

_SCENE = {"en": "the scene ", "zh": "场景"}
"""Stands before the name of a scene that does not say that it is one."""

_INTENTS = {
    "en": {
        "": "hand that to Home Assistant",
        "HassStartTimer": "set a timer",
        "HassCancelTimer": "cancel the timer",
        "HassPauseTimer": "pause the timer",
        "HassTimerStatus": "check the timer",
        "HassListAddItem": "add that to the list",
        "HassShoppingListAddItem": "add that to the shopping list",
        "HassListRemoveItem": "take that off the list",
        "HassGetWeather": "tell you the weather",
        "HassGetCurrentTime": "tell you the time",
        "HassGetCurrentDate": "tell you the date",
        "HassBroadcast": "announce that",
        "HassMediaSearchAndPlay": "look for that and play it",
    },
    "zh": {
        "": "交给Home Assistant",
        "HassStartTimer": "设个计时器",
        "HassCancelTimer": "取消计时器",
        "HassPauseTimer": "暂停计时器",
        "HassTimerStatus": "看看计时器",
        "HassListAddItem": "加到清单里",
        "HassShoppingListAddItem": "加到购物清单里",
        "HassListRemoveItem": "从清单里去掉",
        "HassGetWeather": "看看天气",
        "HassGetCurrentTime": "报一下时间",
        "HassGetCurrentDate": "报一下日期",
        "HassBroadcast": "广播这句话",
        "HassMediaSearchAndPlay": "找来播放",
    },
}
_STATES_ZH = {
    "on": "开着",
    "off": "关着",
    "open": "开着",
    "closed": "关着",
    "locked": "锁着",
    "unlocked": "没锁",
    "playing": "在播放",
    "paused": "暂停了",
    "idle": "空闲",
    "docked": "在充电座上",
    "cleaning": "在打扫",
    "home": "在家",
    "not_home": "不在家",
}


def reason(code: str, language: str, **values: object) -> str:
    """Return a reason in words."""
    return REASONS[language][code].format(**values)


def reason_alias(taught: Sequence[tuple[str, str]], at: float, language: str) -> str:
    """Return the reason of what was decided by names that corrections taught.

    Args:
        taught: each name as it was said, with what it is the name of.
        at: when the last of them was taught, in Unix seconds.
        language: `en` or `zh`.
    """
    if language == "zh":
        return reason("alias", language, date=_day(at, language), names="，".join(f"“{a}”就是{b}" for a, b in taught))
    return reason("alias", language, date=_day(at, language), names=" and ".join(f"'{a}' is the {b}" for a, b in taught))


def reason_phrase(words: str, at: float, language: str) -> str:
    """Return the reason of what was decided by a phrase that a correction has explained.

    Args:
        words: the phrase, as it was explained.
        at: when, in Unix seconds.
        language: `en` or `zh`.
    """
    return reason("phrase", language, date=_day(at, language), words=words)


def _day(at: float, language: str) -> str:
    day = datetime.fromtimestamp(at).astimezone()
    return f"{day.year}年{day.month}月{day.day}日" if language == "zh" else f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


_MONTHS = "January February March April May June July August September October November December".split()


def name_targets(targets: Sequence[str], home: Home, language: str, *, with_area: bool | Collection[str] = False) -> str:
    """Return what some entities are called, by their names, or by their number when there are many.

    Args:
        targets: entity ids; what the home does not have is left out.
        home: has their names.
        language: `en` or `zh`.
        with_area: whether to say their rooms, or the ids of those whose room to say.
    """
    entities = [home.entity_by_id[i] for i in targets if i in home.entity_by_id]
    if len(entities) > 3:
        areas = {e.area for e in entities}
        place = home.area_by_id[next(iter(areas)) or ""].name if len(areas) == 1 and next(iter(areas)) in home.area_by_id else ""
        if language == "zh":
            return f"{place}{'的' if place else ''}{len(entities)}个设备"
        return f"{len(entities)} devices{f' in {place}' if place else ''}"
    names = []
    for entity in entities:
        area = home.area_by_id.get(entity.area or "")
        is_wanted = with_area if isinstance(with_area, bool) else entity.id in with_area
        place = area.name if is_wanted and area is not None and area.name.casefold() not in entity.name.casefold() else ""
        if language == "zh":
            names.append(f"{place}的{entity.name}" if place else entity.name)
        else:
            article = "" if entity.domain == "scene" else "the "
            names.append(f"{article}{entity.name}" + (f" in {place}" if place else ""))
    return ("和" if language == "zh" else " and ").join(names)


def describe(actions: Sequence[Action], home: Home, language: str, *, with_area: bool = False) -> str:
    """Return what some actions would do, as the words after "shall I"."""
    parts = []
    for action in actions:
        service = action.service.partition(".")[2]
        if action.domain == "intent":
            parts.append(_INTENTS[language].get(service, _INTENTS[language][""]))
            continue
        if action.service in SERVICES:
            parts.append(tell_beyond(action, language))
            continue
        parts.append(_tell(action, name_targets(action.targets, home, language, with_area=with_area), language))
    return ("，再" if language == "zh" else ", then ").join(parts)


def name_choices(choices: Sequence[Sequence[Action]], home: Home, language: str) -> tuple[str, ...] | None:
    """Return what some choices are called, where only what they are done to tells them apart; None where more does.

    The room is said only of what shares its name with something else.
    """
    actions = [choice[0] for choice in choices if len(choice) == 1 and choice[0].targets]
    first = actions[0] if actions else None
    if first is None or len(choices) < 2 or len(actions) < len(choices):
        return None
    if any((one.service, one.data) != (first.service, first.data) or not set(one.targets) <= home.entity_by_id.keys() for one in actions):
        return None
    shared = {target for one in actions for target in one.targets if _is_shared(home.entity_by_id[target], home)}
    labels = [name_targets(one.targets, home, language, with_area=shared) for one in actions]
    return tuple(labels) if len({label.casefold() for label in labels}) == len(labels) else None


def question_which(labels: Sequence[str], language: str) -> str:
    """Return one short question that tells some things apart by their names."""
    named = list_choices(labels, language)
    return f"您是指{named}？" if language == "zh" else f"Do you mean {named}?"


def question_which_to(action: Action, labels: Sequence[str], language: str) -> str:
    """Return the same, with what would be done: for what must not be done without having been said."""
    told = _tell(action, list_choices(labels, language), language)
    return f"您要{told}？" if language == "zh" else f"Shall I {told}?"


def list_choices(labels: Sequence[str], language: str) -> str:
    """Return some labels as words to choose from."""
    *others, last = labels
    if language == "zh":
        return f"{'、'.join(others)}还是{last}"
    comma = "," if len(labels) > 2 or any(" and " in label for label in labels) else ""
    return f"{', '.join(others)}{comma} or {last}"


def _tell(action: Action, named: str, language: str) -> str:
    """Return what an action does to what is named so."""
    service, amount = action.service.partition(".")[2], _amount(action, language)
    if action.domain == "scene":
        says_scene = "scene" in named.casefold() or "场景" in named
        return ("启动" if language == "zh" else "start ") + ("" if says_scene else _SCENE[language]) + named
    if amount and service == "turn_on":
        return f"把{named}调{amount}" if language == "zh" else f"set {named} {amount}"
    return _VERBS[language].get(service, "{x}").format(x=named) + (f" {amount}" if amount and language == "en" else amount)


def _is_shared(entity: Entity, home: Home) -> bool:
    """Whether something else in the home answers to the name of an entity."""
    return home.bearers.get(entity.name.casefold(), 0) > int(entity.exposed)


def _amount(action: Action, language: str) -> str:
    data = action.data
    zh = language == "zh"
    for key, unit in (("brightness_pct", "%"), ("position", "%"), ("percentage", "%"), ("temperature", "°")):
        if key in data:
            return f"到{data[key]}{unit}" if zh else f"to {data[key]}{unit}"
    if "volume_level" in data:
        return f"到{round(100 * data['volume_level'])}%" if zh else f"to {round(100 * data['volume_level'])}%"
    if "brightness_step_pct" in data:
        more = data["brightness_step_pct"] > 0
        return ("亮一点" if more else "暗一点") if zh else ("brighter" if more else "dimmer")
    if "temperature_step" in data:
        more = data["temperature_step"] > 0
        return ("高一点" if more else "低一点") if zh else ("up a bit" if more else "down a bit")
    if "color_name" in data:
        return f"成{_color(data['color_name'])}" if zh else f"to {data['color_name']}"
    if "color_temp_kelvin" in data:
        return f"到{data['color_temp_kelvin']}K" if zh else f"to {data['color_temp_kelvin']} K"
    return ""


def _color(name: str) -> str:
    """Return the Chinese name of a colour."""
    return next((n for n in COLORS.get(name, ()) if is_han(n)), name)


def question_between(labels: Sequence[str], language: str) -> str:
    """Return one short question that offers some labels."""
    if language == "zh":
        if len(labels) == 1:
            return f"要{labels[0]}吗？"
        return f"您是要{'，'.join(labels[:-1])}，还是{labels[-1]}？"
    if len(labels) == 1:
        return f"Shall I {labels[0]}?"
    return f"Shall I {', '.join(labels[:-1])}, or {labels[-1]}?"


def open_question(code: str, language: str) -> str:
    """Return a question that offers nothing, for when only the wish to act was understood."""
    if code in OPEN_QUESTIONS[language]:
        return OPEN_QUESTIONS[language][code]
    if code == "drowned":
        return "有一部分没听清，请再说一遍好吗？" if language == "zh" else "I did not hear all of that, what was it?"
    if code == "value":
        return "要调到多少？" if language == "zh" else "To what value?"
    return "您是指哪一个？" if language == "zh" else "Which one do you mean?"


def tell_states(targets: Sequence[str], home: Home, states: States, language: str) -> str:
    """Return the states of some entities in words; a state that is not known is said so."""
    told = []
    for entity_id in targets:
        entity = home.entity_by_id.get(entity_id)
        if entity is None:
            continue
        state = states.get(entity_id)
        if state is None or state.value in ("unknown", "unavailable", ""):
            told.append(f"我不知道{entity.name}的状态" if language == "zh" else f"I don't know the state of the {entity.name}")
            continue
        unit = str(state.attributes.get("unit_of_measurement", ""))
        if language == "zh":
            told.append(f"{entity.name}{_STATES_ZH.get(state.value, '是' + state.value)}{unit}")
        else:
            told.append(f"the {entity.name} is {state.value.replace('_', ' ')}{unit and ' ' + unit}")
    if language == "zh":
        return "，".join(told) + "。"
    text = ", ".join(told)
    return text[:1].upper() + text[1:] + "."

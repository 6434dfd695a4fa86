"""Speech: the few sentences that the daemon itself says, in English and Chinese."""

from collections.abc import Sequence

from voice_rl_plugin.domain.beyond import SERVICES
from voice_rl_plugin.domain.home import Home

HOME_ASSISTANT = "Home Assistant"

_SENTENCES = {
    "done": ("Done.", "好了。"),
    "undone": ("I took it back.", "已恢复。"),
    "partly_undone": ("I took back what I could, but not {names}.", "能恢复的已恢复，{names}除外。"),
    "cannot_undo": ("I cannot take that back.", "这个无法恢复。"),
    "no_answer": ("{names} did not answer.", "{names}没有响应。"),
    "unseen": ("I told {names}, but I did not see it happen.", "已经通知{names}，但没有看到变化。"),
    "unreachable": ("I cannot reach Home Assistant.", "联系不上 Home Assistant。"),
    "unavailable": ("{names} cannot be reached, so I did nothing there.", "{names}现在连不上，所以没有操作。"),
    "unable": ("{names} cannot do that.", "{names}做不到。"),
    "told": ("I told {names}, which cannot say whether it worked.", "已经通知{names}，它不会报告是否成功。"),
    "not_allowed": ("I may not do that here.", "这里不允许我这样做。"),
    "expired": ("That took too long, so I did nothing.", "太久了，所以没有执行。"),
    "state_unknown": ("I do not know the state of {names}.", "我不知道{names}的状态。"),
    "failed": ("That did not work.", "没有成功。"),
    "noted": ("Noted.", "知道了。"),
    "busy": ("I am still busy with that.", "我还在处理。"),
    "nothing": ("I did nothing.", "我什么都没做。"),
    "watching": ("I only watch for now; I would {names}.", "我现在只是旁观，本来会{names}。"),
}
_SERVANTS = {
    "phone": ("The phone", "电话"),
    "navigation": ("The navigation", "导航"),
    "translate": ("The translator", "翻译"),
    "search": ("The search", "搜索"),
}
"""Who carries out what lies beyond the house."""


def sentence(key: str, language: str, *, names: str = "") -> str:
    """Return one sentence in the speaker's language."""
    english, chinese = _SENTENCES[key]
    return (chinese if language.startswith("zh") else english).format(names=names)


def names_of(entity_ids: Sequence[str], home: Home, language: str) -> str:
    """Return the names of entities as a list in words; an intent is Home Assistant's, what lies beyond the house has a servant."""
    names = list(dict.fromkeys(_name_of(one, home, language) for one in entity_ids))
    if len(names) > 4:
        names = [*names[:3], f"另外{len(names) - 3}个" if language.startswith("zh") else f"{len(names) - 3} more"]
    if language.startswith("zh"):
        return "、".join(names)
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def _name_of(one: str, home: Home, language: str) -> str:
    if one in home.entity_by_id:
        return home.entity_by_id[one].name
    if one in SERVICES:
        return _SERVANTS[one.partition(".")[0]][language.startswith("zh")]
    return HOME_ASSISTANT if one.startswith("intent.") else one

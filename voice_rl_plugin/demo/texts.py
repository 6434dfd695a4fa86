"""What the terminal view says, in both languages."""

from collections.abc import Mapping

TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "welcome": "Voice RL demo: {entities} simulated devices in {areas} rooms. You are in: {area}. Broker: 127.0.0.1:{port} ({broker}).",
        "other_shell": "From another shell:",
        "help": (
            "Type a command, as you would say it. Then:\n"
            "  y | n | undo            judge what was done last\n"
            "  n: the bedroom lamp     correct it: say what you meant\n"
            "  ?                       why was that decided?\n"
            "  :area kitchen           where you speak      :devices   all devices     :lang zh   language of what you type\n"
            "  :hand light.turn_off light.x   change a device by hand, at the wall\n"
            "  :retrain                learn from the rewards so far      :help      :quit"
        ),
        "act": "acts",
        "answer": "answers",
        "clarify": "asks",
        "reject": "refuses",
        "silence": "no answer within {seconds} s; see the daemon's log: {log}",
        "nothing": "nothing was decided yet",
        "unknown_area": "no such room; there are: {areas}",
        "area": "you are in: {area}",
        "nowhere": "nowhere in particular",
        "unknown_command": "no such command; :help lists them",
        "memory": "memory",
        "alias": "a name you taught",
        "rule": "rule",
        "policy": "model",
        "exploration": "exploration",
        "sure": "{pct} % sure",
        "noted": "noted",
        "change": "{name}: {before} -> {after}",
        "wrong": "EXPECTED {expected}\n     GOT {got}",
        "passed": "{count} of {count} expectations met",
        "failed": "{failed} of {count} expectations NOT met",
        "stopped": "the daemon has stopped (exit code {code}); its log: {log}",
    },
    "zh": {
        "welcome": "Voice RL 演示：{areas} 个房间，{entities} 个模拟设备。你在：{area}。代理：127.0.0.1:{port}（{broker}）。",
        "other_shell": "也可以在另一个终端里：",
        "help": (
            "像平时说话一样输入命令，然后：\n"
            "  y | n | undo            评价刚才做的事\n"
            "  n: 卧室的台灯            纠正：说出你本来的意思\n"
            "  ?                       为什么这样决定？\n"
            "  :area 厨房              你在哪里      :devices   所有设备     :lang en   输入的语言\n"
            "  :hand light.turn_off light.x   像按墙上的开关一样直接改变设备\n"
            "  :retrain                用目前的奖励重新训练      :help      :quit"
        ),
        "act": "执行",
        "answer": "回答",
        "clarify": "询问",
        "reject": "不执行",
        "silence": "{seconds} 秒内没有回答；请看日志：{log}",
        "nothing": "还没有做过决定",
        "unknown_area": "没有这个房间；有：{areas}",
        "area": "你在：{area}",
        "nowhere": "没有指定房间",
        "unknown_command": "没有这个命令；:help 列出所有命令",
        "memory": "记忆",
        "alias": "您教的名字",
        "rule": "规则",
        "policy": "模型",
        "exploration": "探索",
        "sure": "把握 {pct} %",
        "noted": "记下了",
        "change": "{name}：{before} -> {after}",
        "wrong": "期望 {expected}\n实际 {got}",
        "passed": "{count} 个期望全部满足",
        "failed": "{count} 个期望中有 {failed} 个没有满足",
        "stopped": "守护进程已停止（退出码 {code}）；日志：{log}",
    },
}


STATE_WORDS: Mapping[str, str] = {
    "on": "开",
    "off": "关",
    "open": "开",
    "closed": "关",
    "locked": "锁着",
    "unlocked": "没锁",
    "playing": "播放",
    "paused": "暂停",
    "idle": "空闲",
    "docked": "在充电座",
    "cleaning": "打扫中",
    "heat": "制热",
    "cool": "制冷",
}
"""States in Chinese; the others stay as they are."""


def say(language: str, key: str, **values: object) -> str:
    """Return one text, filled in."""
    return TEXTS.get(language, TEXTS["en"])[key].format(**values)

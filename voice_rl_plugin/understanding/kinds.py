"""Kinds of devices: the nouns people use for them, and which entities a noun means.

A kind names entities by domain; where some of them carry the kind in their device class or their name, only those are meant
("the lamps" are the lights called lamp, if any is). A strict kind never falls back to the rest of the domain: "the tv" is not the radio.
"""

from dataclasses import dataclass
from functools import cache, lru_cache

from voice_rl_plugin.domain.home import Entity
from voice_rl_plugin.understanding.text import is_han, words_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of device."""

    name: str
    domains: frozenset[str]
    device_classes: frozenset[str] = frozenset()
    strict: bool = False
    generic: bool = False
    """Means every entity of its domains, whatever it is called."""
    singular: tuple[str, ...] = ()
    plural: tuple[str, ...] = ()
    chinese: tuple[str, ...] = ()


def _kind(
    name: str, domains: str, singular: str, plural: str, chinese: str, *, classes: str = "", strict: bool = False, generic: bool = False
) -> Kind:
    return Kind(
        name=name,
        domains=frozenset(domains.split()),
        device_classes=frozenset(classes.split()),
        strict=strict,
        generic=generic,
        singular=tuple(s.strip() for s in singular.split(",") if s.strip()),
        plural=tuple(s.strip() for s in plural.split(",") if s.strip()),
        chinese=tuple(chinese.split()),
    )


KINDS: tuple[Kind, ...] = (
    _kind("light", "light", "light, lighting, luminaire", "lights", "灯 灯光 电灯 照明 光", generic=True),
    _kind("lamp", "light", "lamp", "lamps", ""),
    _kind("desk_lamp", "light", "", "", "台灯", strict=True),
    _kind("floor_lamp", "light", "", "", "落地灯", strict=True),
    _kind("wall_light", "light", "wall light, sconce", "wall lights, sconces", "壁灯", strict=True),
    _kind("night_light", "light", "night light", "night lights", "夜灯 小夜灯", strict=True),
    _kind("bulb", "light", "bulb, light bulb", "bulbs, light bulbs", "灯泡"),
    _kind("ceiling_light", "light", "ceiling light, overhead light, main light, big light", "ceiling lights, overhead lights", "顶灯 大灯 主灯"),
    _kind("ceiling_lamp", "light", "", "", "吸顶灯", strict=True),
    _kind("chandelier", "light", "chandelier", "chandeliers", "水晶灯", strict=True),
    _kind("pendant", "light", "pendant, pendant light", "pendants, pendant lights", "吊灯", strict=True),
    _kind("spotlight", "light", "spotlight, downlight", "spotlights, spots, downlights", "射灯 筒灯 崁灯 嵌灯", strict=True),
    _kind("light_strip", "light", "led strip, light strip, strip", "led strips, light strips", "灯带 灯条 氛围灯", strict=True),
    _kind("fairy_lights", "light", "", "fairy lights, string lights", "彩灯 串灯 灯串", strict=True),
    _kind("plug", "switch", "plug, outlet, socket, smart plug", "plugs, outlets, sockets", "插座 插头 排插", classes="outlet"),
    _kind("switch", "switch input_boolean", "switch", "switches", "开关", generic=True),
    _kind("kettle", "switch water_heater", "kettle", "kettles", "水壶 热水壶 烧水壶", strict=True),
    _kind("coffee_machine", "switch", "coffee machine, coffee maker, espresso machine", "coffee machines", "咖啡机", strict=True),
    _kind("fan", "fan", "fan, ventilator, ventilation, extractor, exhaust fan", "fans", "风扇 电扇 电风扇 排气扇 换气扇 排风扇 吊扇 风机", generic=True),
    _kind("air_purifier", "fan", "air purifier, purifier", "air purifiers, purifiers", "空气净化器 净化器 空气清净机", strict=True),
    _kind("humidifier", "humidifier", "humidifier, dehumidifier", "humidifiers", "加湿器 除湿机 除湿器", generic=True),
    _kind("tv", "media_player", "tv, television, telly", "tvs, televisions", "电视 电视机", classes="tv", strict=True),
    _kind("speaker", "media_player", "speaker, stereo, soundbar, sound system, hi fi", "speakers", "音响 音箱 喇叭 扬声器 回音壁", classes="speaker"),
    _kind("radio", "media_player", "radio", "radios", "收音机", strict=True),
    _kind("music", "media_player", "music, song, track, tune, player, media player, sound, audio, playlist, podcast, volume", "tunes, songs", "音乐 歌 歌曲 声音 播放器 音量 曲子", generic=True),
    _kind("movie", "media_player", "movie, film, video, show", "", "电影 视频 影片 节目", generic=True),
    _kind("thermostat", "climate", "thermostat, temperature, heat, climate", "thermostats", "温控器 恒温器 温度 室温", generic=True),
    _kind("heater", "climate", "heater, heating, radiator, central heating, boiler", "heaters, radiators", "暖气 地暖 取暖器 电暖器 暖风机 暖气片"),
    _kind("air_conditioner", "climate", "ac, air con, aircon, air conditioner, air conditioning, cooling", "air conditioners", "空调 冷气 冷气机 空调机"),
    _kind("water_heater", "water_heater climate switch", "water heater, geyser, immersion heater", "water heaters", "热水器", strict=True),
    _kind("curtain", "cover", "curtain, drape", "curtains, drapes", "窗帘 纱帘 布帘", classes="curtain"),
    _kind("covering", "cover", "window covering", "window coverings", "帘子 窗帘子 帘", classes="curtain blind shade shutter"),
    _kind("blind", "cover", "blind, shade, venetian blind, roller blind", "blinds, shades, venetian blinds", "百叶窗 百叶帘 卷帘 遮光帘", classes="blind shade"),
    _kind("shutter", "cover", "shutter, roller shutter", "shutters, roller shutters", "卷帘窗 卷闸 百叶", classes="shutter"),
    _kind("awning", "cover", "awning, sunshade", "awnings", "遮阳篷 雨棚 遮阳棚", classes="awning", strict=True),
    _kind("garage_door", "cover", "garage door, garage", "garage doors", "车库门 卷帘门 铁卷门 车库", classes="garage", strict=True),
    _kind("gate", "cover lock", "gate", "gates", "大门 院门 闸门", classes="gate", strict=True),
    _kind("window", "cover", "window, skylight", "windows, skylights", "窗户 窗 天窗 窗子", classes="window", strict=True),
    _kind("door", "lock cover", "door", "doors", "门 房门", classes="door garage gate", strict=True),
    _kind("lock", "lock", "lock, door lock, deadbolt, latch", "locks, door locks", "锁 门锁", generic=True),
    _kind("valve", "valve", "valve, tap", "valves", "阀门 水阀 阀", generic=True),
    _kind("vacuum", "vacuum", "vacuum, vacuum cleaner, hoover, robot vacuum, robot, roomba, cleaner", "vacuums, robots", "扫地机 扫地机器人 吸尘器 机器人 扫地僧 拖地机", generic=True),
    _kind("mower", "lawn_mower", "mower, lawn mower, lawnmower", "mowers", "割草机 除草机", generic=True),
    _kind("siren", "siren", "siren, alarm", "sirens", "警报器 警报", generic=True),
    _kind("scene", "scene script", "scene, mode", "scenes", "场景 模式 情景", generic=True),
    _kind("device", "light", "device, appliance, gadget", "devices, appliances, electronics, everything, gadgets", "设备 电器 家电 东西", generic=True),
)  # fmt: skip

KIND_BY_NAME = {kind.name: kind for kind in KINDS}


@cache
def noun_kinds() -> dict[tuple[str, ...], tuple[Kind, bool]]:
    """Return every noun's tokens with its kind and whether it is a plural."""
    nouns: dict[tuple[str, ...], tuple[Kind, bool]] = {}
    for kind in KINDS:
        for noun in (*kind.singular, *kind.chinese):
            nouns.setdefault(words_of(noun), (kind, False))
        for noun in kind.plural:
            nouns.setdefault(words_of(noun), (kind, True))
    return nouns


LONGEST_NOUN = 5


def kind_of(words: tuple[str, ...]) -> tuple[Kind, bool, int] | None:
    """Return the kind that a phrase ends in, whether it is plural, and how many tokens the noun takes; None when it names no kind."""
    nouns = noun_kinds()
    for length in range(min(LONGEST_NOUN, len(words)), 0, -1):
        tail = words[len(words) - length :]
        if tail in nouns:
            kind, plural = nouns[tail]
            return kind, plural, length
    return None


def bears_kind(entity: Entity, kind: Kind) -> bool:
    """Whether an entity's device class or one of its names says that it is of this kind."""
    if entity.device_class and entity.device_class in kind.device_classes:
        return True
    return any(_says_kind(name, kind.name) for name in (entity.name, *entity.aliases))


@lru_cache(maxsize=65536)
def _says_kind(name: str, kind: str) -> bool:
    words = words_of(name)
    nouns = KIND_BY_NAME[kind]
    return any(contains_words(words, words_of(noun)) for noun in (*nouns.singular, *nouns.plural, *nouns.chinese))


def contains_words(words: tuple[str, ...], part: tuple[str, ...]) -> bool:
    """Whether some words hold others side by side; in Chinese, whether the characters do."""
    if any(is_han(w) for w in part):
        return "".join(part) in "".join(words)
    return any(words[i : i + len(part)] == part for i in range(len(words) - len(part) + 1))


_COVERINGS = ("curtain", "blind", "shutter", "covering")
"""Window coverings: where none bears the kind, they fall back to covers that are neither a door nor a window."""

_DOORS = frozenset({"garage", "gate", "door"})


def members_of(kind: Kind, entities: tuple[Entity, ...]) -> tuple[Entity, ...]:
    """Return the entities among the given ones that a noun of this kind means."""
    of_domain = tuple(e for e in entities if e.domain in kind.domains)
    if kind.name in _COVERINGS:
        others = (KIND_BY_NAME["window"], KIND_BY_NAME["awning"])
        of_domain = tuple(e for e in of_domain if not is_door(e) and (_is_covering(e) or not any(bears_kind(e, o) for o in others)))
    if kind.generic:
        return of_domain
    bearing = tuple(e for e in of_domain if bears_kind(e, kind) and not (kind.name == "window" and _is_covering(e)))
    if bearing or kind.strict:
        return bearing
    if kind.name == "speaker":
        return tuple(e for e in of_domain if not bears_kind(e, KIND_BY_NAME["tv"]))
    return of_domain


def _is_covering(entity: Entity) -> bool:
    """Whether a cover hangs before a window: 窗帘 holds the character of a window, and is none."""
    kinds = [KIND_BY_NAME[name] for name in _COVERINGS]
    if entity.device_class:
        return any(entity.device_class in kind.device_classes for kind in kinds)
    return any(bears_kind(entity, kind) for kind in kinds)


def is_door(entity: Entity) -> bool:
    """Whether a cover is a way into the home: a garage door, a gate, a door."""
    if entity.domain != "cover":
        return False
    if entity.device_class:
        return entity.device_class in _DOORS
    return any(bears_kind(entity, KIND_BY_NAME[name]) for name in ("garage_door", "gate", "door"))

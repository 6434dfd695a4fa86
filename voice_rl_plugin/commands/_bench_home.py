"""Homes and sentences for benchmarks: as large as asked, in English or Chinese, the same on every machine and every run.

rooms x devices -> Home of exactly N entities; patterns x that home's names -> sentences, a fixed mixture of KINDS.
"""

import random
from dataclasses import dataclass

from voice_rl_plugin.domain.home import Area, Entity, Floor, Home, usual_abilities

LANGUAGES = ("en", "zh")
KINDS = ("name", "area", "value", "compound", "noise", "unknown", "question", "refused", "chat")
"""What a sentence is like, in the order in which a mixture goes round."""
_MOST_AREAS = 40
_ENTITIES_PER_AREA = 10

_FLOORS = {"en": ("Ground Floor", "Upper Floor", "Attic Floor"), "zh": ("一楼", "二楼", "三楼")}
_ROOMS = {
    "en": (
        "Kitchen|Living Room|Bedroom|Bathroom|Hallway|Study|Dining Room|Nursery|Garage|Garden|Cellar|Laundry|Pantry|Balcony|Library|"
        "Guest Room|Playroom|Workshop|Terrace|Gym"
    ).split("|"),
    "zh": "厨房 客厅 主卧 浴室 走廊 书房 餐厅 儿童房 车库 花园 地下室 洗衣房 储藏室 阳台 茶室 客房 游戏室 工作间 露台 健身房".split(),
}
_DEVICES = {
    "en": (
        ("light", "Ceiling Light", None),
        ("light", "Floor Lamp", None),
        ("switch", "Plug", "outlet"),
        ("cover", "Curtain", "curtain"),
        ("media_player", "Speaker", "speaker"),
        ("light", "Desk Lamp", None),
        ("fan", "Fan", None),
        ("climate", "Thermostat", None),
        ("light", "Light Strip", None),
        ("media_player", "TV", "tv"),
        ("cover", "Blind", "blind"),
        ("humidifier", "Humidifier", None),
    ),
    "zh": (
        ("light", "吸顶灯", None),
        ("light", "落地灯", None),
        ("switch", "插座", "outlet"),
        ("cover", "窗帘", "curtain"),
        ("media_player", "音箱", "speaker"),
        ("light", "台灯", None),
        ("fan", "风扇", None),
        ("climate", "空调", None),
        ("light", "灯带", None),
        ("media_player", "电视", "tv"),
        ("cover", "百叶窗", "blind"),
        ("humidifier", "加湿器", None),
    ),
}
_MARKS = {
    "en": "Oak|Corner|Window|Big|Small|Old|Blue|Round|Tall|Marble|Bamboo|Copper|Left|Right|Maple|Velvet|Silver|Cedar|Granite|Amber".split(
        "|"
    ),
    "zh": "橡木 角落 窗边 大 小 旧 蓝色 圆形 高 大理石 竹子 铜 左边 右边 枫木 绒布 银色 雪松 花岗岩 琥珀".split(),
}
_PATTERNS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "name": (
            "turn on the {light}",
            "switch the {fan} off please",
            "could you open the {cover}",
            "{tv} off",
            "close the {cover} would you",
        ),
        "area": (
            "turn off the lights in the {area}",
            "lights on",
            "all the lights in the {area} and the {area2} off",
            "the {area} is too dark",
        ),
        "value": (
            "set the {light} to thirty five percent",
            "{light} at 60",
            "make it 21 degrees in the {area}",
            "turn the {speaker} down a bit",
            "dim the {light} to half",
            "make the {light} warm white",
        ),
        "compound": (
            "turn off the {light} and close the {cover}",
            "turn on the {fan}, set the {light} to 40 percent and pause the {tv}",
            "everything off in the {area} except the {light}",
        ),
        "noise": (
            "um so like turn on the uh {light} i guess",
            "turn of the {heard}",
            "hey can ya could you switch on the {heard} thanks a bunch",
        ),
        "unknown": ("turn on the pool heater", "switch off the lava lamp in the {area}", "open the observatory roof"),
        "question": ("is the {light} on", "what is the temperature in the {area}", "did i leave the {tv} on"),
        "refused": ("don't turn on the {light}", "turn off the {light} at ten tonight", "she said to open the {cover}"),
        "chat": ("i had such a long day at work", "what do you think of the new neighbours", "the light at the end of the tunnel"),
    },
    "zh": {
        "name": ("打开{light}", "把{fan}关掉", "麻烦把{cover}拉开", "{tv}关了吧", "请关上{cover}"),
        "area": ("把{area}的灯都关了", "开灯", "{area}和{area2}的灯全部关掉", "{area}太暗了"),
        "value": (
            "把{light}调到百分之三十五",
            "{light}亮度六十",
            "{area}空调开到二十六度",
            "{speaker}声音小一点",
            "{light}调暗一半",
            "{light}换成暖白色",
        ),
        "compound": ("关掉{light}然后把{cover}拉上", "打开{fan}，{light}调到百分之四十，再把{tv}暂停", "除了{light}，{area}的灯都关掉"),
        "noise": ("嗯那个就是把那个{light}打开吧", "把{heard}开一下", "诶你能不能帮我把这个{heard}给关了啊谢谢"),
        "unknown": ("打开泳池加热器", "把{area}的熔岩灯关掉", "打开天文台的屋顶"),
        "question": ("{light}开着吗", "{area}现在多少度", "我是不是忘了关{tv}"),
        "refused": ("别开{light}", "晚上十点关{light}", "她说要把{cover}打开"),
        "chat": ("今天上班真是累死我了", "你觉得新来的邻居怎么样", "隧道尽头总会有光的"),
    },
}
_HEARD = {
    "en": (("ee", "ea"), ("ght", "te"), ("p", "b"), ("oo", "u"), ("c", "k"), ("t", "d")),
    "zh": (("灯", "登"), ("箱", "相"), ("帘", "连"), ("风", "丰")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """Something to say in a benchmark home."""

    kind: str
    """One of KINDS."""
    text: str
    area: str | None
    """Id of the speaker's area."""


def make_home(entities: int, language: str) -> Home:
    """Return a home with exactly so many entities, the same one each time.

    Args:
        entities: at least 1.
        language: one of LANGUAGES.
    """
    if entities < 1 or language not in LANGUAGES:
        raise ValueError(f"expected at least 1 entity and one of {LANGUAGES}, got {entities} and {language!r}")
    floors = tuple(Floor(id=f"floor_{n}", name=name) for n, name in enumerate(_FLOORS[language]))
    count = max(4, min(_MOST_AREAS, entities // _ENTITIES_PER_AREA))
    rooms = _ROOMS[language]
    gap = " " if language == "en" else ""
    areas = tuple(
        Area(
            id=f"area_{n}",
            name=rooms[n % len(rooms)] + (f"{gap}{n // len(rooms) + 1}" if n >= len(rooms) else ""),
            floor=floors[n % len(floors)].id,
        )
        for n in range(count)
    )
    made = []
    devices, marks = _DEVICES[language], _MARKS[language]
    for n in range(entities):
        area, turn = areas[n % count], n // count
        domain, noun, device_class = devices[(turn + n) % len(devices)]
        mark = marks[(7 * n + turn) % len(marks)]
        name = f"{mark}{gap}{noun}" if turn % 3 else f"{area.name}{gap}{noun}"
        entity_id = f"{domain}.device_{n}"
        made.append(
            Entity(
                id=entity_id,
                name=name,
                aliases=(f"{mark}{gap}{marks[(n + 3) % len(marks)]}",) if n % 11 == 5 else (),
                area=area.id,
                device_class=device_class,
                abilities=usual_abilities(entity_id, {}),
            )
        )
    return Home(language=language, floors=floors, areas=areas, entities=tuple(made))


def make_sentences(home: Home, language: str, count: int) -> tuple[Sentence, ...]:
    """Return things to say in a home: KINDS in turn, its own names filled in, now and then heard wrongly.

    Args:
        home: any home with a name in it.
        language: one of LANGUAGES.
        count: how many.
    """
    rng = random.Random(f"{language} {len(home.entities)}")
    names = {
        slot: [e.name for e in home.exposed if e.domain == domain and (device_class is None or e.device_class in (device_class, None))]
        for slot, domain, device_class in (
            ("light", "light", None),
            ("fan", "fan", None),
            ("cover", "cover", None),
            ("tv", "media_player", "tv"),
            ("speaker", "media_player", "speaker"),
        )
    }
    every = [entity.name for entity in home.exposed]
    rooms = [area.name for area in home.areas] or every
    made = []
    for n in range(count):
        kind = KINDS[n % len(KINDS)]
        pattern = rng.choice(_PATTERNS[language][kind])
        filling = {slot: _plain(rng.choice(some or every), language) for slot, some in names.items()}
        room, other = rng.choice(rooms), rng.choice(rooms)
        heard = _misheard(filling["light"], language, rng)
        text = pattern.format(**filling, area=_plain(room, language), area2=_plain(other, language), heard=heard)
        area = rng.choice(home.areas).id if home.areas and rng.random() < 0.7 else None
        made.append(Sentence(kind=kind, text=text, area=area))
    return tuple(made)


def _plain(name: str, language: str) -> str:
    return name.lower() if language == "en" else name


def _misheard(name: str, language: str, rng: random.Random) -> str:
    """Return a name as a speech recogniser may write it."""
    swaps = [swap for swap in _HEARD[language] if swap[0] in name]
    return name.replace(*rng.choice(swaps), 1) if swaps else name

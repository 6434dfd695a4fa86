"""How people name things and say values: fills the slots of a sentence frame for one home.

Every filler returns pieces: (text, tag), where the tag is one of domain.frame.TAGS; a sentence is a list of pieces.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from voice_rl_plugin.domain.home import Area, Entity, Floor, Home
from voice_rl_plugin.understanding.colours import COLORS, HVAC_MODES, WHITES
from voice_rl_plugin.understanding.kinds import KINDS, Kind, kind_of, members_of
from voice_rl_plugin.understanding.names import turned_names
from voice_rl_plugin.understanding.text import is_han, words_of
from voice_rl_training.corpus.banks import load_beyond
from voice_rl_training.corpus.homes import absent_area, absent_device

Piece = tuple[str, str]
"""Some text and its tag."""
BEYOND_TAGS = {
    "contact": "CONTACT",
    "place": "PLACE",
    "language": "LANGUAGE",
    "message": "CONTENT",
    "text": "CONTENT",
    "cuisine": "CONTENT",
}
"""The slots of what is asked for beyond the house, with the tag of each."""
_COMMON = 0.3
"""How often such a slot holds one of its commonest words, which both splits share: mum, home, 妈."""

_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "x x twenty thirty forty fifty sixty seventy eighty ninety".split()
_HAN = "零一二三四五六七八九"


def number_words(number: int, language: str) -> str:
    """Return a whole number from 0 to 999 in words."""
    if language == "zh":
        if number < 10:
            return _HAN[number]
        if number < 100:
            tens = "" if number < 20 else _HAN[number // 10]
            return tens + "十" + (_HAN[number % 10] if number % 10 else "")
        rest = number % 100
        tail = "" if not rest else ("零" + _HAN[rest] if rest < 10 else _HAN[rest // 10] + "十" + (_HAN[rest % 10] if rest % 10 else ""))
        return _HAN[number // 100] + "百" + tail
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10] + (f" {_ONES[number % 10]}" if number % 10 else "")
    rest = number % 100
    return f"{_ONES[number // 100]} hundred" + (f" {number_words(rest, language)}" if rest else "")


def _number(rng: Random, number: int, language: str) -> str:
    return str(number) if rng.random() < 0.4 else number_words(number, language)


@dataclass(frozen=True, kw_only=True)
class Speaker:
    """Who fills the slots: a source of chance, a home, a place in it, and a language."""

    rng: Random
    home: Home
    language: str
    area: str | None
    split: str = "train"

    # -- values ------------------------------------------------------------------------------------------------------------------

    def value(self, prop: str) -> list[Piece]:
        """Return an absolute value of a property, with its unit."""
        rng, zh = self.rng, self.language == "zh"
        if prop == "temperature":
            degrees = rng.randint(15, 30)
            if rng.random() < 0.12:
                half = f"{number_words(degrees, 'zh')}度半" if zh else f"{number_words(degrees, 'en')} and a half degrees"
                return [(half, "VALUE")]
            spoken = _number(rng, degrees, self.language)
            if zh:
                return [(spoken + rng.choice(["度", "度", "度", "摄氏度", "°"]), "VALUE")]
            return [(spoken + rng.choice(["", " degrees", " degrees", "°", " celsius"]), "VALUE")]
        if prop == "color_temp":
            kelvin = rng.choice([2200, 2700, 3000, 3500, 4000, 5000, 5500, 6000, 6500])
            return [(f"{kelvin}{'k' if zh else rng.choice(['k', ' kelvin', ' k'])}", "VALUE")]
        if prop == "speed" and rng.random() < 0.4:
            words = (
                ["低档", "中档", "高档", "一档", "二档", "三档", "最大", "最小"]
                if zh
                else ["low", "medium", "high", "full", "max", "low speed", "high speed", "medium speed"]
            )
            return [(rng.choice(words), "VALUE")]
        if rng.random() < 0.2:
            if zh:
                words = [
                    "一半",
                    "最大",
                    "三分之一",
                    "四分之一",
                    "三分之二",
                    "四分之三",
                    "最小",
                    "一成",
                    "两成",
                    "三成",
                    "五成",
                    "六成",
                    "八成",
                ]
                if prop == "brightness":
                    words += ["最亮", "最暗", "全亮", "最高", "最低", "六成亮", "一半亮", "三成亮"]
                if prop == "volume":
                    words += ["最响", "最高", "最低"]
                if prop in ("brightness", "volume", "speed"):
                    words += ["拉满", "满", "顶格"]
            else:
                words = [
                    "half",
                    "a third",
                    "a quarter",
                    "three quarters",
                    "full",
                    "max",
                    "maximum",
                    "minimum",
                    "two thirds",
                    "halfway",
                    "a hundred percent",
                ]
                words += ["two fifths", "three fifths", "full blast", "the max", "a fifth"]
                if prop == "brightness":
                    words += [
                        "full brightness",
                        "the lowest",
                        "its brightest",
                        "half brightness",
                        "as bright as it goes",
                        "as low as it goes",
                    ]
                if prop in ("volume", "speed"):
                    words += ["as loud as it goes" if prop == "volume" else "as fast as it goes", "as high as it goes", "flat out"]
            return [(rng.choice(words), "VALUE")]
        number = rng.choice([5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100, rng.randint(1, 99)])
        if zh:
            text = rng.choice(
                [
                    f"百分之{number_words(number, 'zh')}",
                    f"百分之{number_words(number, 'zh')}",
                    f"{number}%",
                    f"百分之{number}",
                    number_words(number, "zh"),
                    str(number),
                ]
            )
            return [(text, "VALUE")]
        return [(_number(rng, number, "en") + rng.choice([" percent", " percent", "%", "", " per cent"]), "VALUE")]

    def delta(self, prop: str) -> list[Piece]:
        """Return an amount of change, without "by"."""
        rng = self.rng
        if prop == "temperature":
            number = rng.randint(1, 5)
            text = (
                f"{rng.choice(['两' if number == 2 else number_words(number, 'zh'), str(number)])}度"
                if self.language == "zh"
                else f"{_number(rng, number, 'en')} degree{'s' if number > 1 else ''}"
            )
        elif rng.random() < 0.35:
            number = rng.randint(1, 5)
            if self.language == "zh":
                text = f"{'两' if number == 2 else number_words(number, 'zh')}{rng.choice(['格', '级', '档', '格'])}"
            else:
                text = f"{rng.choice([_number(rng, number, 'en'), 'a couple of' if number == 2 else _number(rng, number, 'en')])} {rng.choice(['notch', 'step', 'click', 'tick'])}"
                text = (
                    text
                    if number == 1
                    else text.replace("notch", "notches").replace("step", "steps").replace("click", "clicks").replace("tick", "ticks")
                )
        else:
            number = rng.choice([5, 10, 15, 20, 25, 30, 40, 50])
            text = (
                rng.choice([f"百分之{number_words(number, 'zh')}", f"{number}%", f"百分之{number}"])
                if self.language == "zh"
                else _number(rng, number, "en") + rng.choice([" percent", "%", " points", " percent"])
            )
        return [(text, "DELTA")]

    def color(self) -> list[Piece]:
        """Return a colour name."""
        return [(self._in_language([n for names in COLORS.values() for n in names]), "COLOR")]

    def white(self) -> list[Piece]:
        """Return a shade of white."""
        return [(self._in_language([n for names in WHITES.values() for n in names if n not in ("warmer", "cooler", "暖一点")]), "WHITE")]

    def mode(self) -> list[Piece]:
        """Return a climate mode."""
        return [(self._in_language([n for key, names in HVAC_MODES.items() for n in names if key != "off"]), "MODE")]

    def _in_language(self, names: Sequence[str]) -> str:
        zh = self.language == "zh"
        fitting = [n for n in names if is_han(n) == zh]
        return self.rng.choice(fitting)

    def time(self) -> list[Piece]:
        """Return a point in time or a delay, with its preposition."""
        rng = self.rng
        hour, minutes = rng.randint(1, 12), rng.choice([1, 2, 3, 5, 10, 15, 20, 30, 45, 90])
        if self.language == "zh":
            h = "两" if hour == 2 else number_words(hour, "zh")
            m = rng.choice([str(minutes), number_words(minutes, "zh")])
            options = [
                f"{h}点",
                f"{m}分钟后",
                f"{m}分钟以后",
                f"晚上{h}点",
                f"明天早上{h}点",
                f"{h}点半",
                "明天",
                "今晚",
                "睡觉前",
                "半小时后",
                "一个小时后",
                "过一会儿",
                "待会儿",
                "等会儿",
                "日落后",
                "天黑以后",
                "天亮的时候",
                "下午",
                f"每天{h}点",
                "周末",
                "早上",
                f"{hour}:30",
                f"过{m}分钟",
                "等我到家",
                "稍后",
                "晚点",
                "明早",
                "后天",
            ]
        else:
            h, m = _number(rng, hour, "en"), _number(rng, minutes, "en")
            options = [
                f"at {h}",
                f"at {h} pm",
                f"at {h} am",
                f"at {h} oclock",
                f"in {m} minutes",
                f"in {m} minutes",
                "in half an hour",
                "in an hour",
                "tomorrow",
                "tomorrow morning",
                "tonight",
                "later",
                "at sunset",
                "at midnight",
                "at noon",
                "after dinner",
                "before bed",
                "this evening",
                f"at half past {h}",
                f"at {hour} 30",
                "when it gets dark",
                "in the morning",
                f"every day at {h}",
                "on weekdays",
                "on monday",
                "next week",
                "after sunset",
                f"in {m} seconds",
                "at dawn",
                "in a bit",
                "in a while",
                f"after {m} minutes",
                "at bedtime",
            ]
        return [(rng.choice(options), "TIME")]

    def duration(self) -> list[Piece]:
        """Return a length of time."""
        rng = self.rng
        number = rng.choice([1, 2, 3, 4, 5, 7, 8, 10, 12, 15, 20, 25, 30, 40, 45, 60, 90])
        if self.language == "zh":
            n = rng.choice([str(number), "两" if number == 2 else number_words(number, "zh")])
            text = rng.choice([f"{n}分钟", f"{n}分钟", f"{n}秒", f"{n}秒钟", "半小时", "一个小时", "一刻钟", "半个钟头", f"{n}个小时"])
        else:
            text = rng.choice(
                [
                    f"{_number(rng, number, 'en')} minute{'s' if number > 1 else ''}",
                    f"{_number(rng, number, 'en')} seconds",
                    "half an hour",
                    "an hour",
                    "an hour and a half",
                    "a minute",
                    f"{_number(rng, number, 'en')} hours",
                    "a quarter of an hour",
                ]
            )
        return [(text, "TIME")]

    def content(self, slot: str) -> list[Piece]:
        """Return a title or a shopping item."""
        zh = self.language == "zh"
        if slot == "item":
            words = (
                "牛奶 鸡蛋 面包 卫生纸 洗衣液 苹果 香蕉 大米 酱油 洗洁精 猫粮 电池 灯泡 牙膏 咖啡 茶叶 西红柿 土豆 猪肉 饺子 酸奶 纸巾 垃圾袋 洗发水 可乐 啤酒".split()
                if zh
                else "milk,eggs,bread,toilet paper,dish soap,apples,bananas,rice,coffee,tea bags,batteries,light bulbs,toothpaste,olive oil,cat food,butter,cheese,tomatoes,potatoes,chicken,bin bags,shampoo,beer,orange juice,flour,nappies,yoghurt".split(
                    ","
                )
            )
        else:
            words = (
                "周杰伦的歌 轻音乐 爵士乐 古典音乐 儿歌 邓丽君 夜曲 摇滚 一首歌 新闻 相声 评书 白噪音 钢琴曲 睡前故事 粤语歌 陈奕迅的十年 七里香 民谣 电台 舒缓的音乐 抖音热歌 平凡之路 稻香".split()
                if zh
                else "some jazz,the beatles,taylor swift,my workout playlist,classical music,radio four,bbc news,white noise,bohemian rhapsody,something relaxing,some music by queen,lo fi beats,the latest podcast,miles davis,christmas songs,a bedtime story,rain sounds,abba,the new album by adele,hotel california,dancing queen,my favourites,disco,country music,beauty and the beast,lights by ellie goulding,blinding lights,turn off the light by nelly furtado,paint it black,the sound of silence".split(
                    ","
                )
            )
        return [(self.rng.choice(words), "CONTENT")]

    def beyond(self, slot: str) -> list[Piece]:
        """Return a contact, a place, a language, a message, a text to translate or a cuisine."""
        pools = load_beyond(self.language, self.split)[slot]
        common = pools.get("common", ())
        own = [name for sort, names in pools.items() if sort != "common" for name in names]
        pool = common if common and (not own or self.rng.random() < _COMMON) else own
        return [(self.rng.choice(pool).lower(), BEYOND_TAGS[slot])]

    # -- places ------------------------------------------------------------------------------------------------------------------

    def here(self) -> list[Piece]:
        """Return the speaker's own place."""
        words = (
            "这里 这儿 屋里 这屋 房间里 这个房间 这边 屋子里 这间屋 房里".split()
            if self.language == "zh"
            else "in here,in this room,here,in the room,around here,in here".split(",")
        )
        return [(self.rng.choice(words), "HERE")]

    def place_name(self, place: Area | Floor) -> str:
        """Return the name of a room or a floor, or an alias."""
        names = [place.name, *place.aliases]
        name = names[0] if len(names) == 1 or self.rng.random() < 0.6 else self.rng.choice(names)
        words = name.lower().split()
        return " ".join(words[1:]) if words[0] == "the" and len(words) > 1 else name.lower()

    # -- devices -----------------------------------------------------------------------------------------------------------------

    def entities(self, domains: Sequence[str]) -> list[Entity]:
        """Return the exposed entities of some domains."""
        if "any" in domains:
            domains = ("light", "fan", "media_player", "cover", "switch", "climate")
        return [e for e in self.home.exposed if e.domain in domains]

    def kind_for(self, entity: Entity) -> Kind | None:
        """Return a kind that names this entity, by chance one of several."""
        unsaid = ("device", "switch", "scene", "music", "movie")
        kinds = [k for k in KINDS if k.name not in unsaid and self._nouns(k) and members_of(k, (entity,))]
        if not kinds:
            return None
        generic = [k for k in kinds if k.generic]
        return self.rng.choice(generic if generic and self.rng.random() < 0.6 else kinds)

    def _nouns(self, kind: Kind, *, plural: bool = False) -> tuple[str, ...]:
        if self.language == "zh":
            return kind.chinese
        return (kind.plural if plural else ()) or kind.singular or kind.plural

    def noun(self, kind: Kind, *, plural: bool = False) -> str:
        """Return a noun of a kind."""
        nouns = self._nouns(kind, plural=plural)
        common = 3 if self.language == "zh" else 2
        return self.rng.choice(nouns[:common] if self.rng.random() < 0.75 else nouns)

    def spoken_name(self, entity: Entity) -> tuple[str, bool]:
        """Return how an entity is called, and whether its room is left out of the name."""
        rng = self.rng
        names = [entity.name, *entity.aliases]
        name = (entity.name if rng.random() < 0.7 else rng.choice(names)).lower()
        words = list(words_of(name))
        if not words:
            return name, False
        if words[0] in ("the", "my") and len(words) > 1:
            words = words[1:]
        area = self.home.area_by_id.get(entity.area or "")
        dropped = False
        if area is not None and rng.random() < 0.45:
            for alias in (area.name, *area.aliases):
                place = words_of(alias)
                if place and len(place) < len(words) and tuple(words[: len(place)]) == place:
                    words = words[len(place) :]
                    while len(words) > 1 and words[0] in ("的", "s"):
                        words = words[1:]
                    dropped = True
                    break
        turned = turned_names(tuple(words))
        if turned and rng.random() < 0.3:
            words = list(rng.choice(turned))
        elif len(words) > 2 and rng.random() < 0.15 and not any(w.isdigit() for w in words):
            if is_han(words[0]):
                cut = rng.choice([words[1:], words[2:]]) if len(words) > 3 else words[1:]
            else:
                cut = words[1:] if rng.random() < 0.5 else words[:-1]
            if len(cut) > 1 or (cut and not is_han(cut[0])):
                words = list(cut)
        if self.language == "zh" and any(w.isdigit() for w in words) and rng.random() < 0.5:
            words = [number_words(int(w), "zh") if w.isdigit() and int(w) < 100 else w for w in words]
        if self.language == "en" and rng.random() < 0.3:
            words = [number_words(int(w), "en") if w.isdigit() and int(w) < 100 else w for w in words]
        text = "".join(words) if all(is_han(w) for w in words) else _readable(words)
        return text, dropped

    def area_phrase(self, area_id: str, *, tag: str = "AREA") -> Piece:
        """Return a room's name as a piece."""
        return self.place_name(self.home.area_by_id[area_id]), tag

    def single(self, entity: Entity, *, tag: str = "NAME", with_article: bool = True) -> list[Piece]:
        """Return a phrase for one device by its name, with its room where that helps or by chance."""
        rng = self.rng
        text, dropped = self.spoken_name(entity)
        article = self._article() if with_article else ""
        area = self.home.area_by_id.get(entity.area or "")
        if area is None or rng.random() < (0.45 if dropped else 0.82):
            return [(article, "O"), (text, tag)]
        area_tag = "AREA" if tag == "NAME" else "EXCEPT_AREA"
        place = self.place_name(area)
        if self.language == "zh":
            return [(place, area_tag), (rng.choice(["的", "的", "", "那个", "里的", "那边的"]), "O"), (text, tag)]
        if rng.random() < 0.5:
            return [(article, "O"), (place, area_tag), (text, tag)]
        return [
            (article, "O"),
            (text, tag),
            (rng.choice(["in the", "in the", "in", "of the", "from the", "over in the"]), "O"),
            (place, area_tag),
        ]

    def _article(self) -> str:
        if self.language == "zh":
            return self.rng.choice(["", "", "", "", "那个", "我的"])
        return self.rng.choice(["the", "the", "the", "the", "my", "that", "our", ""])

    def of_kind(self, entity: Entity, *, plural: bool, with_article: bool = True) -> list[Piece]:
        """Return a phrase by kind: "the kitchen lights", 客厅的灯, "the fan"."""
        rng = self.rng
        kind = self.kind_for(entity)
        if kind is None:
            return self.single(entity, with_article=with_article)
        noun = (self.noun(kind, plural=plural), "CLASS")
        area = self.home.area_by_id.get(entity.area or "")
        place = (self.place_name(area), "AREA") if area is not None and rng.random() < 0.6 else None
        if self.language == "zh":
            measure = {"light": "盏", "cover": "扇", "lock": "把"}.get(entity.domain, "个")
            demonstrative = rng.choice(["那" + measure, "这" + measure, "那个"]) if not plural and rng.random() < 0.15 else ""
            every = (rng.choice(["所有", "全部", "所有的", "每个"]), "QUANTIFIER") if plural and rng.random() < 0.4 else ("", "O")
            if place is None:
                return [every, (demonstrative, "O"), noun]
            joint = rng.choice(["的", "的", "", "里的"])
            if rng.random() < 0.25 and every[0]:
                return [every, place, (joint, "O"), noun]
            return [place, (joint, "O"), every, (demonstrative, "O"), noun]
        article = (
            rng.choice(["the", "the", "the", "the", "my", "these" if plural else "this", "those" if plural else "that", ""])
            if with_article
            else ""
        )
        if place is None:
            return [(article, "O"), noun]
        if rng.random() < 0.6:
            return [(article, "O"), place, noun]
        return [(article, "O"), noun, (rng.choice(["in the", "in the", "in my", "of the", "in"]), "O"), place]

    def stand_in(self, domains: Sequence[str]) -> list[Piece]:
        """Return a phrase for one device by what tells it from the others: "the left one", 书房那盏; empty where its name has nothing such."""
        rng = self.rng
        entities = self.entities(domains)
        if not entities:
            return []
        entity = rng.choice(entities)
        words = words_of(entity.name)
        kind = kind_of(words)
        base = words[: len(words) - kind[2]] if kind else words[:-1]
        if base and base[0] in ("the", "my"):
            base = base[1:]
        if not base or any(w.isdigit() for w in base):
            return []
        if self.language == "zh":
            measure = {"light": "盏", "cover": "道", "lock": "把", "fan": "台", "climate": "台"}.get(entity.domain, "个")
            return [("".join(base) + rng.choice(["", "", "的"]) + "那" + rng.choice([measure, "个"]), "NAME")] if len(base) > 1 else []
        return [(rng.choice(["the", "the", "that", ""]), "O"), (f"{' '.join(base)} one", "NAME")]

    def counted(self, entity: Entity) -> list[Piece]:
        """Return a phrase for all of a kind in one room by their number: "both the blinds", 两盏台灯都; empty where nobody would count."""
        rng = self.rng
        kind = self.kind_for(entity)
        same = [e for e in members_of(kind, self.home.exposed_by_area.get(entity.area or "", ())) if not e.members] if kind else []
        if kind is None or entity not in same or not 1 < len(same) < 4:
            return []
        count = len(same)
        area = self.home.area_by_id.get(entity.area or "")
        noun = (self.noun(kind, plural=True), "CLASS")
        if self.language == "zh":
            measure = {"light": "盏", "cover": "道", "lock": "把", "fan": "台", "climate": "台"}.get(entity.domain, "个")
            number = (rng.choice("两俩") if count == 2 else "三") + rng.choice([measure, measure, "个"])
            place = [(self.place_name(area), "AREA"), (rng.choice(["的", "", "里"]), "O")] if area and rng.random() < 0.5 else []
            return [
                *place,
                (rng.choice(["", "", "那", "这"]), "O"),
                (number.replace("俩个", "俩"), "QUANTIFIER"),
                noun,
                (rng.choice(["都", "都", "全", ""]), "QUANTIFIER"),
            ]
        words = ["both the", "both", "both of the", "the two", "both my"] if count == 2 else ["all three", "all three of the", "the three"]
        place = [("in the", "O"), (self.place_name(area), "AREA")] if area and rng.random() < 0.3 else []
        return [(rng.choice(words), "QUANTIFIER"), noun, *place]

    def every(self, entity: Entity, *, excepting: bool) -> list[Piece]:
        """Return a phrase for all of a kind, in a room, on a floor, or everywhere, perhaps less some."""
        rng, zh = self.rng, self.language == "zh"
        kind = self.kind_for(entity)
        if kind is None:
            return self.single(entity)
        noun = (self.noun(kind, plural=True), "CLASS")
        area = self.home.area_by_id.get(entity.area or "")
        floor = next((f for f in self.home.floors if area is not None and f.id == area.floor), None)
        draw = rng.random()
        place: Piece | None = None
        if area is not None and draw < 0.4:
            place = (self.place_name(area), "AREA")
        elif floor is not None and draw < 0.75:
            place = (self.place_name(floor), "FLOOR")
        if zh:
            wide = rng.choice(["全屋的", "家里的", "整个家的"]) if place is None and rng.random() < 0.5 else ""
            every = (rng.choice(["所有", "全部", "所有的", "每一个", "全部的"]), "QUANTIFIER")
            both = rng.random() < 0.5
            pieces = [
                (wide, "QUANTIFIER") if wide else ("", "O"),
                *([place, ("的", "O")] if place else []),
                *([every] if both or not wide else []),
                noun,
            ]
            if excepting:
                other = self._excepted(entity, kind)
                if other and rng.random() < 0.6:
                    rest = [
                        (p[0].replace("所有", "其他").replace("全部", "其余"), p[1]) if p[1] == "QUANTIFIER" and rng.random() < 0.4 else p
                        for p in pieces
                    ]
                    return [
                        (rng.choice(["除了", "除", "除开", "除去"]), "O"),
                        *other,
                        (rng.choice(["以外", "之外", "外", ""]), "O"),
                        (rng.choice(["，", ""]), "O"),
                        *rest,
                    ]
                if other:
                    self_tail = [
                        ("，" if rng.random() < 0.7 else "", "O"),
                        *other,
                        (rng.choice(["除外", "不算", "别动", "留着", "先留着", "不要动", "就不用了", "就那么着"]), "O"),
                    ]
                    return [*pieces, *self_tail]
            elif rng.random() < 0.3:
                pieces.append((rng.choice(["都", "全都", "统统"]), "QUANTIFIER"))
            return pieces
        every = (rng.choice(["all the", "all", "every", "all of the", "all my"]), "QUANTIFIER")
        if every[0] == "every":
            noun = (self.noun(kind), "CLASS")
        pieces = [every, noun]
        if place is not None and place[1] == "FLOOR" and place[0].endswith("stairs"):
            pieces = [every, place, noun] if rng.random() < 0.4 else [every, noun, place]
        elif place is not None:
            pieces = (
                [every, place, noun]
                if rng.random() < 0.4
                else [every, noun, (rng.choice(["in the", "on the"]) if place[1] == "FLOOR" else "in the", "O"), place]
            )
        elif rng.random() < 0.3:
            pieces.append((rng.choice(["in the house", "everywhere", "in the whole house", "in the flat", "at home"]), "QUANTIFIER"))
        if excepting:
            other = self._excepted(entity, kind)
            if other:
                if rng.random() < 0.2:
                    pieces += [
                        (rng.choice(["but leave", "but keep", "just leave", "and leave", "only leave"]), "O"),
                        *other,
                        (rng.choice(["", "on", "alone", "as it is", "be"]), "O"),
                    ]
                else:
                    joint = [
                        "except",
                        "except",
                        "except for",
                        "but not",
                        "but",
                        "apart from",
                        "other than",
                        "minus",
                        "bar",
                        "save for",
                        "excluding",
                        "not",
                    ]
                    pieces += [(rng.choice(joint), "O"), *other]
        return pieces

    def _excepted(self, entity: Entity, kind: Kind) -> list[Piece]:
        members = [e for e in members_of(kind, self.home.exposed) if e is not entity]
        if not members:
            return []
        other = self.rng.choice(members)
        area = self.home.area_by_id.get(other.area or "")
        if area is not None and self.rng.random() < 0.35:
            place: Piece = (self.place_name(area), "EXCEPT_AREA")
            if self.rng.random() < 0.4:
                return [("the" if self.language == "en" else "", "O"), place]
            joint = ("的" if self.language == "zh" else "", "O")
            return [("the" if self.language == "en" else "", "O"), place, joint, (self.noun(kind, plural=True), "EXCEPT_CLASS")]
        return self.single(other, tag="EXCEPT_NAME")

    def several(self, entities: Sequence[Entity]) -> list[Piece]:
        """Return a phrase for two or three devices or rooms."""
        rng, zh = self.rng, self.language == "zh"
        first = rng.choice(entities)
        same = [e for e in entities if e is not first]
        if not same:
            return self.single(first)
        second = rng.choice(same)
        joint = (rng.choice(["和", "跟", "、", "还有", "与"]) if zh else rng.choice(["and", "and", "and", "and also", "plus"]), "O")
        areas = self.home.area_by_id
        if rng.random() < 0.4 and first.area in areas and second.area in areas and first.area != second.area:
            kind = self.kind_for(first)
            if kind is not None and members_of(kind, (second,)):
                noun = (self.noun(kind, plural=True), "CLASS")
                one, two = self.area_phrase(first.area or ""), self.area_phrase(second.area or "")
                if zh:
                    return [one, joint, two, (rng.choice(["的", "的", ""]), "O"), noun]
                if rng.random() < 0.6:
                    return [("the", "O"), one, joint, ("the" if rng.random() < 0.3 else "", "O"), two, noun]
                return [("the", "O"), noun, ("in the", "O"), one, joint, ("the", "O"), two]
        pieces = [*self.single(first), joint, *self.single(second)]
        if len(same) > 1 and rng.random() < 0.15:
            third = rng.choice([e for e in same if e is not second])
            pieces = [*self.single(third), ("、" if zh else "", "O"), *pieces]
        return pieces

    def target(self, domains: Sequence[str], *, simple: bool = False) -> list[Piece]:
        """Return a whole phrase for one or several devices of some domains; empty when the home has none.

        Args:
            domains: what the sentence can be about.
            simple: only one device or one room's devices; for sentences that are hard enough.
        """
        rng = self.rng
        entities = self.entities(domains)
        if not entities:
            return []
        near = [e for e in entities if e.area is not None and e.area == self.area]
        entity = rng.choice(near if near and rng.random() < 0.5 else entities)
        draw = rng.random()
        if entity.domain in ("scene", "sensor") or draw < 0.5:
            return self.single(entity)
        if draw < 0.68:
            plural = entity.domain in ("light", "cover", "fan") and rng.random() < 0.55
            return self.of_kind(entity, plural=plural)
        pool = [e for e in entities if e.domain == entity.domain]
        if not simple and draw < 0.72 and (counted := self.counted(entity)):
            return counted
        if not simple and draw < 0.78:
            return self.several(pool)
        if not simple and draw < 0.9 and entity.domain in ("light", "cover", "fan", "switch", "media_player"):
            return self.every(entity, excepting=rng.random() < 0.35)
        if "light" in domains and draw < 0.96 and entity.area in self.home.area_by_id and entity.domain == "light":
            place = self.area_phrase(entity.area or "")
            return [("the" if self.language == "en" else "", "O"), place]
        return self.single(entity)

    def absent(self, slot: str) -> tuple[list[Piece], str]:
        """Return a device or a room that this home does not have, and the device's domain."""
        if slot == "noarea":
            return [(absent_area(self.rng, self.home, self.language, self.split), "AREA")], ""
        text, domain = absent_device(self.rng, self.home, self.language, self.split)
        return [("the" if self.language == "en" and self.rng.random() < 0.85 else "", "O"), (text.lower(), "NAME")], domain


def _readable(words: Sequence[str]) -> str:
    text = ""
    for word in words:
        if text and not (is_han(text[-1]) and is_han(word)):
            text += " "
        text += word
    return text

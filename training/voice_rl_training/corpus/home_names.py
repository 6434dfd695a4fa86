"""The names of devices, in the styles in which people name them: Counter Bar, Bob's Lamp, Left Sconce, 小米台灯, 床头灯左."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from voice_rl_plugin.domain.home import Area
from voice_rl_plugin.understanding.text import is_han
from voice_rl_training.corpus.banks import Bank
from voice_rl_training.corpus.home_draft import Draft
from voice_rl_training.corpus.home_words import Taste, count_word, joined, made_up_word, numbered, pick, possessive, titled

_ROW_FREQUENCY = {"light": 0.22, "switch": 0.18, "cover": 0.2}
_OPPOSITES = (
    ("left", "right"), ("upper", "lower"), ("front", "back"), ("inner", "outer"), ("top", "bottom"), ("left side", "right side"),
    ("左", "右"), ("左边", "右边"), ("左邊", "右邊"), ("左侧", "右侧"), ("左側", "右側"), ("前", "后"), ("前", "後"), ("里", "外"), ("东", "西"), ("南", "北"),
)  # fmt: skip


def device_names(draft: Draft, domain: str, group: str, area: Area | None, areas: Sequence[Area]) -> list[str]:
    """Return the bare names of one new device, or of a row of two to four like ones."""
    rng, taste = draft.rng, draft.taste
    known = draft.cores.setdefault((domain, group), [])
    core = rng.choice(known) if known and rng.random() < 0.12 else _core(draft, domain, group, area)
    cores = _row(draft, domain, core) if rng.random() < _ROW_FREQUENCY.get(domain, 0.05) else [core]
    known.extend(cores)
    room = ""
    if area and rng.random() < taste.room_in_name:
        room = rng.choice((area.name, *area.aliases)) if rng.random() < 0.2 else area.name
    elif len(areas) > 1 and rng.random() < 0.01:
        room = rng.choice(areas).name
    if not room or any(room.casefold() in one.casefold() for one in cores):
        return cores
    return [joined(rng, taste, room, one) for one in cores]


def head_of(rng: random.Random, bank: Bank, domain: str, group: str) -> str:
    """Return a noun for a device of a domain and group; every second time a very common one."""
    groups = bank.heads[domain]
    pool = groups.get(group) or rng.choice(tuple(groups.values()))
    common = bank.common_of(pool)
    return rng.choice(common) if common and rng.random() < 0.4 else rng.choice(pool)


def nickname(draft: Draft, domain: str) -> str:
    """Return a nickname or a made-up word, hardly ever one that the home has already."""
    rng, bank = draft.rng, draft.bank
    own = bank.nicknames.get(domain, ())
    for _ in range(4):
        if rng.random() < 0.12:
            name = made_up_word(rng, bank.language, bank.split)
        else:
            name = rng.choice(own) if own and rng.random() < 0.5 else rng.choice(bank.nicknames["any"])
        if name not in draft.nicknames or rng.random() < 0.03:
            break
    draft.nicknames.add(name)
    return name


def owned(draft: Draft, head: str) -> str:
    """Return a device named after its owner, mostly one who lives in the home."""
    rng = draft.rng
    owner = rng.choice(draft.owners) if rng.random() < 0.8 else rng.choice(draft.bank.people["person"])
    if draft.taste.han:
        return f"{owner}{rng.choice(('的', '', '的'))}{head}"
    return f"{possessive(rng, owner)} {head}"


def _core(draft: Draft, domain: str, group: str, area: Area | None) -> str:
    rng, taste = draft.rng, draft.taste
    if taste.mixed and rng.random() < taste.mixed:
        return _mixed(draft, domain, group)
    if rng.random() < taste.nicknames:
        return nickname(draft, domain)
    table = _STYLES.get((taste.han, domain)) or _STYLES[taste.han, "other"]
    return table.choose(rng)(_Wanted(draft=draft, domain=domain, head=head_of(rng, draft.bank, domain, group), area=area))


def _mixed(draft: Draft, domain: str, group: str) -> str:
    """Return a name that is English, or half English, in a Chinese home."""
    rng, english = draft.rng, draft.english
    noun = titled(head_of(rng, english, domain, group))
    chinese = head_of(rng, draft.bank, domain, group)
    brand = pick(rng, english.modifiers.get(f"brand_{domain}", ())) or rng.choice(english.modifiers["brand_any"])
    word = titled(rng.choice(english.modifiers[rng.choice(("spot", "side", "purpose"))]))
    return rng.choice((noun, f"{brand}{chinese}", f"{brand} {chinese}", f"{word} {noun}", f"{word}{chinese}", f"{brand} {noun}"))


def _row(draft: Draft, domain: str, base: str) -> list[str]:
    """Return the names of two to four like devices: numbered, or told apart by side, spot, colour or owner."""
    rng, taste = draft.rng, draft.taste
    count = rng.choice((2, 2, 2, 3, 3, 4))
    if any(c.isdigit() for c in base):
        return [base]
    if rng.random() < 0.5:
        template = rng.choice(("{}{}", "{}{}", "{} {}", "{}{}" + count_word(taste)) if taste.han else ("{} {}",) * 5 + ("{} #{}",))
        names = [template.format(base, index + 1) for index in range(count)]
        return [base, *names[1:]] if rng.random() < 0.15 else names
    sort = rng.choices(("side", "spot", "colour", "owner"), (6, 2, 1.5, 1.5))[0]
    if sort == "spot" and domain == "cover":
        sort = "window"
    words = _differences(draft, sort, count)
    if sort == "owner" and not taste.han:
        return [f"{possessive(rng, word)} {base}" for word in words]
    gap = "" if taste.han else " "
    if rng.random() < (0.5 if taste.han and sort == "side" else 0.2):
        return [f"{base}{gap}{word}" for word in words]
    return [f"{word}{gap}{base}" for word in words]


def _differences(draft: Draft, sort: str, count: int) -> list[str]:
    rng = draft.rng
    pool = draft.owners if sort == "owner" else draft.bank.modifiers[sort]
    if sort == "side" and count == 2 and rng.random() < 0.7:
        pairs = [pair for pair in _OPPOSITES if pair[0] in pool and pair[1] in pool]
        if pairs:
            return list(rng.choice(pairs))
    return rng.sample(list(pool), min(count, len(pool)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a device needs a name for."""

    draft: Draft
    domain: str
    head: str
    """The noun."""
    area: Area | None


_Style = Callable[[_Wanted], str]


@dataclass(frozen=True, slots=True)
class _Styles:
    """Styles with their frequencies."""

    styles: tuple[_Style, ...]
    frequencies: tuple[float, ...]

    def choose(self, rng: random.Random) -> _Style:
        return rng.choices(self.styles, self.frequencies)[0]


def _plain(wanted: _Wanted) -> str:
    return wanted.head


def _before(taste: Taste, word: str, head: str) -> str:
    if not word or word.casefold() in head.casefold():
        return head
    return word + head if taste.han else f"{word} {head}"


def _modified(sort: str) -> _Style:
    def name(wanted: _Wanted) -> str:
        draft = wanted.draft
        return _before(draft.taste, pick(draft.rng, draft.bank.modifiers[sort]), wanted.head)

    return name


def _bracketed(wanted: _Wanted) -> str:
    rng, word = wanted.draft.rng, _spot_alone(wanted)
    if wanted.draft.taste.han:
        return rng.choice(("{}（{}）", "{}-{}", "{}{}", "{}({})")).format(wanted.head, word)
    return rng.choice(("{} ({})", "{} - {}", "{} by the {}", "{} {}", "{}, {}")).format(wanted.head, word)


def _spot_alone(wanted: _Wanted) -> str:
    return wanted.draft.rng.choice(wanted.draft.bank.modifiers["spot"])


def _owned(wanted: _Wanted) -> str:
    return owned(wanted.draft, wanted.head)


def _branded(wanted: _Wanted) -> str:
    rng, modifiers = wanted.draft.rng, wanted.draft.bank.modifiers
    brand = pick(rng, modifiers.get(f"brand_{wanted.domain}", ())) or rng.choice(modifiers["brand_any"])
    if wanted.draft.taste.han:
        return brand + ("" if is_han(brand[-1]) else rng.choice(("", " "))) + wanted.head
    return f"{brand} {wanted.head}"


def _model(wanted: _Wanted) -> str:
    draft = wanted.draft
    return pick(draft.rng, draft.bank.modifiers.get(f"model_{wanted.domain}", ())) or _branded(wanted)


def _two_words(wanted: _Wanted) -> str:
    draft, name = wanted.draft, wanted.head
    for sort in draft.rng.sample(("spot", "shape", "colour", "material", "purpose", "side"), 2):
        name = _before(draft.taste, pick(draft.rng, draft.bank.modifiers[sort]), name)
    return name


def _room_alone(wanted: _Wanted) -> str:
    if wanted.area is None:
        return wanted.head
    rng, name = wanted.draft.rng, wanted.area.name
    return name if rng.random() < 0.5 else numbered(rng, wanted.draft.taste, name, rng.randint(1, 6))


def _with_number(wanted: _Wanted) -> str:
    return numbered(wanted.draft.rng, wanted.draft.taste, wanted.head, wanted.draft.rng.randint(1, 5))


def _styles(*pairs: tuple[float, _Style]) -> _Styles:
    return _Styles(tuple(style for _, style in pairs), tuple(frequency for frequency, _ in pairs))


_LIGHT: tuple[tuple[float, _Style], ...] = (
    (14, _plain), (14, _modified("spot")), (8, _modified("side")), (7, _modified("shape")), (5, _modified("purpose")), (4, _modified("material")),
    (4, _modified("colour")), (7, _owned), (7, _branded), (6, _model), (6, _with_number), (4, _bracketed), (4, _two_words),
)  # fmt: skip
_PLUG: tuple[tuple[float, _Style], ...] = (
    (24, _plain), (12, _modified("spot")), (4, _modified("side")), (4, _modified("shape")), (2, _modified("purpose")), (3, _modified("colour")),
    (8, _owned), (10, _branded), (5, _model), (6, _with_number), (4, _bracketed),
)  # fmt: skip
_OPENING: tuple[tuple[float, _Style], ...] = (
    (24, _plain), (20, _modified("window")), (10, _modified("side")), (4, _modified("shape")), (3, _modified("colour")), (3, _modified("material")),
    (5, _owned), (8, _branded), (3, _model), (6, _with_number),
)  # fmt: skip
_OTHER: tuple[tuple[float, _Style], ...] = (
    (30, _plain), (3, _modified("spot")), (4, _modified("side")), (8, _modified("shape")), (3, _modified("colour")), (2, _modified("purpose")),
    (12, _owned), (18, _branded), (12, _model), (5, _with_number), (2, _bracketed),
)  # fmt: skip
_STYLES = {
    (False, "light"): _styles(*_LIGHT, (11, _spot_alone), (4, _room_alone)),
    (True, "light"): _styles(*_LIGHT, (2, _spot_alone), (1.5, _room_alone)),
    (False, "switch"): _styles(*_PLUG, (3, _spot_alone)),
    (True, "switch"): _styles(*_PLUG),
    (False, "cover"): _styles(*_OPENING, (1, _room_alone)),
    (True, "cover"): _styles(*_OPENING),
    (False, "other"): _styles(*_OTHER, (1, _room_alone)),
    (True, "other"): _styles(*_OTHER),
}

"""Colour names and whites in both languages."""

from collections.abc import Sequence

COLORS: dict[str, tuple[str, ...]] = {
    "red": ("red", "红色", "红", "大红", "红光"),
    "green": ("green", "绿色", "绿", "绿光"),
    "blue": ("blue", "蓝色", "蓝", "蓝光"),
    "yellow": ("yellow", "黄色"),
    "orange": ("orange", "橙色", "橘色", "橙", "橘黄色", "橙光"),
    "purple": ("purple", "紫色", "紫", "紫光"),
    "violet": ("violet", "紫罗兰色"),
    "pink": ("pink", "粉色", "粉红色", "粉红", "粉光"),
    "cyan": ("cyan", "青色", "青"),
    "turquoise": ("turquoise", "绿松石色", "青绿色"),
    "teal": ("teal", "凫蓝", "水鸭色"),
    "aqua": ("aqua", "aquamarine", "水蓝色", "湖蓝色"),
    "salmon": ("salmon", "鲑红色", "三文鱼色"),
    "maroon": ("maroon", "burgundy", "酒红色", "酒红"),
    "olive": ("olive", "橄榄绿"),
    "crimson": ("crimson", "scarlet", "绯红色", "猩红色"),
    "plum": ("plum", "梅子色"),
    "magenta": ("magenta", "品红", "洋红色", "品红色"),
    "indigo": ("indigo", "靛蓝", "靛蓝色"),
    "gold": ("gold", "golden", "金色"),
    "lavender": ("lavender", "薰衣草色", "淡紫色"),
    "lime": ("lime", "青柠色"),
    "amber": ("amber", "琥珀色"),
    "brown": ("brown", "棕色"),
    "white": ("white", "白色", "白", "白光"),
    "skyblue": ("sky blue", "light blue", "天蓝色", "浅蓝色", "淡蓝色"),
    "navy": ("navy", "dark blue", "深蓝色"),
    "coral": ("coral", "珊瑚色"),
}

WHITES: dict[int, tuple[str, ...]] = {
    2200: ("candlelight", "candle light", "烛光", "烛光色"),
    2700: ("warm white", "warm", "soft white", "warm light", "cosy white", "cozy", "cosy", "暖白", "暖白色", "暖光", "暖色", "暖黄", "暖黄色", "黄光", "暖色光", "暖一点", "warmer"),
    4000: ("neutral white", "neutral", "natural white", "自然光", "自然白", "中性光", "中性白"),
    5500: ("daylight", "day light", "日光", "日光色", "白昼光"),
    6000: ("cool white", "cold white", "cool", "cold", "cool light", "bright white", "冷白", "冷白色", "冷光", "冷色", "冷色光", "cooler"),
}  # fmt: skip

HVAC_MODES: dict[str, tuple[str, ...]] = {
    "heat": ("heat", "heating", "hot", "制热", "暖气", "加热", "制暖", "暖风", "供暖"),
    "cool": ("cool", "cooling", "cold", "制冷", "冷气", "冷风"),
    "auto": ("auto", "automatic", "自动"),
    "heat_cool": ("heat cool", "heat and cool", "冷暖"),
    "dry": ("dry", "dehumidify", "drying", "除湿", "抽湿", "干燥"),
    "fan_only": ("fan", "fan only", "fan mode", "送风", "吹风", "通风"),
    "off": ("off", "关闭", "关"),
}


def _lookup(table: dict[str, tuple[str, ...]] | dict[int, tuple[str, ...]], words: Sequence[str]) -> str | int | None:
    text = " ".join(words)
    dense = text.replace(" ", "")
    best: tuple[int, str | int] | None = None
    for key, names in table.items():
        for name in names:
            flat = name.replace(" ", "")
            inside = flat in dense if any("一" <= c <= "鿿" for c in flat) else f" {name} " in f" {text} "
            if inside and (best is None or len(flat) > best[0]):
                best = (len(flat), key)
    return best[1] if best else None


def color_name(words: Sequence[str]) -> str | None:
    """Return the English colour name that a span of tokens means."""
    found = _lookup(COLORS, words)
    return None if found is None else str(found)


def white_kelvin(words: Sequence[str]) -> int | None:
    """Return the colour temperature in kelvin that a span of tokens means."""
    found = _lookup(WHITES, words)
    return None if found is None else int(found)


def hvac_mode(words: Sequence[str]) -> str | None:
    """Return Home Assistant's hvac mode that a span of tokens means."""
    found = _lookup(HVAC_MODES, words)
    return None if found is None else str(found)

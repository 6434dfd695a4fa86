"""Two small homes whose names are easy to confuse, one a language."""

from voice_rl_plugin.domain.home import Home

HOUSE = Home.from_mapping(
    {
        "language": "en",
        "floors": [
            {"id": "ground", "name": "Ground Floor", "aliases": ["downstairs"]},
            {"id": "upper", "name": "Upper Floor", "aliases": ["upstairs"]},
        ],
        "areas": [
            {"id": "kitchen", "name": "Kitchen", "floor": "ground"},
            {"id": "hall", "name": "Hallway", "aliases": ["hall"], "floor": "ground"},
            {"id": "bedroom", "name": "Bedroom", "floor": "upper"},
            {"id": "study", "name": "Study", "aliases": ["office"], "floor": "upper"},
            {"id": "garden", "name": "Garden"},
        ],
        "entities": [
            {"id": "light.counter", "name": "Counter Bar", "aliases": ["bar"], "area": "kitchen"},
            {"id": "light.kitchen", "name": "Kitchen Ceiling", "area": "kitchen"},
            {"id": "media_player.radio", "name": "Radio", "area": "kitchen", "device_class": "speaker"},
            {"id": "light.hall", "name": "Hall Light", "area": "hall"},
            {"id": "lock.front", "name": "Front Door", "area": "hall"},
            {"id": "cover.garage", "name": "Garage Door", "area": "hall", "device_class": "garage"},
            {"id": "light.desk_bedroom", "name": "Desk Lamp", "area": "bedroom"},
            {"id": "light.bedside_1", "name": "Bedside Lamp 1", "area": "bedroom"},
            {"id": "light.bedside_2", "name": "Bedside Lamp 2", "area": "bedroom"},
            {"id": "light.bedsides", "name": "Bedside Lamps", "area": "bedroom", "members": ["light.bedside_1", "light.bedside_2"]},
            {"id": "fan.bedroom", "name": "Ceiling Fan", "area": "bedroom"},
            {"id": "cover.bedroom", "name": "Bedroom Blind", "area": "bedroom", "device_class": "blind"},
            {"id": "light.desk_study", "name": "Desk Lamp", "area": "study"},
            {"id": "light.study", "name": "Chandelier", "area": "study"},
            {"id": "fan.study", "name": "Whirl", "area": "study"},
            {"id": "climate.study", "name": "Heater", "area": "study"},
            {"id": "media_player.tv", "name": "Screen", "area": "study", "device_class": "tv"},
            {"id": "media_player.stereo", "name": "Hi-Fi", "area": "study", "device_class": "speaker"},
            {"id": "scene.night", "name": "Good Night"},
            {"id": "switch.rack", "name": "Server Rack", "area": "study", "exposed": False},
            {"id": "switch.kiln", "name": "Kiln", "area": "garden", "risky": True},
        ],
        "satellites": [{"id": "assist_satellite.study", "area": "study", "media_player": "media_player.stereo"}],
    }
)

FLAT = Home.from_mapping(
    {
        "language": "zh",
        "floors": [{"id": "one", "name": "一楼", "aliases": ["楼下"]}, {"id": "two", "name": "二楼", "aliases": ["楼上"]}],
        "areas": [
            {"id": "living", "name": "客厅", "aliases": ["大厅"], "floor": "one"},
            {"id": "corridor", "name": "走廊", "floor": "one"},
            {"id": "bedroom", "name": "主卧", "aliases": ["卧室"], "floor": "two"},
            {"id": "study", "name": "书房", "floor": "two"},
        ],
        "entities": [
            {"id": "light.main", "name": "客厅主灯", "area": "living"},
            {"id": "light.wall_1", "name": "壁灯1", "area": "living"},
            {"id": "light.wall_2", "name": "壁灯2", "area": "living"},
            {"id": "media_player.tv", "name": "电视", "area": "living", "device_class": "tv"},
            {"id": "media_player.speaker", "name": "小爱音箱", "area": "living", "device_class": "speaker"},
            {"id": "cover.living", "name": "客厅窗帘", "area": "living", "device_class": "curtain"},
            {"id": "climate.living", "name": "客厅空调", "area": "living"},
            {"id": "vacuum.robot", "name": "扫地机", "area": "living"},
            {"id": "light.corridor", "name": "走廊灯", "area": "corridor"},
            {"id": "lock.front", "name": "大门锁", "area": "corridor"},
            {"id": "light.desk_bedroom", "name": "台灯", "area": "bedroom"},
            {"id": "light.head", "name": "床头灯", "area": "bedroom"},
            {"id": "fan.bedroom", "name": "风扇", "area": "bedroom"},
            {"id": "climate.bedroom", "name": "卧室空调", "area": "bedroom"},
            {"id": "light.desk_study", "name": "台灯", "area": "study"},
            {"id": "switch.plug", "name": "插座1", "area": "study"},
        ],
    }
)

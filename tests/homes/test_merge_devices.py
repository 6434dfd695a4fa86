"""Devices that are MQTT themselves beside the other sources of a home."""

from dataclasses import replace

from tests.homes.announced import known
from voice_rl_plugin.domain.home import Area, Entity, Home
from voice_rl_plugin.homes.devices import home_of_devices
from voice_rl_plugin.homes.merge import merge_sources, renamed_ids


def entity(home: Home, entity_id: str) -> Entity:
    """Return an entity."""
    return home.entity_by_id[entity_id]


def test_file_names_and_hides_devices() -> None:
    """A file that knows a device by its unique id names it, moves it and hides others; the device goes on acting under that id."""
    devices = known()
    file = Home.from_mapping(
        {
            "areas": [{"id": "bar", "name": "Bar"}],
            "entities": [
                {
                    "id": "light.theke",
                    "name": "Theke",
                    "aliases": ["吧台灯"],
                    "area": "bar",
                    "unique_id": "0x90fd9ffffe649401_light_zigbee2mqtt",
                },
                {"id": "switch.shed_pump", "name": "Pump", "exposed": False},
            ],
        }
    )
    home = merge_sources(file=file, devices=devices.homes)
    devices.settle_in(home, takes_commands=True)

    assert entity(home, "light.theke").aliases == ("吧台灯",)
    assert "color_temp" in entity(home, "light.theke").abilities
    assert "light.kitchen_counter_bar" not in home.entity_by_id
    assert not entity(home, "switch.shed_pump").exposed
    assert entity(home, "light.kitchen_spots").members == ("light.theke", "light.kitchen_ceiling_light")
    found = devices.find("light.theke")
    assert found is not None
    assert found.source == "zigbee2mqtt/Kitchen/Counter Bar"


def test_area_of_the_file_with_the_same_name_is_the_same_area() -> None:
    """There are not two kitchens because the file gave its own another id."""
    file = Home(areas=(Area(id="kueche", name="Kitchen", aliases=("厨房",)),))
    home = merge_sources(file=file, devices=known().homes)

    assert entity(home, "light.kitchen_counter_bar").area == "kueche"
    assert [one.id for one in home.areas if one.name == "Kitchen"] == ["kueche"]


def test_registry_keeps_devices_from_being_added_and_from_being_told() -> None:
    """Where Home Assistant tells the home it also acts; its entity is the same by the unique id that zigbee2mqtt gives."""
    devices = known()
    registry = Home(entities=(Entity(id="light.ha", name="Bar", unique_id="0x90fd9ffffe649401_light_zigbee2mqtt"),))
    home = merge_sources(registry=registry, devices=devices.homes)
    devices.settle_in(home, takes_commands=False)
    devices.on_message("zigbee2mqtt/Kitchen/Counter Bar", b'{"state": "ON"}', now=2.0)

    assert [one.id for one in home.entities] == ["light.ha"]
    assert devices.find("light.ha") is None
    assert devices.states["light.ha"].value == "on"


def test_language_of_the_home_is_that_of_its_names() -> None:
    """A home of Chinese names without another source is Chinese."""
    names = ("床头灯", "吊灯", "Bar")
    homes = [Home(entities=tuple(Entity(id=f"light.{one}", name=one) for one in names))]

    assert known().homes[0].language == "en"
    devices = known().find("switch.shed_pump")
    assert devices is not None
    assert home_of_devices([replace(devices, entity=one) for one in homes[0].entities], ()).language == "zh"


def test_renamed_entities_are_known_by_their_unique_id() -> None:
    """The same unique id under another entity id is the same device, renamed."""
    former = Home(entities=(Entity(id="light.a", name="A", unique_id="1"), Entity(id="light.b", name="B")))
    home = Home(entities=(Entity(id="light.c", name="C", unique_id="1"),))

    assert renamed_ids(former, home) == {"light.a": "light.c"}

"""The configuration: defaults, search order, environment, secrets, and what is said about a wrong key."""

import json
from pathlib import Path

import pytest

from voice_rl_plugin.cli import main
from voice_rl_plugin.config import Config, HomeSection, MqttSection, find_config, load_config, read_password, read_token
from voice_rl_plugin.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    """Write a configuration file."""
    path = folder / "voice_rl.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_are_safe(tmp_path: Path) -> None:
    """Without a file everything has a default on this machine, and data go to the XDG data folder."""
    config = load_config(environ={"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)})

    assert (config.mqtt.host, config.mqtt.port, config.mqtt.prefix) == ("127.0.0.1", 1883, "voice_rl")
    assert config.home.states_topic == "voice_rl/state/#"
    assert config.learning.mode == "on"


def test_search_order(tmp_path: Path) -> None:
    """A named file beats the variable, which beats the user's folder."""
    user = tmp_path / "voice_rl"
    user.mkdir()
    user_file = write(user, "mqtt: {port: 1}")
    other = write(tmp_path, "mqtt: {port: 2}")
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}

    assert find_config(environ=environ) == user_file
    assert find_config(environ=environ | {"VOICE_RL_CONFIG": str(other)}) == other
    assert load_config(other, environ=environ | {"VOICE_RL_CONFIG": str(user_file)}).mqtt.port == 2


def test_environment_overrides_the_file(tmp_path: Path) -> None:
    """VOICE_RL__SECTION__KEY wins, with YAML's types; texts stay texts."""
    path = write(tmp_path, "mqtt: {port: 2, host: a}\nlearning: {mode: off}")
    environ = {"VOICE_RL__MQTT__PORT": "1884", "VOICE_RL__MQTT__USERNAME": "007", "VOICE_RL__SAFETY__RISKY": "[lock.a]"}
    config = load_config(path, environ=environ)

    assert (config.mqtt.port, config.mqtt.host, config.mqtt.username) == (1884, "a", "007")
    assert config.safety.risky == ("lock.a",)
    assert config.learning.mode == "off"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mqqt: {}", "unknown key 'mqqt'; did you mean 'mqtt'"),
        ("mqtt: {hst: a}", "mqtt: unknown key 'hst'; did you mean 'host'"),
        ("mqtt: {port: many}", "mqtt.port: expected a whole number, got 'many'"),
        ("mqtt: {port: true}", "mqtt.port: expected a whole number"),
        ("mqtt: {port: 99999}", "mqtt.port: expected 1 to 65535"),
        ("mqtt: {tls: 1}", "mqtt.tls: expected true or false"),
        ("mqtt: [1]", "mqtt: expected a mapping"),
        ("mqtt: {prefix: 'a/#'}", "without wildcards"),
        ("mqtt: {version: '4'}", "expected one of auto, 5, 3.1.1"),
        ("mqtt: {password: geheim}", "password_file"),
        ("mqtt: {cert_file: a}", "both or neither"),
        ("safety: {risky: lock.a}", "expected a list of texts"),
        ("doors: {freshness_s: 0}", "doors.freshness_s"),
        ("doors: {discovery: maybe}", "doors.discovery: expected true or false"),
        ("doors: {discovery_prefix: 'a/+'}", "doors.discovery_prefix: expected a topic without wildcards"),
        ("doors: {discovery_language: fr}", "doors.discovery_language: expected one of en, zh"),
        ("costs: {wrong: -1}", "costs.wrong"),
        ("doors: {wyoming: true}", "doors.wyoming: expected a mapping"),
        ("doors: {wyoming: {prot: 1}}", "doors.wyoming: unknown key 'prot'; did you mean 'port'"),
        ("doors: {wyoming: {port: 0}}", "doors.wyoming.port: expected 1 to 65535"),
        ("doors: {wyoming: {enabled: 1}}", "doors.wyoming.enabled: expected true or false"),
        ("doors: {wyoming: {advertise: true}}", "nobody else reaches 127.0.0.1"),
        ("- 1", "expected sections"),
        ("a: [", "expected YAML"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, text: str, words: str) -> None:
    """A wrong setting names the file, the key, and the nearest right one; a secret never shows."""
    path = write(tmp_path, text)

    with pytest.raises(ConfigError) as caught:
        load_config(path, environ={})
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_wrong_environment_is_named() -> None:
    """A wrong variable is named like a wrong key."""
    with pytest.raises(ConfigError, match=r"VOICE_RL__MQTT__PROT.*did you mean 'port'"):
        load_config(environ={"VOICE_RL__MQTT__PROT": "1", "HOME": "/nowhere"})
    with pytest.raises(ConfigError, match="found none"):
        load_config("/nowhere/x.yaml", environ={})


def test_password_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    """The password is read from its file, or from the environment, and is not shown."""
    secret = tmp_path / "secret"
    secret.write_text("geheim\n")
    config = load_config(environ={"VOICE_RL__MQTT__PASSWORD": "geheim", "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)})

    assert read_password(MqttSection(password_file=secret)) == read_password(config.mqtt) == "geheim"
    assert "geheim" not in repr(config) + str(config.to_mapping())
    with pytest.raises(ConfigError, match="password_file"):
        read_password(MqttSection(password_file=tmp_path / "none"))


def test_commands_check_and_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`config check` says right or exits 2 with one line; `config show` prints what `load_config` reads back."""
    path = write(tmp_path, "mqtt: {port: 7}")

    assert main(["config", "check", "--config", str(path)]) == 0
    assert "right" in capsys.readouterr().out
    assert main(["config", "show", "--json", "--config", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["mqtt"]["port"] == 7
    assert main(["config", "check", "--config", str(write(tmp_path, "mqtt: {prt: 7}"))]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "did you mean 'port'" in captured.err


def test_shown_settings_are_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `config show` prints is a configuration with the same meaning, apart from the password."""
    main(["config", "show", "--config", str(write(tmp_path, "learning: {mode: off}\nmqtt: {port: 9}"))])
    shown = "\n".join(line for line in capsys.readouterr().out.splitlines() if "password:" not in line)

    assert load_config(write(tmp_path, shown), environ={}).learning.mode == "off"
    assert isinstance(load_config(write(tmp_path, shown), environ={}), Config)


def test_beyond_is_off_until_it_is_named(tmp_path: Path) -> None:
    """Nothing beyond the house is switched on by default; a service that does not exist is an error with the nearest one."""
    path = tmp_path / "voice_rl.yaml"
    path.write_text("beyond: {services: [phone.call, search.weather]}\n")

    assert Config().beyond.services == ()
    assert load_config(path, environ={}).beyond.services == ("phone.call", "search.weather")
    assert load_config(path, environ={}).to_mapping()["beyond"] == {"services": ["phone.call", "search.weather"]}
    path.write_text("beyond: {services: [phone.cal]}\n")
    with pytest.raises(ConfigError, match=r"beyond\.services: unknown service 'phone\.cal'; did you mean 'phone\.call'"):
        load_config(path, environ={})


HOME_ASSISTANT = "home: {home_assistant: 'http://ha.local:8123', token_file: /run/token}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dispatch: {executor: home_assistant}", "dispatch.executor: home_assistant needs home.home_assistant"),
        ("home: {home_assistant: 'http://ha.local:8123'}", "home.token_file: expected a file"),
        ("home: {token: abc}", "home.token: a secret does not belong here"),
        ("home: {home_assistant: ha.local, token_file: /x}", "home.home_assistant: expected an address"),
        ("home: {home_assistant: 'http://me:secret@ha.local', token_file: /x}", "home.home_assistant: expected an address"),
        ("home: {home_assistant: 'http://[ha', token_file: /x}", "home.home_assistant: expected an address"),
        ("home: {home_assistant: 'http://ha:99999', token_file: /x}", "home.home_assistant: expected an address"),
        (f"{HOME_ASSISTANT}dispatch: {{domains: [light, homeassistant]}}", "dispatch.domains: expected domains of entities"),
        (f"{HOME_ASSISTANT}dispatch: {{domains: ['*']}}", "dispatch.domains: expected domains of entities"),
    ],
)
def test_home_assistant_needs_an_address_and_a_token(tmp_path: Path, text: str, message: str) -> None:
    """What is missing or wrong about Home Assistant is said before the daemon starts."""
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        load_config(write(tmp_path, text), environ={})


def test_token_comes_from_its_file_or_the_environment(tmp_path: Path) -> None:
    """A token is read from its file, or given by the environment, and never shown."""
    file = tmp_path / "token"
    file.write_text("abc\n")
    config = load_config(
        write(tmp_path, "home: {home_assistant: 'http://ha.local'}"), environ={"VOICE_RL__HOME__TOKEN": "from-environment"}
    )

    assert read_token(config.home) == "from-environment"
    assert "from-environment" not in str(config.to_mapping()) + repr(config)
    assert read_token(HomeSection(token_file=file)) == "abc"
    file.write_text("\n")
    for section in (HomeSection(token_file=file), HomeSection(token_file=tmp_path / "none"), HomeSection()):
        with pytest.raises(ConfigError, match="token"):
            read_token(section)


def test_section_in_a_section_is_read_from_file_and_environment(tmp_path: Path) -> None:
    """The settings of a door are read one by one: the environment goes over the file, and what neither names keeps its default."""
    path = write(tmp_path, "doors: {freshness_s: 3, wyoming: {enabled: true, port: 10901}}")
    wyoming = load_config(path, environ={"VOICE_RL__DOORS__WYOMING__PORT": "10902"}).doors.wyoming
    from_environment = load_config(environ={"VOICE_RL__DOORS__WYOMING__ENABLED": "true", "HOME": str(tmp_path)}).doors

    assert (wyoming.enabled, wyoming.port, wyoming.host) == (True, 10902, "127.0.0.1")
    assert (from_environment.wyoming.enabled, from_environment.freshness_s) == (True, 5.0)
    for wrong in ("VOICE_RL__DOORS__WYOMING__PROT", "VOICE_RL__MQTT__PORT__X", "VOICE_RL__PORT", "VOICE_RL__DOORS__WYOMING"):
        with pytest.raises(ConfigError, match=wrong):
            load_config(path, environ={wrong: "1"})


@pytest.mark.parametrize("key", ["zigbee2mqtt", "discovered"])
@pytest.mark.parametrize("topic", ["a/#", "+", "a//b", "$SYS", "voice_rl"])
def test_topics_of_devices_are_checked(tmp_path: Path, key: str, topic: str) -> None:
    """The base topics of devices hold no wildcards and are not our own."""
    path = tmp_path / "voice_rl.yaml"
    path.write_text(f"home: {{{key}: '{topic}'}}")

    with pytest.raises(ConfigError, match=f"home.{key}: expected"):
        load_config(path, environ={})


def test_store_address_is_a_secret(tmp_path: Path) -> None:
    """The address of the store's server comes from a file or the environment, and is masked where settings are shown."""
    file = tmp_path / "voice_rl.yaml"
    file.write_text("store: {url: 'postgresql://a:b@c/d'}")
    with pytest.raises(ConfigError, match="url_file"):
        load_config(file, environ={})
    file.write_text("store: {schema: Casa-1}")
    with pytest.raises(ConfigError, match=r"store\.schema"):
        load_config(file, environ={})

    config = load_config(None, environ={"VOICE_RL__STORE__URL": "postgresql://a:hunter2@c/d", "XDG_CONFIG_HOME": str(tmp_path)})
    assert "hunter2" not in repr(config)
    assert config.to_mapping()["store"]["url"] == "***"

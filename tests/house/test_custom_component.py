"""The custom component as far as it can be checked without Home Assistant: what its own checker, hassfest, and HACS ask for.

Source: script/hassfest of home-assistant/core (manifest, dependencies, translations), hacs.xyz/docs/publish/integration.
"""

import ast
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from voice_rl_plugin import __version__
from voice_rl_plugin.config import HomeSection, MqttSection
from voice_rl_plugin.domain.home import USUAL_ABILITIES

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "custom_components" / "voice_rl"
LANGUAGES = ("en", "zh-Hans")
ALLOWED_KEYS = {
    *("domain", "name", "codeowners", "config_flow", "dependencies", "documentation", "integration_type", "iot_class", "issue_tracker"),
    *("mqtt", "requirements", "single_config_entry", "version"),
}


def load_const() -> ModuleType:
    """Return const.py, which needs nothing of Home Assistant."""
    spec = importlib.util.spec_from_file_location("voice_rl_const", FOLDER / "const.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_manifest() -> dict[str, Any]:
    """Return the manifest, its keys in order."""
    manifest = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
    assert isinstance(manifest, dict)
    return manifest


def translation(language: str) -> dict[str, Any]:
    """Return the texts of a language."""
    texts = json.loads((FOLDER / "translations" / f"{language}.json").read_text(encoding="utf-8"))
    assert isinstance(texts, dict)
    return texts


def leaves(texts: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted key and the text of everything in a translation."""
    for key, one in texts.items():
        if isinstance(one, dict):
            yield from leaves(one, f"{path}{key}.")
        else:
            yield f"{path}{key}", one


def test_manifest_is_what_hassfest_wants() -> None:
    """Domain and name first, the rest sorted, nothing unknown; the folder is the domain; the version is the package's."""
    manifest = read_manifest()

    assert list(manifest) == ["domain", "name", *sorted(set(manifest) - {"domain", "name"})]
    assert set(manifest) <= ALLOWED_KEYS
    assert manifest["domain"] == FOLDER.name
    assert manifest["version"] == __version__
    assert manifest["config_flow"] is True
    assert manifest["iot_class"] == "local_push"
    assert manifest["documentation"].startswith("https://")


def test_every_integration_that_is_imported_is_a_dependency() -> None:
    """What the code uses of other integrations is set up before it."""
    used = set()
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "homeassistant.components":
                used |= {one.name for one in node.names}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("homeassistant.components."):
                used.add(str(node.module).split(".")[2])

    assert used - {"homeassistant"} == set(read_manifest()["dependencies"])


def test_component_has_no_requirements_and_no_brain() -> None:
    """It installs nothing, and imports nothing but Home Assistant and the standard library."""
    assert read_manifest()["requirements"] == []
    for path in FOLDER.glob("*.py"):
        roots = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            for name in ([one.name for one in node.names] if isinstance(node, ast.Import) else [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else [])
        }  # fmt: skip
        assert roots <= {"homeassistant", "voluptuous", "asyncio", "collections", "inspect", "json", "logging", "time", "typing"}, path.name


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_are_complete(language: str) -> None:
    """Each language has the texts of English, with the same placeholders, and none is empty."""
    texts, english = dict(leaves(translation(language))), dict(leaves(translation("en")))

    assert texts.keys() == english.keys()
    for key, text in texts.items():
        assert text.strip(), key
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", english[key])), key


def test_translations_are_those_of_the_flow() -> None:
    """Every step, error and reason of the config flow has a text, and no text is without a use."""
    code = (FOLDER / "config_flow.py").read_text(encoding="utf-8")
    config = translation("en")["config"]
    steps = set(re.findall(r'step_id="(\w+)"', code))
    reasons = set(re.findall(r'reason="(\w+)"', code)) | {"already_configured", "single_instance_allowed"}
    errors = set(re.findall(r'errors\[[^]]+\] = "(\w+)"', code))

    assert set(config["step"]) == steps
    assert set(config["abort"]) == reasons
    assert set(config["error"]) == errors
    assert set(config["step"]["user"]["data"]) == set(config["step"]["user"]["data_description"]) == {load_const().CONF_PREFIX}
    assert f'translation_key="{next(iter(translation("en")["exceptions"]))}"' in (FOLDER / "__init__.py").read_text(encoding="utf-8")


def test_component_and_daemon_mean_the_same() -> None:
    """The domains, the prefix and the label of the component are the daemon's."""
    const = load_const()

    assert set(USUAL_ABILITIES) == const.DOMAINS
    assert MqttSection().prefix == const.DEFAULT_PREFIX
    assert HomeSection().risky_label == const.RISKY_LABEL
    assert read_manifest()["mqtt"] == [f"{MqttSection().prefix}/status"]
    for key in const.SENTENCES:
        assert const.sentence(key, "en-GB") != const.sentence(key, "zh-Hans")


def test_hacs_finds_it() -> None:
    """HACS wants one integration below custom_components, and hacs.json with a name and the least version of Home Assistant."""
    hacs = json.loads((ROOT / "hacs.json").read_text(encoding="utf-8"))

    assert [path.name for path in (ROOT / "custom_components").iterdir() if path.is_dir() and path.name != "__pycache__"] == [FOLDER.name]
    assert hacs == {"name": read_manifest()["name"], "homeassistant": "2025.4.0"}

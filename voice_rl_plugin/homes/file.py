"""The home file: YAML or JSON on disk, in the mapping form of domain.home."""

import json
import math
from pathlib import Path
from typing import Any

import yaml

from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.errors import ConfigError

MAX_BYTES = 8_000_000
"""A larger file is no home."""
MAX_VALUES = 500_000
"""More values than this are no home: YAML's aliases can stand for billions."""


def load_home(path: Path) -> Home:
    """Read a home file; `.json` is read as JSON, everything else as YAML.

    Raises:
        ConfigError: the file cannot be read, or something in it is wrong; one line, with the place.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: expected a home file of at most {MAX_BYTES} bytes, got {path.stat().st_size}")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected UTF-8, got something else at byte {error.start}") from error
    try:
        mapping = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}:{error.colno}: no valid JSON: {error.msg}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}{_place(error)}: no valid YAML: {_problem(error)}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: is nested too deeply for a home file") from error
    except ValueError as error:  # a date that is none, a number of thousands of digits
        raise ConfigError(f"{path}: a value cannot be read: {error}") from error
    _check_plain(mapping, str(path))
    return Home.from_mapping(mapping, where=str(path))


def _check_plain(root: Any, where: str) -> None:
    """Refuse what could not be kept as JSON, before anybody compares or prints it."""
    left, count = [root], 0
    while left:
        value = left.pop()
        count += 1
        if count > MAX_VALUES:
            raise ConfigError(f"{where}: expected at most {MAX_VALUES} values, got more; do its aliases contain themselves?")
        if isinstance(value, dict):
            left += [*value, *value.values()]
        elif isinstance(value, list):
            left += value
        elif isinstance(value, str):
            if not value.isascii() and any("\ud800" <= one <= "\udfff" for one in value):
                raise ConfigError(f"{where}: expected whole characters, got half a surrogate pair")
        elif not (
            value is None or (isinstance(value, int) and abs(value) < 1 << 63) or (isinstance(value, float) and math.isfinite(value))
        ):
            raise ConfigError(f"{where}: expected texts, numbers, true or false, got a {type(value).__name__}; put a date into quotes")


def _place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return "" if mark is None else f":{mark.line + 1}:{mark.column + 1}"


def _problem(error: yaml.YAMLError) -> str:
    return " ".join(str(getattr(error, "problem", None) or error).split())

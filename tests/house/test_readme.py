"""Facts about the README: what it tells a newcomer to type is what the commands take."""

import re
import shlex
from pathlib import Path

import pytest

from voice_rl_plugin.cli import build_parser
from voice_rl_training.cli import build_parser as build_trainer_parser

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
LINES = [
    line
    for block in _BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    for line in block.splitlines()
    if line.startswith("voice-rl")
]


def test_readme_shows_both_programs() -> None:
    """The README shows the daemon's command and the trainer's."""
    assert {line.split()[0] for line in LINES} == {"voice-rl", "voice-rl-train"}


@pytest.mark.parametrize("line", LINES)
def test_readme_line_is_taken_by_its_parser(line: str) -> None:
    """Each line parses, options and all, and every file that it names is there."""
    program, *words = shlex.split(line)
    parser = build_parser() if program == "voice-rl" else build_trainer_parser()

    if words[-1] == "--help":
        with pytest.raises(SystemExit, match="0"):
            parser.parse_args(words)
    else:
        parser.parse_args(words)

    assert all((ROOT / word).exists() for word in words if "/" in word)

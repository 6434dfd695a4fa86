"""The example scripts of the demo, played with the shipped model as a newcomer plays them."""

import pytest

from tests.end_to_end.conftest import ROOT, START_S, start_command


@pytest.mark.parametrize(("language", "name"), [("en", "first_five_minutes.txt"), ("zh", "first_five_minutes.zh.txt")])
def test_first_five_minutes_are_as_the_script_says(language: str, name: str) -> None:
    """Every expectation of the script holds: acting, a value, a follow-up, undo, a correction, a refusal, a risky action."""
    process = start_command(["demo", "--lang", language, "--script", str(ROOT / "examples" / name)])
    out, err = process.communicate(timeout=START_S)

    assert process.returncode == 0, out + err
    assert "EXPECTED" not in out
    assert "期望 " not in out

"""Translations: out of a small phrase file, or by a command of yours, such as argos-translate, for everything else."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from consumer import CannotError, make_parser, read_yaml, run_command, same, serve


def do(service: str, data: Mapping[str, str], language: str, *, book: Mapping[str, Any], command: str) -> str:
    """Return the translation; without a language it is into the speaker's own."""
    del service
    text, named = data.get("text", ""), data.get("language", "中文" if language == "zh" else "english")
    if not text:
        raise CannotError("nothing to translate")
    code = next((code for code, names in book["languages"].items() if any(same(str(name), named) for name in names)), None)
    if code is None:
        raise CannotError(f"{named} is not among the languages")
    phrase = next((p for p in book["phrases"] if any(same(str(said), text) for said in p.values())), {})
    if code in phrase:
        return str(phrase[code])
    translated = run_command(command, {"language": str(code), "text": text}) if command else ""
    if not translated:
        raise CannotError("this is not in the phrase file; give a --command for the rest")
    return translated


if __name__ == "__main__":
    parser = make_parser(__doc__, "python examples/beyond/translate.py --command 'argos-translate --from en --to {language} {text}'")
    parser.add_argument(
        "--phrases", type=Path, default=Path(__file__).with_name("phrases.yaml"), help="YAML: languages by code, and phrases"
    )
    parser.add_argument(
        "--command", default="", help="what translates the rest: a command with {language} (a code) and {text} that prints it"
    )
    args = parser.parse_args()
    known = read_yaml(args.phrases)
    if not isinstance(known, dict) or not {"languages", "phrases"} <= set(known):
        parser.error(f"{args.phrases}: expected languages and phrases")
    serve(args, ("translate.text",), partial(do, book=known, command=args.command))

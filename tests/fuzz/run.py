"""Coverage-guided fuzzing of every target with atheris: `make fuzz`, or `python -m tests.fuzz.run --minutes 10`.

parent -> one child a target, one after the other, each for its share of the time
child  -> libFuzzer mutates what reached new branches; an error that was not promised is written down once a place, and it goes on
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SLOW_S = 2.0
"""Processor time after which one input counts as a finding."""
MAX_BYTES = 4096


def main() -> int:
    """Fuzz for a while and print inputs and findings a target; 1 when there is a finding."""
    parser = argparse.ArgumentParser(description=main.__doc__, epilog="example:\n  make fuzz MINUTES=10")
    parser.add_argument("--minutes", type=float, default=10.0, metavar="N", help="for all targets together (default: %(default)s)")
    parser.add_argument("--only", metavar="NAMES", help="some targets, divided by commas")
    parser.add_argument(
        "--findings", type=Path, default=ROOT / "build" / "fuzz", metavar="DIR", help="inputs that failed (default: build/fuzz)"
    )
    parser.add_argument("--child", nargs=2, metavar=("TARGET", "SECONDS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    try:
        import atheris  # noqa: F401, PLC0415 - the message says what to do
    except ImportError:
        print("fuzz: atheris is not installed: pip install 'voice-rl-plugin[fuzz]'", file=sys.stderr)
        return 2
    args.findings.mkdir(parents=True, exist_ok=True)
    if args.child:
        return _fuzz(args.child[0], float(args.child[1]), args.findings)
    from tests.fuzz.targets import targets  # noqa: PLC0415 - the child imports it instrumented

    chosen = [one for one in targets() if args.only is None or one.name in args.only.split(",")]
    whole = sum(one.weight for one in chosen)
    print(f"{'target':<14} {'inputs':>10} {'per s':>8} {'findings':>9}")
    inputs = findings = 0
    for target in chosen:
        share_s = 60.0 * args.minutes * target.weight / whole
        counted = _run_child(target.name, share_s, args.findings)
        inputs += counted["inputs"]
        findings += len(counted["findings"])
        print(f"{target.name:<14} {counted['inputs']:>10,} {counted['inputs'] / share_s:>8,.0f} {len(counted['findings']):>9}", flush=True)
        for place, found in counted["findings"].items():
            print(f"    {place}\n        {found['error']}\n        {found['input']}", flush=True)
    print(f"{'all':<14} {inputs:>10,} {'':>8} {findings:>9}")
    return 1 if findings else 0


def _run_child(name: str, share_s: float, findings: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.fuzz.run", "--child", name, str(share_s), "--findings", str(findings)]
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}", "FUZZ_CORPUS": scratch}
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, env=environment, cwd=ROOT)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:  # the whole process ended: a crash below Python, or a hang that libFuzzer stopped
        return {"inputs": 0, "findings": {f"{name}: the process ended": {"error": done.stderr[-1500:], "input": "?"}}}
    return dict(json.loads(lines[-1]))


def _fuzz(name: str, share_s: float, folder: Path) -> int:
    import atheris  # noqa: PLC0415 - must be there before what it instruments

    with atheris.instrument_imports(include=["voice_rl_plugin"]):
        from tests.fuzz.targets import targets  # noqa: PLC0415
    target = next(one for one in targets() if one.name == name)
    corpus = Path(os.environ["FUZZ_CORPUS"])
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    begun = time.monotonic()
    inputs = 0
    findings: dict[str, dict[str, str]] = {}

    def note(place: str, error: str, data: bytes) -> None:
        if place not in findings:
            path = folder / f"{name}-{hashlib.sha256(place.encode()).hexdigest()[:12]}"
            path.write_bytes(data)
            findings[place] = {"error": error[:500], "input": str(path)}

    def one(data: bytes) -> None:
        nonlocal inputs
        inputs += 1
        started = time.process_time()
        try:
            target.run(data)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            note(_place(error), f"{type(error).__name__}: {error}", data)
        if (took_s := time.process_time() - started) > SLOW_S:
            note(f"{name}: slow", f"took {took_s:.1f} s", data)
        if time.monotonic() - begun > share_s:
            print(json.dumps({"inputs": inputs, "findings": findings}), flush=True)
            os._exit(0)  # libFuzzer would report our own end as a crash

    options = [f"-max_len={MAX_BYTES}", "-timeout=60", "-rss_limit_mb=3000", "-verbosity=0", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    atheris.Fuzz()
    return 0


def _place(error: BaseException) -> str:
    frames = [one for one in traceback.extract_tb(error.__traceback__) if "tests/fuzz" not in one.filename]
    ours = [one for one in frames if "voice_rl_plugin" in one.filename]
    last = (ours or frames)[-1:]
    where = f"{Path(last[0].filename).name}:{last[0].lineno}" if last else "tests"
    return f"{type(error).__name__} at {where}" + ("" if frames else f": {error}"[:80])


if __name__ == "__main__":
    sys.exit(main())

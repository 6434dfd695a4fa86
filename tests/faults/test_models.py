"""F13 to F18: the model is flipped, truncated, pulls in files, eats the memory; it is swapped under load, and a bad one rolls back."""

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import LAMP, ON, FaultHouse, MakeHouse, needs_model
from tests.faults.table import fault
from tests.faults.test_lines import until
from voice_rl_plugin.commands._bench_lab import figures_of
from voice_rl_plugin.errors import ModelError
from voice_rl_plugin.learning.models import BASE_FOLDER, MANIFEST, ModelStore, probe_in_child

pytestmark = needs_model

READER, SCORER = "policy.onnx", "scorer.onnx"


def add_version(path: Path, version: str, *, files: dict[str, bytes] | None = None, **manifest: Any) -> Path:
    """Add a version with the base's weights, as if a training had passed the gate; return its folder."""
    base = json.loads((BASE_FOLDER / MANIFEST).read_text(encoding="utf-8"))
    source = path.parent / f"source-{version}"
    source.mkdir(parents=True)
    for name in base["files"]:
        (source / name).write_bytes((files or {}).get(name) or (BASE_FOLDER / name).read_bytes())
    models = ModelStore(path)
    models.add(source, base | {"version": version, "parent": "base", "gate": {"passed": True}} | manifest)
    return models.folder(version)


def models_of(house: FaultHouse) -> Path:
    """Return the folder of the model store."""
    return house.folder / "models"


def install(house: FaultHouse, version: str) -> None:
    """Ask the daemon for a version."""
    house.watcher.publish("voice_rl/model/set", json.dumps({"version": version}))


def wait_installed(house: FaultHouse, version: str) -> None:
    """Wait until a version decides."""

    def installed() -> bool:
        told = house.watcher.on_topic("voice_rl/model")[-1:]
        return bool(told) and json.loads(told[0].payload)["installed_version"] == version

    until(installed, version)


def check_still_base(house: FaultHouse, *, decides: str = "base") -> None:
    """Check that the next command is decided by the old model, and carried out."""
    count = len(house.actions(ON))
    house.say(LAMP)
    house.settle()
    texts = [json.loads(one.payload) for one in house.watcher.on_topic("voice_rl/decision")]
    assert [one["policy_version"] for one in texts if one["utterance"] == LAMP][-1] == decides
    assert len(house.actions(ON)) == count + 1


def flip_bit(path: Path, chance: random.Random) -> None:
    """Flip one bit of a file."""
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


@fault("F13", "model bit flip", "5")
def test_flipped_model_never_runs(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """A flipped champion does not decide after a start, a flipped version is not installed, and both are said."""
    house = make_house()
    chance = random.Random(13)
    folder = add_version(models_of(house), "v1")
    models = ModelStore(models_of(house))
    models.promote("v1", at=time.time())
    refused = 0
    original = (folder / READER).read_bytes()
    for _ in range(40):
        flip_bit(folder / READER, chance)
        with pytest.raises(ModelError, match="damaged"):
            models.verify("v1")
        refused += 1
        (folder / READER).write_bytes(original)
    flip_bit(folder / READER, chance)
    flip_bit(add_version(models_of(house), "v2") / SCORER, chance)
    house.start()
    health = house.health(lambda one: any("v1" in problem for problem in one["problems"]))
    check_still_base(house)
    install(house, "v2")
    house.wait_error("damaged")
    check_still_base(house)

    assert health["model"] == "base"
    figure(f"{refused} of {refused} flips refused; start and install go on with the base, said on health and error")


@fault("F14", "truncated model", "5")
def test_truncated_model_never_runs(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """A model that lost its end, or its manifest, is not installed."""
    house = make_house()
    folder = add_version(models_of(house), "v1")
    os.truncate(folder / READER, 1_000_000)
    (add_version(models_of(house), "v2") / MANIFEST).unlink()
    house.start()
    for version, words in (("v1", "damaged"), ("v2", "no manifest.json")):
        install(house, version)
        house.wait_error(words)
        check_still_base(house)
    figure("2 of 2 refused, the base decided throughout")


@fault("F15", "external data in a model", "5")
def test_external_data_never_runs(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """A model with right checksums that pulls weights from another file does not load; a hard link is no file of its own."""
    onnx = pytest.importorskip("onnx")
    house = make_house()
    model = onnx.load(str(BASE_FOLDER / READER))
    folder = models_of(house).parent / "external"
    folder.mkdir(parents=True)
    onnx.save(model, str(folder / READER), save_as_external_data=True, location="weights.bin", size_threshold=0)
    add_version(models_of(house), "v1", files={READER: (folder / READER).read_bytes()})
    linked = add_version(models_of(house), "v2") / SCORER
    (folder / SCORER).write_bytes(linked.read_bytes())
    linked.unlink()
    os.link(folder / SCORER, linked)
    house.start()
    for version, words in (("v1", "not used"), ("v2", "hard link")):
        install(house, version)
        house.wait_error(words)
        check_still_base(house)

    until(lambda: ModelStore(models_of(house)).champion_version() == "base", "the rollback")
    figure("2 of 2 refused, rolled back to the base")


@fault("F16", "memory-bomb model", "5")
def test_memory_bomb_ends_a_child(make_house: MakeHouse, figure: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that wants sixteen gigabytes ends the child that tries it; the daemon does not grow, and goes on."""
    pytest.importorskip("onnx")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    house = make_house()
    add_version(models_of(house), "bomb", files={READER: make_bomb()})
    house.start()
    check_still_base(house)
    before = figures_of(house.pid).rss_mib or 0.0
    with pytest.raises(ModelError):
        probe_in_child(ModelStore(models_of(house)).folder("bomb"))
    install(house, "bomb")
    house.wait_error("not used")
    check_still_base(house)
    until(lambda: ModelStore(models_of(house)).champion_version() == "base", "the rollback")
    grown = (figures_of(house.pid).rss_mib or 0.0) - before

    assert grown < 100.0
    figure(f"refused in the child, the daemon grew by {grown:.0f} MiB, rolled back to the base")


def make_bomb() -> bytes:
    """Return a reader with the right inputs whose output needs sixteen gigabytes on the way."""
    import onnx  # noqa: PLC0415 - an extra
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

    real = onnx.load(str(BASE_FOLDER / READER))
    nodes = [
        helper.make_node("ConstantOfShape", ["bomb_shape"], ["bomb_zeros"]),
        helper.make_node("ReduceSum", ["bomb_zeros"], ["bomb_sum"], keepdims=0),
        helper.make_node("Add", [real.graph.output[0].name, "bomb_sum"], ["bomb_heads"]),
    ]
    real.graph.initializer.append(numpy_helper.from_array(__import__("numpy").array([4_000_000_000], dtype="int64"), "bomb_shape"))
    real.graph.node.extend(nodes)
    real.graph.output.append(helper.make_tensor_value_info("bomb_heads", TensorProto.FLOAT, None))
    del real.graph.output[0]
    return bytes(real.SerializeToString())


@fault("F17", "model swap under load", "2, 5")
def test_swap_under_load_drops_nothing(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """While models change commands come without pause: each is decided once, by one model that it names."""
    house = make_house(doors={"freshness_s": 60.0})
    for version in ("v1", "v2"):
        add_version(models_of(house), version)
    house.start()
    said: list[str] = []
    for version in ("v1", "v2", "v1"):
        install(house, version)
        begun = time.monotonic()
        while (json.loads(house.watcher.on_topic("voice_rl/model")[-1].payload))["installed_version"] != version:
            assert time.monotonic() - begun < 60.0
            said.append(house.say(LAMP))
    house.settle()
    with house.open_store() as store:
        decided = [one.decision for one in store.all_stored() if one.decision.utterance.id in said]
    versions = Counter(one.policy_version for one in decided)

    assert Counter(one.utterance.id for one in decided) == Counter(said)
    assert set(versions) <= {"base", "v1", "v2"}
    assert len(house.actions(ON)) == len(said)
    figure(f"{len(said)} commands during 3 swaps: 0 lost, 0 twice; by model {dict(versions)}")


@fault("F18", "bad new model rolls back", "5")
def test_bad_model_rolls_back(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """A model for another version, and one that answers with no numbers, are taken back by themselves; so says the pointer."""
    pytest.importorskip("onnx")
    house = make_house()
    add_version(models_of(house), "v1", feature_version=99)
    add_version(models_of(house), "v2", files={SCORER: make_nan_scorer()})
    add_version(models_of(house), "v3")
    house.start()
    install(house, "v3")
    wait_installed(house, "v3")
    for version in ("v1", "v2"):
        install(house, version)
        house.wait_error(version)
        until(lambda: ModelStore(models_of(house)).champion_version() == "v3", "the rollback")
        check_still_base(house, decides="v3")
    figure("2 of 2 rolled back to the model before, commands decided throughout")


def make_nan_scorer() -> bytes:
    """Return a scorer with the right shapes that answers with NaN."""
    import onnx  # noqa: PLC0415 - an extra
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

    real = onnx.load(str(BASE_FOLDER / SCORER))
    real.graph.initializer.append(numpy_helper.from_array(__import__("numpy").array(float("nan"), dtype="float32"), "nothing"))
    real.graph.node.append(helper.make_node("Mul", [real.graph.output[0].name, "nothing"], ["no_numbers"]))
    real.graph.output.append(helper.make_tensor_value_info("no_numbers", TensorProto.FLOAT, None))
    del real.graph.output[0]
    return bytes(real.SerializeToString())

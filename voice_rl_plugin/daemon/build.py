"""The composition root: makes the real parts out of the configuration."""

from pathlib import Path
from typing import TYPE_CHECKING

from voice_rl_plugin.acting.dispatch import DispatchExecutor
from voice_rl_plugin.acting.shadow import ShadowExecutor
from voice_rl_plugin.config import Config, CostsSection
from voice_rl_plugin.daemon.core import Daemon
from voice_rl_plugin.daemon.instance import InstanceLock
from voice_rl_plugin.daemon.parts import Decider, Parts
from voice_rl_plugin.daemon.watchdog import Watchdog
from voice_rl_plugin.deciding.memory import Memory
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.doors.broker import Broker, PahoBroker
from voice_rl_plugin.errors import StoreError
from voice_rl_plugin.homes.file import load_home
from voice_rl_plugin.learning.models import ModelStore, probe_in_child
from voice_rl_plugin.learning.store import ExperienceStore

if TYPE_CHECKING:
    from voice_rl_plugin.acting.executor import Executor
    from voice_rl_plugin.understanding.onnx_policy import Policy


def build_daemon(config: Config, *, broker: Broker | None = None, watchdog: Watchdog | None = None) -> Daemon:
    """Make a daemon that is ready to run.

    Args:
        config: all settings.
        broker: another broker than the configured one, for tests.
        watchdog: watches the loop; by default nobody does.

    Raises:
        ConfigError: the home file, a certificate or a password file is wrong.
        StoreError: the experience store cannot be opened, or another daemon has it.
    """
    file_home = load_home(config.home.file) if config.home.file is not None else None
    try:
        config.store.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(f"store.path: {config.store.path} cannot be made: {error.strerror}") from error
    lock = InstanceLock(config.store.path)
    executor: Executor = ShadowExecutor()
    if config.dispatch.executor == "dispatch":
        executor = DispatchExecutor(prefix=config.mqtt.prefix, freshness_s=config.doors.freshness_s)
    return Daemon(
        Parts(
            config=config,
            broker=broker if broker is not None else PahoBroker(config.mqtt),
            store=ExperienceStore(config.store.path),
            models=ModelStore(config.models.path),
            executor=executor,
            make_decider=lambda policy, home, memory: make_decider(policy, home, memory, config.costs),
            load_policy=load_policy,
            probe_model=probe_in_child,
            file_home=file_home,
            watchdog=watchdog,
            lock=lock,
        )
    )


def load_policy(folder: Path) -> "Policy":
    """Load a verified model.

    Raises:
        ModelError: it is not made for this version.
    """
    from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy  # noqa: PLC0415 - loads onnxruntime

    return OnnxPolicy.load(folder)


def make_decider(policy: "Policy", home: Home, memory: Memory, costs: CostsSection) -> Decider:
    """Make the brain with the configured costs."""
    from voice_rl_plugin.deciding.decider import Decider as RealDecider  # noqa: PLC0415
    from voice_rl_plugin.deciding.value import Costs  # noqa: PLC0415

    named = {name: value for name in ("wrong", "ask", "missed") if (value := getattr(costs, name)) is not None}
    return RealDecider(policy=policy, home=home, memory=memory, costs=Costs(**named))

"""The composition root: makes the real parts out of the configuration."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from voice_rl_plugin.acting.devices import DeviceExecutor
from voice_rl_plugin.acting.dispatch import DispatchExecutor
from voice_rl_plugin.acting.services import Allowed, HomeAssistantExecutor
from voice_rl_plugin.acting.shadow import ShadowExecutor
from voice_rl_plugin.config import Config, CostsSection, DoorsSection
from voice_rl_plugin.daemon.core import Daemon
from voice_rl_plugin.daemon.instance import InstanceLock
from voice_rl_plugin.daemon.parts import Decider, Door, OnAccepted, OnAnswer, Parts
from voice_rl_plugin.daemon.speech import sentence
from voice_rl_plugin.daemon.watchdog import Watchdog
from voice_rl_plugin.deciding.memory import Memory
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.doors.broker import Broker, PahoBroker
from voice_rl_plugin.errors import ConfigError, StoreError
from voice_rl_plugin.homes.file import load_home
from voice_rl_plugin.homes.home_assistant import HomeAssistantSource
from voice_rl_plugin.homes.mqtt_devices import MqttDevices
from voice_rl_plugin.learning.models import ModelStore, probe_in_child
from voice_rl_plugin.learning.postgres import place_of
from voice_rl_plugin.learning.signing import signature_check
from voice_rl_plugin.learning.store import ExperienceStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_rl_plugin.acting.executor import Executor
    from voice_rl_plugin.doors.request import Request
    from voice_rl_plugin.understanding.onnx_policy import Policy


def build_daemon(config: Config, *, broker: Broker | None = None, watchdog: Watchdog | None = None) -> Daemon:
    """Make a daemon that is ready to run.

    Args:
        config: all settings.
        broker: another broker than the configured one, for tests.
        watchdog: watches the loop; by default nobody does.

    Raises:
        ConfigError: the home file, a certificate, a key or a password file is wrong, or what a door needs is not installed.
        StoreError: the experience store cannot be opened, or another daemon has it.
    """
    file_home = load_home(config.home.file) if config.home.file is not None else None
    try:
        config.store.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(f"store.path: {config.store.path} cannot be made: {error.strerror}") from error
    source = HomeAssistantSource(config.home) if config.home.home_assistant is not None else None
    doors = make_doors(config.doors)
    place = place_of(config.store)
    lock = InstanceLock(config.store.path)
    try:
        broker = broker if broker is not None else PahoBroker(config.mqtt)
    except ConfigError:
        lock.release()
        raise
    executor: Executor = ShadowExecutor()
    on_answer: OnAnswer | None = None
    on_accepted: OnAccepted | None = None
    devices = MqttDevices(zigbee2mqtt=config.home.zigbee2mqtt, discovered=config.home.discovered, own_prefix=config.mqtt.prefix)
    if config.dispatch.executor == "dispatch":
        executor = DispatchExecutor(prefix=config.mqtt.prefix, freshness_s=config.doors.freshness_s)
        if devices.is_listening:
            executor = teller = _device_executor(config, devices)
            on_accepted = teller.on_accepted
    elif config.dispatch.executor == "home_assistant" and source is not None:
        allowed = Allowed(domains=frozenset(config.dispatch.domains), guarded=config.dispatch.guarded)
        executor = caller = HomeAssistantExecutor(source, allowed=allowed, prefix=config.mqtt.prefix, freshness_s=config.doors.freshness_s)
        on_answer = caller.on_answer
    return Daemon(
        Parts(
            config=config,
            broker=broker,
            store=ExperienceStore(place),
            models=ModelStore(config.models.path, check_signature=signature_check(config.models.public_key_file)),
            executor=executor,
            make_decider=lambda policy, home, memory: make_decider(policy, home, memory, config.costs, beyond=config.beyond.services),
            load_policy=load_policy,
            probe_model=probe_in_child,
            make_doors=doors,
            file_home=file_home,
            home_assistant=source,
            on_answer=on_answer,
            on_accepted=on_accepted,
            devices=devices,
            watchdog=watchdog,
            lock=lock,
        )
    )


def make_doors(settings: DoorsSection) -> "tuple[Callable[[Callable[[Request], None]], Door], ...]":
    """Return what makes the configured doors.

    Raises:
        ConfigError: what a door needs is not installed.
    """
    if not settings.wyoming.enabled:
        return ()
    try:
        from voice_rl_plugin.doors.wyoming import WyomingDoor  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise ConfigError(
            f"doors.wyoming: expected the package {error.name!r}, which is not installed; run: pip install 'voice-rl-plugin[wyoming]'"
        ) from error
    return (lambda ask: WyomingDoor(settings.wyoming, ask=ask, too_late=lambda language: sentence("expired", language)),)


def _device_executor(config: Config, devices: MqttDevices) -> DeviceExecutor:
    allowed = Allowed(domains=frozenset(config.dispatch.domains), guarded=config.dispatch.guarded)
    return DeviceExecutor(
        devices, allowed=allowed, exposed=devices.exposed, prefix=config.mqtt.prefix, freshness_s=config.doors.freshness_s
    )


def load_policy(folder: Path) -> "Policy":
    """Load a verified model.

    Raises:
        ModelError: it is not made for this version.
    """
    from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy  # noqa: PLC0415 - loads onnxruntime

    return OnnxPolicy.load(folder)


def make_decider(policy: "Policy", home: Home, memory: Memory, costs: CostsSection, *, beyond: Collection[str] = ()) -> Decider:
    """Make the brain with the configured costs, and what is switched on beyond the house."""
    from voice_rl_plugin.deciding.decider import Decider as RealDecider  # noqa: PLC0415
    from voice_rl_plugin.deciding.value import Costs  # noqa: PLC0415

    named = {name: value for name in ("wrong", "ask", "missed") if (value := getattr(costs, name)) is not None}
    return RealDecider(policy=policy, home=home, memory=memory, costs=Costs(**named), beyond=beyond)

"""The daemon: hears, decides, acts and learns over MQTT, one message after the other."""

from voice_rl_plugin.daemon.build import build_daemon
from voice_rl_plugin.daemon.core import Daemon

__all__ = ["Daemon", "build_daemon"]

"""Every error that this package raises on purpose.

VoiceRlError
├── ConfigError     a setting, a home file or a command line is wrong: the command ends with exit code 2
├── MessageError    one message from outside is wrong: it is dropped, counted, and published on `<prefix>/error`
├── BrokerError     the broker cannot be reached or refuses us: retried
├── LinkError       Home Assistant cannot be reached over its WebSocket, or refuses us: retried
├── ModelError      a model is missing, damaged or foreign: the champion stays
└── StoreError      the experience or model store cannot be read or written

A message says what was expected, what came, where, and what to do.
"""


class VoiceRlError(Exception):
    """Base of all errors of this package."""


class ConfigError(VoiceRlError):
    """A setting, a home file or a command line is wrong."""


class MessageError(VoiceRlError):
    """One message from outside cannot be used."""


class BrokerError(VoiceRlError):
    """The MQTT broker cannot be reached or refuses a request."""


class LinkError(VoiceRlError):
    """Home Assistant cannot be reached over its WebSocket, or refuses a request."""


class ModelError(VoiceRlError):
    """A model is missing, damaged, or not made for this version."""


class StoreError(VoiceRlError):
    """A store on disk cannot be read or written."""

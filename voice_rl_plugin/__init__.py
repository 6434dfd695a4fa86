"""The brain of a private smart home's voice: decides what a spoken command means, acts over MQTT, and learns from corrections."""

__version__ = "0.1.0"

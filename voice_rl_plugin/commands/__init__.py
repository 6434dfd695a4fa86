"""The commands of `voice-rl`, one module a family, each with `add_parsers(subparsers)`."""

"""A household to learn in: people with their own words, a Gymnasium environment of single decisions, and the real brain to live with.

    import gymnasium, voice_rl_training.simulate
    env = gymnasium.make("VoiceHome-v0", language="zh")

Importing the package registers the environment.
"""

import gymnasium

ENVIRONMENT_ID = "VoiceHome-v0"

if ENVIRONMENT_ID not in gymnasium.registry:
    gymnasium.register(id=ENVIRONMENT_ID, entry_point="voice_rl_training.simulate.environment:VoiceHome")

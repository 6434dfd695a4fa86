"""Learning: feedback to reward to transition, the experience store, and the model store."""

"""The ways to learn from the same transitions: a family of equals, one readable file each, each a pure function of tensors."""

NAMES = ("corrections_only", "logged_rewards", "q_learning", "sarsa", "policy_gradient")
DEFAULT = "corrections_only"

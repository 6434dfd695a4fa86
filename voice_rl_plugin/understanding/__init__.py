"""From words to executable candidates: tokens, names, frames, resolution, features, and the policy that weighs them."""

"""Makes and improves the policy: corpus, networks, pretraining, and the loop that learns from a home's corrections."""

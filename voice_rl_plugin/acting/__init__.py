"""Acting: carrying a decision out, seeing whether it worked, and taking it back; no threads, no I/O."""

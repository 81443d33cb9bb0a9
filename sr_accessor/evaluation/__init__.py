"""How good: the visible pack, its scores, and the commands of `python -m sr_accessor.evaluation`."""

"""Exit codes of the command line; 0 is done."""

__all__ = ["BAD_INPUT", "INTERRUPTED", "NOTHING_FOUND", "NO_MODEL", "PLUGIN_FAULT"]

#: Nothing better than the mean was found.
NOTHING_FOUND = 1
#: Data, options or files that cannot be used.
BAD_INPUT = 2
#: A plugin raised or cannot be loaded.
PLUGIN_FAULT = 3
#: The weights of a network are missing or damaged.
NO_MODEL = 4
#: Ctrl-C or SIGTERM; what was found so far has been written.
INTERRUPTED = 130

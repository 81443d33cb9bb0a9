"""Exit codes of the command line, and what they mean."""

__all__ = ["BAD_INPUT", "INTERRUPTED", "MEANINGS", "NOTHING_FOUND", "NO_MODEL", "PLUGIN_FAULT"]

NOTHING_FOUND, BAD_INPUT, PLUGIN_FAULT, NO_MODEL, INTERRUPTED = 1, 2, 3, 4, 130
MEANINGS = {
    0: "done",
    NOTHING_FOUND: "nothing better than the mean was found",
    BAD_INPUT: "data, options or files that cannot be used",
    PLUGIN_FAULT: "a plugin raised or cannot be loaded",
    NO_MODEL: "the weights of a network are missing or damaged",
    INTERRUPTED: "Ctrl-C or SIGTERM, after the best law so far has been written",
}

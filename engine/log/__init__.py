"""The log: the only arbiter of what happened, its port and its adapters."""

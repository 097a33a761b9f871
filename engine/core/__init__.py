"""The pure core: what a decision is, how state changes, and which records of the log count. No I/O, no clock, no chance."""

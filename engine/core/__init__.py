"""The pure core: what a decision is, how state changes, and which records count. No I/O, no clock, no chance."""

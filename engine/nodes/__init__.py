"""The node types, one module each."""

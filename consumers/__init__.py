"""Services that follow the log."""

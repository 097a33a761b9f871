"""Commands about services that follow the log."""

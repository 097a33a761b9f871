"""The executor: turns commands and finished work into commits, and runs nodes."""

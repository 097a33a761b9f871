"""Stores: bytes under ordered keys, on disk; the only package that knows RocksDB."""

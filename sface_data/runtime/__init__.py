"""Devices, sessions, prefetching, progress, versions."""

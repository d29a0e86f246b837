"""The sets of faces that an audit compares."""

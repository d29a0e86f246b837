"""Faces to vectors."""

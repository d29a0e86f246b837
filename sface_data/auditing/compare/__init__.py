"""Comparisons of sets of embeddings."""

"""The class-conditional generator: networks, weights on disk, sampling."""

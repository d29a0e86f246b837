"""WebDataset shards: tar files in which the members of one sample stand together and share a key."""

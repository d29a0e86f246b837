"""Whether a data set can be linked to the people its generator was trained on."""

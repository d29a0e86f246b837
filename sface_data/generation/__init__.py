"""Plan x sampler x shard writer."""

"""Around the shards: card, datasheet, citation, licence, description for machines, preview; checks; publishing."""

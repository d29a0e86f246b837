"""Around the shards: card, citation, licence, preview, and the check of a finished folder."""

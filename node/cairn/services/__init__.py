"""The long-running programs: listener and miner, and what they share."""

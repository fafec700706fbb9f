"""Controllers: small level-triggered loops, key to snapshot to plan to transaction."""

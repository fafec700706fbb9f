"""What containers of this host use, sampled every few seconds and told in sums."""

"""Identity: principals, access keys, what a principal may do."""

"""The endpoint inside tasks: metadata (v3, v4), stats and role credentials on 169.254.170.2."""

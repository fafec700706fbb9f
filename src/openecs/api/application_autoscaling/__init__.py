"""Application Auto Scaling: scalable targets, policies, scheduled actions and what came of them."""

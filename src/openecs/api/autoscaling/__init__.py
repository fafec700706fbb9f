"""EC2 Auto Scaling: the part of it that capacity providers and their scripts use."""

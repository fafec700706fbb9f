"""Events: how they are matched to rules, kept until delivered, and delivered."""

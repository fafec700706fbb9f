"""Where changes become durable: one driver per kind of storage."""

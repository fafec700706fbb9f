"""Amazon ECS: its operations, one module a resource."""

"""Amazon EC2, as far as networks and the hosts of tasks need it."""

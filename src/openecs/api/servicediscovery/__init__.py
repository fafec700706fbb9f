"""AWS Cloud Map (servicediscovery): namespaces, services, instances and what asks for them."""

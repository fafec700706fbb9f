"""AWS Certificate Manager: certificates that users import for HTTPS and TLS listeners."""

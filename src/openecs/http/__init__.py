"""A small HTTP/1.1 client for Unix and TCP sockets on httptools: engine, control plane, loopback."""

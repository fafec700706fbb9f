"""Container runtimes behind one small protocol: Docker Engine, and a fake for tests."""

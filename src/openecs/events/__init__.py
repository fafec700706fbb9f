"""EventBridge's working parts: matching events with rules, and delivering to targets."""

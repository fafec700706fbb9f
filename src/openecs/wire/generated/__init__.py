"""Operation tables written by ``tools/generate_shapes.py``.  Nobody edits them."""

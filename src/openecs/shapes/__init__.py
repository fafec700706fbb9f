"""The shapes of the AWS APIs: one frozen structure per model shape, generated.

Plain data with no behaviour, at the bottom of the layers, so that records, planners and the
wire all speak of the same ``ContainerDefinition``.  ``tools/generate_shapes.py`` writes every
module here but ``base``.
"""

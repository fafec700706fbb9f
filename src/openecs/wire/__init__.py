"""The wire: from bytes to typed requests and back, for every AWS protocol.

Nothing here knows what an operation does.  The layer identifies the protocol, verifies the
signature, decodes, hands the typed request to a registered handler and encodes its answer.
"""

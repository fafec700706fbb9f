"""The resolver of a host: names of this installation for its tasks, everything else forwarded.

``packet`` is the wire form, ``zones`` the names, ``answers`` what a query gets.  None of them
does I/O.  ``server`` and ``upstream`` have the sockets; they run in a process of their own
(``process``) that lives on while the agent restarts and is told what to answer over a local
socket.  ``resolver`` is the agent's side of that.
"""

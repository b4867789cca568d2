"""Compiled sparse networks: the small IR, its compiler, the reference executor and the runtime.

torch module ──compiler.from_torch──► graph.Graph ──compiler──► wire plan ──runtime──► frames
                                          │                         │
                                          └────────── reference ────┘  (defines every op)
"""

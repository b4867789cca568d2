"""Overfits small super-resolution networks to one video and writes what a viewer needs.

Everything on the server's side of a package is here: reading the source, writing the rungs, cutting
segments and chunks, training, pruning, plates, figures.
"""

import os

# Before torch loads GNU OpenMP: threads that wait for each other spin for a moment only. By default
# they spin for milliseconds, and a small network's training crawls, 7 times slower, as soon as
# anything else wants the processor.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

"""Training of low-rank adapters that read memories; nothing else in the program imports it.

`network.py`, `loop.py` and `export.py` import torch, which the extra `train` installs; the other files know
no tensor library.
"""

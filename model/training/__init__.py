"""Training of low-rank adapters that read memories; nothing else in the program imports it.

`sequences.py` and `plan.py` know no tensor library. All other files import torch, which the extra `train`
installs.
"""

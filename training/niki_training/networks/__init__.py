"""
The networks of NIKI and the kinematic layer, in torch.

Imports no other room of the training. Names of attributes with weights are part of checkpoints and
graphs and are therefore kept, such as ``six_norm``.
"""

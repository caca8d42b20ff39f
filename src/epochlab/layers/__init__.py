"""Layers: building blocks that networks share; ordinary torch modules, imported while building."""

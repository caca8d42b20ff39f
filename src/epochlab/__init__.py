"""epochlab: how many steps until a network is good enough, and how long and how dear is a step."""

__version__ = "0.1.0"

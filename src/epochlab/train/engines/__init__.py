"""Engines: ways to carry out a trial; `eager` is the readable reference for the others."""

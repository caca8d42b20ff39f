"""Training: a trial says what is to be done, a run records what happened."""

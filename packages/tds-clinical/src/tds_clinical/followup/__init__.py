"""What changed between time points of one patient."""

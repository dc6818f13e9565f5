"""A colon seen from inside: a curved tube with haustral folds and wet, vessel-bearing mucosa."""

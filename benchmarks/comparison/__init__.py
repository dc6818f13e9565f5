"""What `compare_models.py` is made of: rows, runs, workers, tables and curves."""

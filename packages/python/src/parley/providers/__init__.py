"""Who runs the models of calls that are held in this process."""

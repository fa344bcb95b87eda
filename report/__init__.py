"""The report of a run: the paper, the walkthrough for graders, and the explorer."""

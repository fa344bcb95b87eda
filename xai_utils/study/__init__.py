"""What this study computes and says: the plan, maps and scores of it, statistics, words, figures."""

"""Statistics of similarity scores: histograms, error rates, intervals. Needs numpy and scipy only."""
